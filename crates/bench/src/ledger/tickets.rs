//! Signed tickets, made before the clock runs: what clients spend on signing is not what a ledger costs.

use srwan_ledger::amount::Amount;
use srwan_ledger::fee::FeeSchedule;
use srwan_ledger::lane::{LaneOpen, Payee, lane_id};
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::{Author, SignedTx};
use srwan_wire::id::{AccountKey, ChainId, Height, LaneId, Octets, PathHash};
use srwan_wire::receipt::{DeliveryBody, Price, ReceiptBody, Signed};
use srwan_wire::sign::AccountSecret;

/// Accounts that each pay one lane over two relays to an endpoint, all of them payers themselves.
pub struct Market {
    chain: ChainId,
    payers: Vec<Payer>,
    turn: usize,
}

struct Payer {
    author: Author,
    own: AccountSecret,
    endpoint: AccountSecret,
    open: LaneOpen,
    lane: LaneId,
    nonce: u64,
    octets: u64,
}

impl Market {
    /// Payers whose lanes are open from `height` on for as long as lanes may be.
    pub fn new(chain: ChainId, fees: FeeSchedule, payers: usize, height: Height) -> Self {
        let count = u32::try_from(payers).unwrap_or(u32::MAX);
        let payer = |number| Payer::new(chain, fees, (number, count), height);
        Self { chain, payers: (0..count).map(payer).collect(), turn: 0 }
    }

    /// Two transactions of each payer, which fund its lane.
    pub fn open(&mut self) -> Vec<SignedTx> {
        self.payers.iter_mut().flat_map(Payer::fund).collect()
    }

    /// The next tickets, one payer after the other.
    pub fn tickets(&mut self, count: usize) -> Vec<SignedTx> {
        (0..count).map(|_| self.next_ticket()).collect()
    }

    fn next_ticket(&mut self) -> SignedTx {
        let turn = self.turn % self.payers.len();
        self.turn += 1;
        self.payers[turn].settle(self.chain)
    }

    /// Every lane with the octets that its tickets so far settle.
    pub fn settled(&self) -> impl Iterator<Item = (LaneId, Octets)> + '_ {
        self.payers.iter().map(|payer| (payer.lane, Octets(payer.octets)))
    }
}

impl Payer {
    fn new(chain: ChainId, fees: FeeSchedule, (own, count): (u32, u32), from: Height) -> Self {
        let hop = |step: u32| secret((own + step * HOP_STEP) % count);
        let payee = |step| Payee { account: hop(step).public(), weight: 1 };
        let open = LaneOpen {
            path: PathHash([1; 32]),
            payees: vec![payee(1), payee(2), payee(3)],
            price: Price::REFERENCE,
            cap: coins(400),
            fee_reserve: coins(20),
            expiry: Height(from.0 + LANE_BLOCKS),
        };
        let lane = lane_id(&chain, &secret(own).public(), 1);
        let author = Author::new(chain, fees, secret(own));
        Self { author, own: secret(own), endpoint: hop(3), open, lane, nonce: 0, octets: 0 }
    }

    fn fund(&mut self) -> [SignedTx; 2] {
        let funds = coins(420);
        let (first, second) = (self.take_nonce(), self.take_nonce());
        let add = self.author.escrow_add(first, funds);
        let (_, open) = self.author.lane_open(second, self.open.clone());
        [add, open]
    }

    fn settle(&mut self, chain: ChainId) -> SignedTx {
        self.octets += TICKET_OCTETS;
        let (lane, path, octets) = (self.lane, self.open.path, Octets(self.octets));
        let (price, expiry) = (self.open.price, self.open.expiry);
        let receipt = ReceiptBody { chain, lane, path, octets, price, expiry };
        let delivery = DeliveryBody { chain, lane, path, octets };
        let ticket = Ticket {
            lane,
            receipt: Signed::new(receipt, &self.own),
            delivery: Signed::new(delivery, &self.endpoint),
            statements: Vec::new(),
        };
        let nonce = self.take_nonce();
        self.author.ticket(nonce, ticket)
    }

    fn take_nonce(&mut self) -> u64 {
        self.nonce += 1;
        self.nonce - 1
    }
}

/// The key of a payer.
pub fn secret(number: u32) -> AccountSecret {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    AccountSecret::from_seed(&seed)
}

/// The accounts of so many payers, for a genesis.
pub fn accounts(payers: usize) -> Vec<AccountKey> {
    let count = u32::try_from(payers).unwrap_or(u32::MAX);
    (0..count).map(|number| secret(number).public()).collect()
}

fn coins(coins: u64) -> Amount {
    Amount::from_coins(coins).unwrap_or(Amount::ZERO)
}

/// What a ticket settles: the least that an open lane settles by the default rules, 0.1 coins.
const TICKET_OCTETS: u64 = 10_000_000;
/// Payees are far apart, so that a block's tickets pay different accounts.
const HOP_STEP: u32 = 37;
/// Longer than any measurement.
const LANE_BLOCKS: u64 = 200_000;
