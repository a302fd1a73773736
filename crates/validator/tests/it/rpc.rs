//! The RPC of a running daemon: a lane's whole life, and every way to ask wrongly.

use srwan_api::http::{ApiError, Call};
use srwan_api::ledger::{Effect, LanePhase, TxStatus};
use srwan_ledger::amount::Amount;
use srwan_ledger::contract::ContractAction;
use srwan_ledger::contract::listing::{Offer, Rate, Site as Place};
use srwan_ledger::contract::window::Window;
use srwan_ledger::fee::FeeSchedule;
use srwan_ledger::lane::{LaneOpen, Payee};
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::Author;
use srwan_wire::id::{ChainId, Height, LaneId, Octets, PathHash};
use srwan_wire::receipt::{Delivery, DeliveryBody, Price, Receipt, ReceiptBody};

use crate::child::{Daemon, Site};
use crate::people::{author, coins, genesis_toml, key, secret, transfer};

const GB: Octets = Octets(1_000_000_000);
const PATH: PathHash = PathHash([7; 32]);

fn lane_open() -> LaneOpen {
    LaneOpen {
        path: PATH,
        payees: [2, 3].map(|who| Payee { account: key(who), weight: 1 }).to_vec(),
        price: Price::REFERENCE,
        cap: coins(50),
        fee_reserve: coins(1),
        expiry: Height(100_000),
    }
}

fn gigabyte_ticket(chain: ChainId, lane: LaneId) -> Ticket {
    let (price, expiry) = (Price::REFERENCE, Height(100_000));
    let receipt = ReceiptBody { chain, lane, path: PATH, octets: GB, price, expiry };
    let delivery = DeliveryBody { chain, lane, path: PATH, octets: GB };
    Ticket {
        lane,
        receipt: Receipt::new(receipt, &secret(1)),
        delivery: Delivery::new(delivery, &secret(3)),
        statements: Vec::new(),
    }
}

async fn applied(daemon: &Daemon, tx: &srwan_ledger::tx::SignedTx) -> Effect {
    let tx = daemon.run(tx).await.unwrap();
    assert_eq!(tx.status, TxStatus::Applied, "{tx:?}");
    tx.effect.unwrap()
}

#[tokio::test]
async fn a_lane_is_opened_settled_closed_and_refunded_over_the_rpc() {
    let site = Site::new();
    let daemon = site.start();
    let client = daemon.client();
    let status = client.status().await.unwrap();
    let fees = status.params.fee_schedule().unwrap();
    assert_eq!(fees, FeeSchedule::DEFAULT);
    let chain = ChainId::from_hex(&status.chain_id).unwrap();
    let payer = Author::new(chain, fees, secret(1));

    applied(&daemon, &payer.escrow_add(0, coins(60))).await;
    let (lane, open) = payer.lane_open(1, lane_open());
    applied(&daemon, &open).await;
    let seen = client.lane(&lane).await.unwrap();
    assert_eq!((seen.phase, seen.cap_coins.as_str()), (LanePhase::Open, "50"));
    assert_eq!(client.lanes_paying(&key(3)).await.unwrap().lanes, [seen]);

    let ticket = author(2, chain).ticket(0, gigabyte_ticket(chain, lane));
    let Effect::Settled { settlement } = applied(&daemon, &ticket).await else { panic!() };
    assert_eq!((settlement.charge_coins.as_str(), settlement.infra_coins.as_str()), ("10", "1"));
    assert!(settlement.shares.iter().all(|share| share.coins == "4.5"));
    assert_eq!(daemon.account(&key(3)).await.earned_coins, "4.5");
    assert_eq!(daemon.account(&key(1)).await.applied_coins, "10");
    assert_eq!(client.tickets_of(&key(3)).await.unwrap().tickets.len(), 1);
    assert_eq!(client.tickets_of(&key(4)).await.unwrap().tickets.len(), 0);

    applied(&daemon, &payer.lane_close(2, lane)).await;
    // Three more blocks end the claim window; each transfer waits for one.
    for nonce in 3..7 {
        applied(&daemon, &transfer(1, nonce, chain)).await;
    }
    assert_eq!(client.lane(&lane).await.unwrap().phase, LanePhase::Closed);
    let account = daemon.account(&key(1)).await;
    assert_eq!(account.lanes, 0);
    assert!(account.escrow_free().unwrap() > coins(49));
    let supply = client.supply().await.unwrap();
    assert!(supply.conserved);
    assert_eq!((supply.total_coins.as_str(), supply.infra_coins.as_str()), ("100000", "1"));
    let block = client.block(Height(1)).await.unwrap();
    assert_eq!((block.height, block.parent), (1, status.chain_id));
}

