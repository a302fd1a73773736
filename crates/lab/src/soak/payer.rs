//! What one account of the load does next: transfers, lanes opened, settled in steps, and closed. No IO here.

use srwan_ledger::amount::Amount;
use srwan_ledger::lane::{LaneOpen, Payee};
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::{Author, SignedTx};
use srwan_wire::id::{ChainId, Height, LaneId, Octets, PathHash};
use srwan_wire::receipt::{DeliveryBody, Price, ReceiptBody, Signed};
use srwan_wire::sign::AccountSecret;

use crate::fabric::random::Random;

use super::load::LANE_CAP;

/// A transaction, and what must become of it.
pub struct Entry {
    pub tx: SignedTx,
    pub wanted: Wanted,
}

/// What must become of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Applied,
    /// Applied, and it settles octets.
    Settled,
    /// Rejected: its octets are settled already.
    NothingToSettle,
}

/// One account that pays.
pub struct Payer {
    chain: ChainId,
    author: Author,
    own: usize,
    secrets: Vec<[u8; 32]>,
    pub random: Random,
    nonces: Nonces,
    lane: Option<OpenLane>,
}

/// 0, 1, 2, and so on: the ledger takes them in order and without gaps.
struct Nonces(u64);

impl Nonces {
    fn take(&mut self) -> u64 {
        self.0 += 1;
        self.0 - 1
    }
}

struct OpenLane {
    id: LaneId,
    open: LaneOpen,
    /// The endpoint, which signs deliveries.
    endpoint: AccountSecret,
    octets: u64,
}

impl Payer {
    /// The payer with the secret at a position among all payers' secrets.
    pub fn new(
        chain: ChainId,
        author: Author,
        (own, secrets): (usize, Vec<[u8; 32]>),
        random: Random,
    ) -> Self {
        Self { chain, author, own, secrets, random, nonces: Nonces(0), lane: None }
    }

    /// The next few transactions, in the order of their nonces.
    pub fn next_batch(&mut self, height: u64) -> Vec<Entry> {
        let mut batch = Vec::new();
        let count = 3 + self.random.below(BATCH_MORE);
        for _ in 0..count {
            if self.random.below(10) < TRANSFERS_OF_TEN {
                self.transfer(&mut batch);
            } else {
                self.lane_step(height, &mut batch);
            }
        }
        batch
    }

    fn transfer(&mut self, batch: &mut Vec<Entry>) {
        let to = self.other(0).public();
        let amount = Amount::from_base(1 + self.random.below(1_000_000));
        let tx = self.author.transfer(self.nonces.take(), to, amount);
        batch.push(Entry { tx, wanted: Wanted::Applied });
    }

    fn lane_step(&mut self, height: u64, batch: &mut Vec<Entry>) {
        match self.lane.take() {
            None => self.open_lane(height, batch),
            Some(lane) if lane.octets >= LANE_OCTETS => {
                let tx = self.author.lane_close(self.nonces.take(), lane.id);
                batch.push(Entry { tx, wanted: Wanted::Applied });
            }
            Some(lane) => self.settle(lane, batch),
        }
    }

    fn open_lane(&mut self, height: u64, batch: &mut Vec<Entry>) {
        let (relay, endpoint) = (self.other(0), self.other(1));
        let payee = |secret: &AccountSecret| Payee { account: secret.public(), weight: 1 };
        let open = LaneOpen {
            path: PathHash([u8::try_from(self.own).unwrap_or(0); 32]),
            payees: vec![payee(&relay), payee(&endpoint)],
            price: Price::REFERENCE,
            cap: LANE_CAP,
            fee_reserve: FEE_RESERVE,
            expiry: Height(height + LANE_BLOCKS),
        };
        let funds = LANE_CAP.checked_add(FEE_RESERVE).expect("both are far below the supply");
        let tx = self.author.escrow_add(self.nonces.take(), funds);
        batch.push(Entry { tx, wanted: Wanted::Applied });
        let (id, tx) = self.author.lane_open(self.nonces.take(), open.clone());
        batch.push(Entry { tx, wanted: Wanted::Applied });
        self.lane = Some(OpenLane { id, open, endpoint, octets: 0 });
    }

    /// A ticket for one to three MB more, and now and then the same evidence once more.
    fn settle(&mut self, lane: OpenLane, batch: &mut Vec<Entry>) {
        let more = 1_000_000 + self.random.below(2_000_000);
        let lane = OpenLane { octets: (lane.octets + more).min(LANE_OCTETS), ..lane };
        // The last step may be less than an open lane settles, but it reaches the cap.
        let ticket = self.ticket(&lane);
        let tx = self.author.ticket(self.nonces.take(), ticket.clone());
        batch.push(Entry { tx, wanted: Wanted::Settled });
        if self.random.below(10) == 0 {
            let tx = self.author.ticket(self.nonces.take(), ticket);
            batch.push(Entry { tx, wanted: Wanted::NothingToSettle });
        }
        self.lane = Some(lane);
    }

    fn ticket(&self, lane: &OpenLane) -> Ticket {
        let (chain, path, octets) = (self.chain, lane.open.path, Octets(lane.octets));
        let receipt = ReceiptBody {
            chain,
            lane: lane.id,
            path,
            octets,
            price: lane.open.price,
            expiry: lane.open.expiry,
        };
        let delivery = DeliveryBody { chain, lane: lane.id, path, octets };
        let own = AccountSecret::from_seed(&self.secrets[self.own]);
        Ticket {
            lane: lane.id,
            receipt: Signed::new(receipt, &own),
            delivery: Signed::new(delivery, &lane.endpoint),
            statements: Vec::new(),
        }
    }

    /// Another payer than this one; different steps name different ones.
    fn other(&self, step: usize) -> AccountSecret {
        let at = (self.own + 1 + step) % self.secrets.len();
        AccountSecret::from_seed(&self.secrets[at])
    }
}

/// At most this many more than three transactions at once: far fewer than the 64 nonces a pool takes.
const BATCH_MORE: u64 = 6;
const TRANSFERS_OF_TEN: u64 = 5;
/// What [`LANE_CAP`] pays for at [`Price::REFERENCE`].
const LANE_OCTETS: u64 = 20_000_000;
/// For about ten tickets; the rest is paid by who submits them.
const FEE_RESERVE: Amount = Amount::from_base(10_000_000);
/// A lane is used up long before.
const LANE_BLOCKS: u64 = 20_000;
