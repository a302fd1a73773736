//! Measures one core: tickets per second with signatures checked, and memory at a million accounts.
//!
//! `cargo run --release -p srwan-ledger --example measure`
#![allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]

use std::collections::BTreeMap;
use std::time::Instant;

use srwan_ledger::amount::Amount;
use srwan_ledger::block::{Block, Maker};
use srwan_ledger::genesis::{Genesis, Params};
use srwan_ledger::lane::{LaneOpen, Payee};
use srwan_ledger::outcome::Outcome;
use srwan_ledger::proof::Kind;
use srwan_ledger::signature::Checked;
use srwan_ledger::state::State;
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::{Action, Author, SignedTx};
use srwan_wire::id::{AccountKey, Height, LaneId, Octets, PathHash};
use srwan_wire::receipt::{Delivery, DeliveryBody, Price, Receipt, ReceiptBody};
use srwan_wire::sign::AccountSecret;

const PEOPLE: u32 = 1_000;
const BLOCKS: u64 = 20;

fn main() {
    for accounts in [PEOPLE, 1_000_000] {
        measure(accounts);
    }
}

fn secret(person: u32) -> AccountSecret {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&person.to_le_bytes());
    AccountSecret::from_seed(&seed)
}

fn coins(coins: u64) -> Amount {
    Amount::from_coins(coins).expect("few coins")
}

/// `PEOPLE` with coins and keys, and as many others as it takes.
fn genesis(accounts: u32) -> Genesis {
    let people = (0..PEOPLE).map(|person| (secret(person).public(), coins(1_000)));
    let others = PEOPLE..accounts;
    let others = others.map(|n| (AccountKey(*blake3::hash(&n.to_le_bytes()).as_bytes()), coins(1)));
    Genesis {
        chain: "measure".into(),
        supply: coins(1_000_000_000),
        accounts: people.chain(others).collect(),
        subsidy: Amount::ZERO,
        validators: BTreeMap::new(),
        params: Params::DEFAULT,
    }
}

fn measure(accounts: u32) {
    let before = resident_mb();
    let genesis = genesis(accounts);
    let begun = Instant::now();
    let mut state = State::genesis(&genesis).expect("the genesis keeps its rules");
    drop(genesis);
    let (seconds, after) = (begun.elapsed().as_secs_f64(), resident_mb());
    println!("{accounts} accounts: built in {seconds:.2} s, {before} -> {after} MB resident");
    let proof = state.prove(Kind::Account, &secret(0).public().0).proof;
    println!("  proof of an account: {} octets", borsh::to_vec(&proof).expect("memory").len());

    let lanes = open_lanes(&mut state);
    let (mut checking, mut applying, mut settled) = (0.0, 0.0, 0);
    for round in 1..=BLOCKS {
        let tickets: Vec<_> =
            (0..PEOPLE).map(|person| ticket(&state, &lanes, person, round)).collect();
        let mut checked = Checked::new();
        let begun = Instant::now();
        checked.check(&state, &tickets);
        checking += begun.elapsed().as_secs_f64();
        let header = state.next_header(Maker::default(), &tickets);
        let block = Block { header, txs: tickets };
        let begun = Instant::now();
        let outcome = state.execute_checked(&block, &checked).expect("the block follows");
        applying += begun.elapsed().as_secs_f64();
        let is_applied = |outcome: &Outcome| matches!(outcome, Outcome::Applied(_));
        assert!(outcome.receipts.iter().all(|receipt| is_applied(&receipt.outcome)));
        settled += outcome.receipts.len();
    }
    let each = |seconds: f64| 1e6 * seconds / settled as f64;
    println!("  signatures of a ticket, three at once: {:.1} us", each(checking));
    println!("  apply: {:.2} us, {:.0} tickets/s", each(applying), 1e6 / each(applying));
    let begun = Instant::now();
    let snapshot = state.to_snapshot();
    let (octets, written) = (snapshot.len(), begun.elapsed());
    drop(state);
    let begun = Instant::now();
    let state = State::from_snapshot(&snapshot).expect("the snapshot is whole");
    drop(snapshot);
    println!("  snapshot: {octets} octets, written {written:.2?}, read {:.2?}", begun.elapsed());
    println!("  {} MB resident with the state at {}", resident_mb(), state.height());
}

/// One lane for each person, to two relays and an endpoint among them.
fn open_lanes(state: &mut State) -> Vec<LaneId> {
    let add =
        (0..PEOPLE).map(|person| sign(state, person, 0, Action::EscrowAdd { amount: coins(500) }));
    let mut txs: Vec<_> = add.collect();
    for person in 0..PEOPLE {
        let payees = [1, 2, 3].map(|hop| secret((person + hop * 37) % PEOPLE).public());
        let open = LaneOpen {
            path: PathHash([1; 32]),
            payees: payees.map(|account| Payee { account, weight: 1 }).to_vec(),
            price: Price::REFERENCE,
            cap: coins(400),
            fee_reserve: coins(1),
            expiry: Height(1_000_000),
        };
        txs.push(sign(state, person, 1, Action::LaneOpen(open)));
    }
    let header = state.next_header(Maker::default(), &txs);
    state.execute(&Block { header, txs }).expect("the block follows");
    let lane = |person| srwan_ledger::lane::lane_id(&state.chain(), &secret(person).public(), 1);
    (0..PEOPLE).map(lane).collect()
}

fn sign(state: &State, person: u32, nonce: u64, action: Action) -> SignedTx {
    Author::new(state.chain(), state.params().fees, secret(person)).sign(nonce, action)
}

/// The payer hands in its own ticket.
fn ticket(state: &State, lanes: &[LaneId], person: u32, round: u64) -> SignedTx {
    let id = lanes[usize::try_from(person).expect("few people")];
    let lane = state.lane(&id).expect("the lane is open");
    let (chain, octets) = (state.chain(), Octets(round * 1_000_000_000));
    let receipt = ReceiptBody {
        chain,
        lane: id,
        path: lane.open.path,
        octets,
        price: lane.open.price,
        expiry: lane.open.expiry,
    };
    let delivery = DeliveryBody { chain, lane: id, path: lane.open.path, octets };
    let endpoint = secret((person + 3 * 37) % PEOPLE);
    let ticket = Ticket {
        lane: id,
        receipt: Receipt::new(receipt, &secret(person)),
        delivery: Delivery::new(delivery, &endpoint),
        statements: Vec::new(),
    };
    sign(state, person, 1 + round, Action::Ticket(ticket))
}

/// What the kernel says that this process holds.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kb.unwrap_or(0) / 1_024
}
