//! What one router does otherwise than it should, as its neighbours see it.
//!
//! Its machine is the product's; what is changed is what stands between the machine and the network, as an operator who
//! cheats would: nothing that needs other routers' keys.

use crate::header::{Header, Kind, kind};
use srwan_wire::id::{ChainId, Height, LaneId, Octets, PathHash};
use srwan_wire::oam::Oam;
use srwan_wire::receipt::{Price, ReceiptBody, Signed};
use srwan_wire::sign::AccountSecret;
use std::collections::BTreeMap;
use std::time::Duration;

/// Octets behind the plaintext of a sealed control message.
const AEAD_TAG: usize = 16;

/// One router that cheats.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Index of the router.
    pub router: usize,
    /// Data that it does not relay, per 10,000. Control messages, so probes as well, pass.
    pub drops_data_per_10k: u32,
    /// How long it holds what it relays.
    pub holds: Duration,
    /// How much earlier than it came it says that something came from a neighbour (by index).
    pub early_from: BTreeMap<usize, Duration>,
    /// Whether the receipts that it signs stay at home.
    pub mutes_receipts: bool,
    counter: u32,
}

impl Behaviour {
    /// A router that does as it should so far.
    #[must_use]
    pub fn new(router: usize) -> Self {
        Self { router, ..Self::default() }
    }

    /// How much earlier `router` says that something of `from` came.
    pub(crate) fn early(&self, router: usize, from: Option<usize>) -> Duration {
        let is_mine = router == self.router;
        let early = from.filter(|_| is_mine).and_then(|from| self.early_from.get(&from));
        early.copied().unwrap_or_default()
    }

    /// How long `router` holds a datagram that it relays; `None` = for ever.
    pub(crate) fn relay(&mut self, router: usize, bytes: &[u8]) -> Option<Duration> {
        if router != self.router {
            return Some(Duration::ZERO);
        }
        // 7,919 is prime to 10,000: each remainder comes once in 10,000, and neighbours are far apart.
        self.counter = (self.counter + 7_919) % 10_000;
        let is_dropped = kind(bytes) == Kind::Data && self.counter < self.drops_data_per_10k;
        (!is_dropped).then_some(self.holds)
    }

    /// Whether a datagram that `router` made stays at home: receipts are told by their length.
    pub(crate) fn mutes(&self, router: usize, bytes: &[u8]) -> bool {
        let is_receipt = |header: Header| {
            header.kind == Kind::Oam && bytes.len() == header.len + receipt_len() + AEAD_TAG
        };
        self.mutes_receipts && router == self.router && Header::read(bytes).is_some_and(is_receipt)
    }
}

/// Octets of an encoded receipt: all have the same.
fn receipt_len() -> usize {
    let body = ReceiptBody {
        chain: ChainId::default(),
        lane: LaneId([0; 32]),
        path: PathHash([0; 32]),
        octets: Octets(1),
        price: Price(1),
        expiry: Height(1),
    };
    Oam::Receipt(Signed::new(body, &AccountSecret::from_seed(&[1; 32]))).encode().len()
}
