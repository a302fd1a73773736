//! Evidence of payouts: exported from a real ledger, checked without it, refused when anything in it was changed.

use crate::chain::{Chain, key, secret};
use crate::run::srwan;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use srwan_ledger::amount::Amount;
use srwan_ledger::lane::{LaneOpen, Payee};
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::{Action, SignedTx};
use srwan_wire::id::{ChainId, Height, LaneId, Octets, PathHash};
use srwan_wire::receipt::{
    Delivery, DeliveryBody, LinkCounters, LinkStatement, LinkStatementBody, Price, Receipt,
    ReceiptBody,
};
use srwan_wire::time::Timestamp;

const PATH: PathHash = PathHash([9; 32]);
const EXPIRY: Height = Height(100_000);
const WEIGHTS: [u32; 3] = [3, 5, 7];

fn coins(count: u64) -> Amount {
    Amount::from_coins(count).unwrap()
}

fn statement(chain: ChainId, reporter: u8, peer: u8, out: u64) -> LinkStatement {
    let body = LinkStatementBody {
        chain,
        reporter: key(reporter),
        peer: key(peer),
        boot_time: Timestamp::from_nanos(5),
        boot_nonce: 6,
        seq: 1,
        counters: LinkCounters { out_octets: Octets(out), ..LinkCounters::default() },
    };
    LinkStatement::new(body, &secret(reporter))
}

fn ticket(chain: ChainId, lane: LaneId, octets: u64) -> Ticket {
    let (price, expiry, octets) = (Price::REFERENCE, EXPIRY, Octets(octets));
    let receipt = ReceiptBody { chain, lane, path: PATH, octets, price, expiry };
    let delivery = DeliveryBody { chain, lane, path: PATH, octets };
    Ticket {
        lane,
        receipt: Receipt::new(receipt, &secret(1)),
        delivery: Delivery::new(delivery, &secret(4)),
        statements: vec![statement(chain, 2, 3, 100)],
    }
}

/// A lane of person 1 over 2 and 3 to 4, settled by person 2 in two tickets with a raise between them.
fn settled_lane(chain: &Chain) -> LaneId {
    let payees = [2, 3, 4].into_iter().zip(WEIGHTS);
    let open = LaneOpen {
        path: PATH,
        payees: payees.map(|(person, weight)| Payee { account: key(person), weight }).collect(),
        price: Price::REFERENCE,
        cap: coins(1),
        fee_reserve: coins(1),
        expiry: EXPIRY,
    };
    chain.must(1, |author, nonce| author.escrow_add(nonce, coins(100)));
    let mut lane = LaneId([0; 32]);
    chain.must(1, |author, nonce| {
        let (id, tx) = author.lane_open(nonce, open);
        lane = id;
        tx
    });
    // More than the cap pays for: the first ticket settles up to the cap.
    chain.must(2, |author, nonce| author.ticket(nonce, ticket(chain.chain(), lane, 400_000_000)));
    chain.must(1, |author, nonce| author.lane_raise(nonce, lane, coins(20)));
    chain.must(2, |author, nonce| author.ticket(nonce, ticket(chain.chain(), lane, 987_654_321)));
    lane
}

fn export(chain: &Chain, what: &[&str]) -> Value {
    let path = chain.path("evidence.json");
    let out = path.to_str().unwrap();
    let arguments =
        [&["ticket", "export"], what, &["--ledger", chain.url(), "--out", out]].concat();
    srwan(&arguments).answers();
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Checks a file without any ledger: in a folder of its own.
fn verify(evidence: &Value, arguments: &[&str]) -> crate::run::Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.json");
    std::fs::write(&path, evidence.to_string()).unwrap();
    srwan(&[&["ticket", "verify", path.to_str().unwrap()], arguments].concat())
}

#[test]
fn payouts_are_recomputed_from_exported_evidence_alone() {
    let chain = Chain::start();
    settled_lane(&chain);
    let earned = [2, 3, 4].map(|person| chain.account(person).earned_coins);
    let all = export(&chain, &["--all"]);
    drop(chain);
    assert_eq!(all["schema"], "srwan.evidence/1");
    let verified = verify(&all, &["--json"]).json();
    let paid = |person: u8| {
        let accounts = verified["accounts"].as_array().unwrap();
        let own = accounts.iter().find(|a| a["account"] == key(person).to_string());
        own.unwrap()["coins"].as_str().unwrap().to_owned()
    };
    assert_eq!([paid(2), paid(3), paid(4)], earned);
    assert_eq!(earned, ["1.777777777", "2.962962963", "4.148148148"]);
    assert_eq!(verified["charge_coins"], "9.87654321");
    let shown = verify(&all, &[]);
    assert!(shown.answers().contains("holds: 2 tickets, 9.87654321 coins charged"), "{shown:?}");
}

#[test]
fn one_ticket_comes_with_what_was_settled_before_it() {
    let chain = Chain::start();
    settled_lane(&chain);
    let all = export(&chain, &["--all"]);
    let first: Value = all["lanes"][0]["steps"][0].clone();
    let tx: SignedTx = decoded(&first["tx"]);
    let one = export(&chain, &[&tx.body.hash().to_string()]);
    assert_eq!(one["lanes"][0]["steps"], json!([first]));
    let last = all["lanes"][0]["steps"][2].clone();
    let tx: SignedTx = decoded(&last["tx"]);
    assert_eq!(export(&chain, &[&tx.body.hash().to_string()[..10]]), all);
    verify(&one, &[]).answers();
    let nowhere = "00".repeat(32);
    srwan(&["ticket", "export", &nowhere, "--ledger", chain.url()]).fails(4, "SRW-L904");
    srwan(&["ticket", "export", "00", "--ledger", chain.url()]).fails(4, "SRW-R405");
    let by_ledger = srwan(&["ledger", "export", "--tickets", "--url", chain.url()]);
    assert_eq!(serde_json::from_str::<Value>(&by_ledger.stdout).unwrap(), all);
}