#[track_caller]
fn assert_error<T: std::fmt::Debug>(answer: Result<T, ApiError>, status: u16, code: &str) {
    let error = answer.unwrap_err();
    assert_eq!((error.status, error.code.as_str()), (status, code), "{error}");
    assert!(!error.what.is_empty() && !error.fix.is_empty(), "{error:?}");
}

#[tokio::test]
async fn a_transaction_that_is_not_taken_says_why() {
    let site = Site::new();
    let daemon = site.start();
    let (client, chain) = (daemon.client(), daemon.chain().await);
    let foreign = transfer(1, 0, ChainId([1; 32]));
    assert_error(client.submit(&foreign).await, 422, "SRW-L101");
    let mut forged = transfer(1, 0, chain);
    forged.body.nonce = 1;
    assert_error(client.submit(&forged).await, 422, "SRW-L102");
    let poor = author(99, chain).transfer(0, key(1), coins(1));
    assert_error(client.submit(&poor).await, 422, "SRW-L202");
    let too_much = author(1, chain).transfer(0, key(2), coins(5_000));
    assert_error(client.submit(&too_much).await, 422, "SRW-L202");
    let (_, unfunded) = author(1, chain).lane_open(0, lane_open());
    assert_error(client.submit(&unfunded).await, 422, "SRW-L203");
    let far = transfer(1, 64, chain);
    assert_error(client.submit(&far).await, 422, "SRW-L701");
    assert_eq!(daemon.account(&key(1)).await.nonce, 0, "nothing was in a block");
}

#[tokio::test]
async fn a_transaction_that_is_rejected_in_its_block_says_why() {
    let site = Site::new();
    let daemon = site.start();
    let chain = daemon.chain().await;
    // The second is only checked for its form when it is handed in.
    let all = author(1, chain).transfer(0, key(2), coins(900));
    let again = author(1, chain).transfer(1, key(2), coins(900));
    daemon.client().submit(&again).await.unwrap();
    applied(&daemon, &all).await;
    let found = daemon.run(&again).await.unwrap();
    assert_eq!(found.status, TxStatus::Rejected);
    assert_eq!(found.problem.unwrap().code, "SRW-L202");
    assert_ne!(Amount::parse_coins(&found.fee_coins), Ok(Amount::ZERO));
}

#[tokio::test]
async fn a_transaction_handed_in_twice_is_executed_once() {
    let site = Site::new();
    let daemon = site.start();
    let tx = transfer(1, 0, daemon.chain().await);
    let first = daemon.run(&tx).await.unwrap();
    assert_eq!(daemon.run(&tx).await.unwrap(), first);
    assert_eq!(daemon.account(&key(1)).await.nonce, 1);
}

#[tokio::test]
async fn wrong_questions_get_a_problem_and_its_status() {
    let site = Site::new();
    let daemon = site.start();
    let ask = |call: Call| async { daemon.http.call(call).await.map(|answer| answer.status) };
    let zeros = "0".repeat(64);
    for (path, status, code) in [
        ("/nowhere".to_owned(), 404, "SRW-L904"),
        (format!("/v1/tx/{zeros}"), 404, "SRW-L904"),
        ("/v1/tx/zz".to_owned(), 400, "SRW-L901"),
        (format!("/v1/tx/{zeros}?wait=1"), 400, "SRW-L901"),
        (format!("/v1/tx/{zeros}?wait_ms=-1"), 400, "SRW-L901"),
        ("/v1/account/12".to_owned(), 400, "SRW-L901"),
        (format!("/v1/lane/{zeros}"), 404, "SRW-L904"),
        ("/v1/lanes?payer=1".to_owned(), 400, "SRW-L901"),
        ("/v1/tickets?acount=1".to_owned(), 400, "SRW-L901"),
        ("/v1/block/99999999".to_owned(), 404, "SRW-L904"),
        ("/v1/block/0".to_owned(), 404, "SRW-L904"),
        ("/v1/block/x".to_owned(), 400, "SRW-L901"),
        ("/v1/block/-1".to_owned(), 400, "SRW-L901"),
    ] {
        assert_error(ask(Call::get(path)).await, status, code);
    }
    assert_error(ask(Call::delete("/v1/status")).await, 405, "SRW-L905");
    let post = |body: serde_json::Value| ask(Call::post("/v1/tx", &body));
    assert_error(post(serde_json::json!({"tx": "!"})).await, 400, "SRW-L901");
    assert_error(post(serde_json::json!({"tx": "AAAA"})).await, 400, "SRW-L901");
    assert_error(post(serde_json::json!({"tx": "", "more": 1})).await, 400, "SRW-L901");
    let large = serde_json::json!({"tx": "A".repeat(20_000)});
    assert_error(post(large).await, 413, "SRW-L902");
    assert_eq!(ask(Call::get("/health")).await, Ok(200));
}

