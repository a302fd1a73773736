//! What is owed is settled once, whatever happens to the ledger, to one of its validators, or to this router.

use crate::fake_ledger::{CHAIN, Chain, Validator};
use srwan_ledger::amount::Amount;
use srwan_node::LedgerFact;
use srwan_node::pay::Evidence;
use srwan_router::evidence;
use srwan_router::journal::Journal;
use srwan_router::ledger::{Job, Ledger, Pace, Validators};
use srwan_wire::id::{ChainId, Height, LaneId, Octets, PathHash};
use srwan_wire::receipt::{Delivery, DeliveryBody, Price, Receipt, ReceiptBody};
use srwan_wire::sign::AccountSecret;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

const QUICK: Pace = Pace {
    refresh: Duration::from_millis(5),
    hold: Duration::from_millis(5),
    wait: Duration::from_millis(20),
    patience: Duration::from_millis(400),
};

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn lane(number: u8) -> LaneId {
    LaneId([number; 32])
}

fn owed(number: u8, octets: u64) -> Evidence {
    let (lane, path, octets) = (lane(number), PathHash([9; 32]), Octets(octets));
    let (price, expiry) = (Price::REFERENCE, Height(1_000));
    let receipt = ReceiptBody { chain: CHAIN, lane, path, octets, price, expiry };
    let delivery = DeliveryBody { chain: CHAIN, lane, path, octets };
    let signer = AccountSecret::from_seed(&[number; 32]);
    let delivery = Some(Delivery::new(delivery, &signer));
    Evidence { lane, receipt: Receipt::new(receipt, &signer), delivery, statements: Vec::new() }
}

/// A chain with three open lanes that have paid nothing.
fn chain() -> Arc<Mutex<Chain>> {
    Chain::new((1..=3).map(lane))
}

/// A router's ledger task, and what it tells.
struct Task {
    jobs: mpsc::Sender<Job>,
    facts: mpsc::Receiver<LedgerFact>,
    /// Told, and not waited for yet.
    told: Vec<LedgerFact>,
}

impl Task {
    fn start(urls: &[&str]) -> Self {
        Self::start_at(QUICK, urls)
    }

    fn start_at(pace: Pace, urls: &[&str]) -> Self {
        Self::funded(pace, urls, Amount::ZERO)
    }

    fn funded(pace: Pace, urls: &[&str], escrow: Amount) -> Self {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        let (sender, facts) = mpsc::channel(100);
        let secret = AccountSecret::from_seed(&[1; 32]);
        let client = Validators::new(&urls).unwrap();
        let (task, _view) = Ledger::new(client, secret, escrow, sender);
        let (jobs, waiting) = mpsc::channel(100);
        tokio::spawn(task.at(pace).run(waiting));
        Self { jobs, facts, told: Vec::new() }
    }

    async fn settle(&self, evidence: Evidence) {
        self.jobs.send(Job::Settle(Box::new(evidence))).await.unwrap();
    }