fn decoded(text: &Value) -> SignedTx {
    borsh::from_slice(&STANDARD.decode(text.as_str().unwrap()).unwrap()).unwrap()
}

/// The last ticket, changed by a submitter who signs the bundle anew.
fn forge(evidence: &mut Value, change: impl FnOnce(&mut Ticket)) {
    let step = &mut evidence["lanes"][0]["steps"][2];
    let mut tx = decoded(&step["tx"]);
    let Action::Ticket(ticket) = &mut tx.body.action else { panic!("not a ticket") };
    change(ticket);
    step["receipt_bytes"] = ticket.receipt.body.octets.0.into();
    step["delivery_bytes"] = ticket.delivery.body.octets.0.into();
    let signed = SignedTx::new(tx.body, &secret(2));
    step["tx"] = STANDARD.encode(borsh::to_vec(&signed).unwrap()).into();
}

/// What was changed, how, the code, and words of the reason.
type Tampered = (&'static str, fn(&mut Value), &'static str, &'static str);

const TAMPERED: [Tampered; 15] = [
    ("chain", |e| e["chain_id"] = "01".repeat(32).into(), "SRW-E101", "is for ledger"),
    (
        "receipt",
        |e| forge(e, |ticket| ticket.receipt.body.octets.0 += 1),
        "SRW-L403",
        "the receipt is not signed by the lane's payer",
    ),
    (
        "delivery",
        |e| forge(e, |ticket| ticket.delivery.body.octets.0 += 1),
        "SRW-L405",
        "the delivery is not signed by the lane's endpoint",
    ),
    (
        "octets",
        |e| e["lanes"][0]["steps"][2]["receipt_bytes"] = 987_654_322_u64.into(),
        "SRW-E114",
        "says a receipt of 987654322 octets, signed are 987654321",
    ),
    (
        "price",
        |e| e["lanes"][0]["price_base_per_mb"] = 10_000_001.into(),
        "SRW-E108",
        "says a price of 10000001 per MB, the payer signed 10000000",
    ),
    (
        "weight",
        |e| e["lanes"][0]["payees"][0]["weight"] = 4.into(),
        "SRW-E110",
        "hop 1 has weight 4, the payer signed 3",
    ),
    (
        "payee",
        |e| e["lanes"][0]["payees"][1]["account"] = key(9).to_string().into(),
        "SRW-E109",
        "says that hop 2 is",
    ),
    (
        "share",
        |e| e["lanes"][0]["steps"][2]["shares"][0]["coins"] = "2".into(),
        "SRW-E119",
        "says 2 coins for hop 1, by the rule it is",
    ),
    (
        "missing ticket",
        |e| drop(e["lanes"][0]["steps"].as_array_mut().unwrap().remove(0)),
        "SRW-E115",
        "begins at 100000000 settled octets, the tickets before it settled 0",
    ),
    (
        "statement",
        |e| forge(e, |ticket| ticket.statements[0].body.counters.out_octets.0 += 1),
        "SRW-L408",
        "link statement 0 is not signed by its reporter",
    ),
    (
        "contradiction",
        |e| {
            forge(e, |ticket| {
                ticket.statements.push(statement(ticket.receipt.body.chain, 2, 3, 99))
            })
        },
        "SRW-L409",
        "contradict each other",
    ),
    (
        "opening",
        |e| {
            let mut tx = decoded(&e["lanes"][0]["opening"]);
            let Action::LaneOpen(open) = &mut tx.body.action else { panic!("no opening") };
            open.payees[0].weight = 4;
            e["lanes"][0]["opening"] = STANDARD.encode(borsh::to_vec(&tx).unwrap()).into();
        },
        "SRW-E102",
        "the opening is not signed by its sender",
    ),
    (
        "lane",
        |e| e["lanes"][0]["lane"] = "01".repeat(32).into(),
        "SRW-E105",
        "the opening makes lane",
    ),
    (
        "infrastructure",
        |e| e["lanes"][0]["infra_bps"] = 900.into(),
        "SRW-E118",
        "coins for infrastructure, by the rule it is",
    ),
    (
        "carry",
        |e| e["lanes"][0]["steps"][2]["carry_coins"] = "0".into(),
        "SRW-E120",
        "says a carry of 0 coins",
    ),
];

#[test]
fn each_tampered_file_is_refused_with_its_own_reason() {
    let chain = Chain::start();
    settled_lane(&chain);
    let whole = export(&chain, &["--all"]);
    drop(chain);
    for (what, change, code, reason) in TAMPERED {
        let mut evidence = whole.clone();
        change(&mut evidence);
        let ran = verify(&evidence, &[]);
        ran.fails(7, code);
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(reason), "{what}: {ran:?}");
    }
}

#[test]
fn a_file_that_is_no_evidence_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    let path = path.to_str().unwrap();
    srwan(&["ticket", "verify", path]).fails(4, "SRW-D203");
    for text in [
        "",
        "{}",
        "[1]",
        "{\"schema\":\"srwan.evidence/2\",\"chain\":\"\",\"chain_id\":\"\",\"lanes\":[]}",
    ] {
        std::fs::write(path, text).unwrap();
        srwan(&["ticket", "verify", path]).fails(1, "SRW-E001");
    }
}