#[tokio::test]
async fn an_account_that_never_was_is_empty() {
    let site = Site::new();
    let daemon = site.start();
    let account = daemon.account(&key(77)).await;
    assert_eq!((account.balance_coins.as_str(), account.nonce), ("0", 0));
}

#[tokio::test]
async fn several_transactions_are_taken_in_one_call_each_with_its_own_answer() {
    let site = Site::new();
    let daemon = site.start();
    let chain = daemon.chain().await;
    let foreign = transfer(2, 0, ChainId([9; 32]));
    let mut forged = transfer(2, 0, chain);
    forged.body.valid_until = Height(forged.body.valid_until.0 - 1);
    let txs =
        [transfer(1, 1, chain), transfer(1, 0, chain), foreign, forged, transfer(2, 0, chain)];
    let taken = daemon.client().submit_many(&txs).await.unwrap().txs;
    let codes: Vec<Option<&str>> =
        taken.iter().map(|one| one.problem.as_ref().map(|problem| problem.code.as_str())).collect();
    assert_eq!(codes, [None, None, Some("SRW-L101"), Some("SRW-L102"), None]);
    for tx in [&txs[0], &txs[1], &txs[4]] {
        assert_eq!(daemon.run(tx).await.unwrap().status, TxStatus::Applied);
    }
}

#[tokio::test]
async fn a_call_with_too_many_transactions_is_refused_as_a_whole() {
    let site = Site::new();
    let daemon = site.start();
    let chain = daemon.chain().await;
    let txs = vec![transfer(1, 0, chain); srwan_api::ledger::SUBMIT_MANY_MAX + 1];
    let refused = daemon.client().submit_many(&txs).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (400, "SRW-L901"), "{refused}");
    let empty = daemon.client().submit_many(&[]).await.unwrap();
    assert!(empty.txs.is_empty());
}

#[tokio::test]
async fn what_stands_in_contracts_can_be_read() {
    let genesis = genesis_toml().replace("[params]", "[params]\nrouter_bond_coins = \"10\"");
    let site = Site::with("", &genesis);
    let daemon = site.start();
    let chain = daemon.chain().await;
    let seller = author(1, chain);
    applied(&daemon, &seller.contract(0, ContractAction::PseudonymBond)).await;
    let offer = Offer {
        from: Place("chicago".into()),
        to: Place("new york".into()),
        route: PATH,
        rate: Rate(5),
        mbps: 100,
        mbps_min: 1,
        weight: 3,
        delay_ns_max: 9_000_000,
        window: Window::Always,
        settle_blocks_max: 1_000,
    };
    applied(&daemon, &seller.contract(1, ContractAction::List(offer))).await;
    let ours = format!("/v1/listings?account={}", key(1));
    let listings: srwan_api::ledger::Listings = daemon.http.get(&ours).await.unwrap();
    let [listing] = listings.listings.as_slice() else { panic!("{listings:?}") };
    assert_eq!((listing.from.as_str(), listing.to.as_str()), ("chicago", "new york"));
    assert_eq!((listing.delay_us_max, listing.rate_coins.as_str()), (9_000, "0.000000005"));
    assert!(listing.sells && !listings.truncated && listing.hours.is_none());
    let others = format!("/v1/listings?account={}", key(2));
    let listings: srwan_api::ledger::Listings = daemon.http.get(&others).await.unwrap();
    assert!(listings.listings.is_empty());
    for list in ["leases", "agreements", "quarantines", "ratings"] {
        let answer: serde_json::Value = daemon.http.get(&format!("/v1/{list}")).await.unwrap();
        assert_eq!(answer["schema"], format!("srwan.ledger.{list}/1"));
        assert_eq!(answer["truncated"], false);
    }
}