    /// Waits until the lane is told to be settled up to so many octets.
    async fn settled(&mut self, number: u8, octets: u64) {
        let wanted = LedgerFact::Settled { lane: lane(number), octets: Octets(octets) };
        let told = async {
            while !self.told.contains(&wanted) {
                self.told.push(self.facts.recv().await.unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, told).await.unwrap();
        self.told.retain(|fact| *fact != wanted);
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Blocks come while the test goes on.
fn make_blocks(validator: &Validator) {
    let validator = validator.clone();
    tokio::spawn(async move {
        loop {
            validator.block();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    });
}

#[tokio::test]
async fn what_is_owed_waits_for_the_ledger_and_is_settled_once() {
    let validator = Validator::start(&chain()).await;
    validator.set_away(true);
    let mut task = Task::start(&[&validator.url]);
    for octets in [1_000, 2_000, 2_000, 1_500, 3_000] {
        for number in 1..=3 {
            task.settle(owed(number, octets)).await;
        }
    }
    tokio::time::sleep(QUICK.refresh * 4).await;
    assert!(validator.handed_in().is_empty());
    validator.set_away(false);
    make_blocks(&validator);
    for number in 1..=3 {
        task.settled(number, 3_000).await;
    }
    // The same again, as after a restart: it has been paid, so nothing is handed in.
    let before = validator.handed_in().len();
    for number in 1..=3 {
        task.settle(owed(number, 3_000)).await;
        task.settled(number, 3_000).await;
    }
    assert_eq!(validator.handed_in().len(), before);
    let once: BTreeMap<LaneId, u32> = (1..=3).map(|number| (lane(number), 1)).collect();
    assert_eq!(validator.chain().paying, once);
}

#[tokio::test]
async fn the_escrow_waits_until_the_ledger_takes_transactions_and_is_locked_once() {
    let validator = Validator::start(&chain()).await;
    validator.chain().balance = Amount::from_coins(100).unwrap();
    validator.set_syncing(true);
    let escrow = Amount::from_coins(20).unwrap();
    let _task = Task::funded(QUICK, &[&validator.url], escrow);
    tokio::time::sleep(QUICK.refresh * 4).await;
    assert!(validator.handed_in().is_empty());
    validator.set_syncing(false);
    until("handed in", || !validator.handed_in().is_empty()).await;
    validator.lose_waiting();
    make_blocks(&validator);
    until("locked", || validator.chain().escrowed == escrow).await;
    tokio::time::sleep(QUICK.refresh * 4).await;
    assert_eq!(validator.chain().escrowed, escrow);
}

#[tokio::test]
async fn a_validator_that_lost_what_waits_is_given_the_same_transaction() {
    let validator = Validator::start(&chain()).await;
    // Slow enough that signing anew, which comes after sixty pauses, is not what is seen here.
    let pace = Pace { refresh: Duration::from_secs(1), ..QUICK };
    let mut task = Task::start_at(pace, &[&validator.url]);
    task.settle(owed(1, 5_000)).await;
    until("the ticket is handed in", || validator.handed_in().len() == 1).await;
    validator.lose_waiting();
    until("it is handed in again", || validator.handed_in().len() >= 2).await;
    let handed_in = validator.handed_in();
    assert!(handed_in.iter().all(|hash| *hash == handed_in[0]), "{handed_in:?}");
    validator.block();
    task.settled(1, 5_000).await;
    assert_eq!(validator.chain().paying, BTreeMap::from([(lane(1), 1)]));
}

#[tokio::test]
async fn the_next_validator_is_asked_when_one_is_dead() {
    let chain = chain();
    let (first, second) = (Validator::start(&chain).await, Validator::start(&chain).await);
    let mut task = Task::start(&["http://127.0.0.1:1", &first.url, &second.url]);
    task.settle(owed(1, 5_000)).await;
    until("the first live one has the ticket", || !first.handed_in().is_empty()).await;
    // It dies with the ticket in its memory.
    first.set_away(true);
    until("the second one has it", || !second.handed_in().is_empty()).await;
    assert_eq!(second.handed_in()[0], first.handed_in()[0]);
    second.block();
    task.settled(1, 5_000).await;
    // Had the first one's been in a block too, its nonce would have been used.
    first.block();
    assert_eq!(second.chain().paying, BTreeMap::from([(lane(1), 1)]));
}

#[tokio::test]
async fn a_validator_of_another_ledger_is_not_asked() {
    let chain = chain();
    let (first, other) = (Validator::start(&chain).await, Validator::start(&chain).await);
    other.set_chain_id(ChainId([8; 32]));
    let mut task = Task::start(&[&first.url, &other.url]);
    let told = tokio::time::timeout(PATIENCE, task.facts.recv()).await.unwrap();
    assert_eq!(told, Some(LedgerFact::Chain(CHAIN)));
    first.set_away(true);
    task.settle(owed(1, 5_000)).await;
    tokio::time::sleep(QUICK.refresh * 4).await;
    first.set_away(false);
    make_blocks(&first);
    task.settled(1, 5_000).await;
    assert!(other.handed_in().is_empty());
}

#[tokio::test]
async fn a_validator_that_is_behind_is_not_believed_that_a_lane_is_gone() {
    let chain = chain();
    let (first, behind) = (Validator::start(&chain).await, Validator::start(&chain).await);
    behind.set_lag(50);
    let mut task = Task::start(&[&first.url, &behind.url]);
    let told = tokio::time::timeout(PATIENCE, task.facts.recv()).await.unwrap();
    assert_eq!(told, Some(LedgerFact::Chain(CHAIN)));
    first.set_away(true);
    task.settle(owed(2, 5_000)).await;
    tokio::time::sleep(QUICK.refresh * 4).await;
    let gone = LedgerFact::Lane { lane: lane(2), fact: None };
    while let Ok(fact) = task.facts.try_recv() {
        assert_ne!(fact, gone);
    }
    behind.set_lag(0);
    make_blocks(&behind);
    task.settled(2, 5_000).await;
    assert_eq!(behind.chain().paying, BTreeMap::from([(lane(2), 1)]));
}

#[tokio::test]
async fn a_router_that_was_restarted_settles_what_its_journal_holds() {
    let state = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(state.path()).unwrap();
    for number in 1..=3 {
        let Evidence { lane, receipt, delivery, statements } = owed(number, 7_000);
        let payload = borsh::to_vec(&(&receipt, &delivery, &statements)).unwrap();
        journal.keep(lane, &payload).unwrap();
    }
    journal.sync().unwrap();
    drop(journal);
    let validator = Validator::start(&chain()).await;
    make_blocks(&validator);
    // Twice: the second start finds what the first had settled, as if it had been killed before it noted that.
    for _ in 0..2 {
        let (_, recovered) = Journal::open(state.path()).unwrap();
        let mut task = Task::start(&[&validator.url]);
        for evidence in evidence::recover(&recovered) {
            task.settle(evidence).await;
        }
        for number in 1..=3 {
            task.settled(number, 7_000).await;
        }
    }
    let once: BTreeMap<LaneId, u32> = (1..=3).map(|number| (lane(number), 1)).collect();
    assert_eq!(validator.chain().paying, once);
}
