//! What is signed about money on a path: quotes, receipts, deliveries, link statements.
//!
//! Each is a small borsh struct under a domain of its own, carried with its signature as
//! [`Signed`]. Receipts and deliveries are *cumulative*: a later one replaces every earlier one of
//! the same lane, so losing, replaying, reordering or duplicating them is harmless. A receipt is
//! the payer's word and the only thing that moves coins; a delivery is the endpoint's word and can
//! only lower what is paid; a link statement is evidence and moves nothing by itself.
//!
//! This module does not know lanes, balances or rules: that is `srwan-ledger`.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;

use crate::canary::{self, Canary};
use crate::id::{AccountKey, ChainId, Height, LaneId, Octets, PathHash};
use crate::sign::{self, AccountSecret, BadSignature, Signature};
use crate::time::Timestamp;

/// Cumulative octets between two receipts of a lane, towards a payee that has been paid before.
///
/// 16 MiB is 0.168 coin at the reference price: the most that a crash can cost (promise I13).
pub const RECEIPT_STEP: Octets = Octets(16 << 20);

/// Cumulative octets between two receipts of a lane, towards a payee that was never paid.
pub const RECEIPT_STEP_STRANGER: Octets = Octets(1 << 20);

/// A price for carrying traffic.
///
/// - **Units:** base units (10^-9 coin) per MB (10^6 octets). `u64::MAX` = never for sale.
/// - **Source:** the design note on money; the reference price is 10 coins per GB = 10^7.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Price(pub u64);

impl Price {
    /// 10 coins for 10^9 octets.
    pub const REFERENCE: Self = Self(10_000_000);
    /// Never for sale: such a router measures, but no lane can pay it.
    pub const INFINITE: Self = Self(u64::MAX);

    /// Whether something can be bought at this price.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        self.0 != u64::MAX
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_finite() { write!(f, "{}", self.0) } else { f.write_str("inf") }
    }
}

/// An object that is signed as its canonical borsh bytes under a domain of its own.
pub trait Signable: BorshSerialize {
    /// What the signature speaks about; no two kinds share one.
    const DOMAIN: &'static str;
}

/// An object and a signature over it. Whether the signature holds is asked with [`Signed::verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Signed<T> {
    /// What is said.
    pub body: T,
    /// By whom is not said here: the verifier must know whose word it needs.
    pub signature: Signature,
}

impl<T: Signable> Signed<T> {
    /// Signs `body`.
    #[must_use]
    pub fn new(body: T, secret: &AccountSecret) -> Self {
        let signature = secret.sign(T::DOMAIN, &encode(&body));
        Self { body, signature }
    }

    /// Checks that `signer` signed this very object.
    ///
    /// **Errors:** [`BadSignature`]; the object says nothing then.
    pub fn verify(&self, signer: &AccountKey) -> Result<(), BadSignature> {
        sign::verify(T::DOMAIN, &encode(&self.body), signer, &self.signature)
    }
}

fn encode<T: BorshSerialize>(body: &T) -> Vec<u8> {
    borsh::to_vec(body).expect("writing to a Vec does not fail")
}

/// Which end of a relay's link a quote is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Direction {
    /// Traffic that the relay receives from the payer's side.
    Forward,
    /// Traffic that the relay sends towards the payer's side.
    Reverse,
}

/// A relay's offer to carry traffic at a price. Signed by the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct QuoteBody {
    /// The ledger that the price is paid on.
    pub chain: ChainId,
    /// Who offers; also whose signature this needs.
    pub relay: AccountKey,
    /// Which direction of traffic.
    pub direction: Direction,
    /// What it costs; never [`Price::INFINITE`] (a measure-only router does not quote).
    pub price: Price,
    /// Last height at which a lane may be opened at this price.
    pub until: Height,
    /// The most that will be carried under this offer.
    pub octets_max: Octets,
    /// Distinguishes two offers that say the same.
    pub nonce: u64,
}

/// A signed [`QuoteBody`].
pub type Quote = Signed<QuoteBody>;

impl Signable for QuoteBody {
    const DOMAIN: &'static str = "srwan quote v1";
}

/// The payer's promise to pay for `octets` in total on one lane. Signed by the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ReceiptBody {
    /// The ledger that the lane is on.
    pub chain: ChainId,
    /// The lane that pays.
    pub lane: LaneId,
    /// The path of the lane, so that no hop outside it can claim.
    pub path: PathHash,
    /// Octets since the lane was opened, not since the last receipt.
    pub octets: Octets,
    /// The price of the lane.
    pub price: Price,
    /// The expiry height of the lane.
    pub expiry: Height,
}

/// A signed [`ReceiptBody`] (the payment world's word for it is voucher).
pub type Receipt = Signed<ReceiptBody>;

impl Signable for ReceiptBody {
    const DOMAIN: &'static str = "srwan receipt v1";
}

/// What arrived at the end of a lane's path in total. Signed by the endpoint, the lane's last
/// payee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DeliveryBody {
    /// The ledger that the lane is on.
    pub chain: ChainId,
    /// The lane that the traffic was billed to.
    pub lane: LaneId,
    /// The path of the lane.
    pub path: PathHash,
    /// Octets delivered since the lane was opened.
    pub octets: Octets,
}

/// A signed [`DeliveryBody`].
pub type Delivery = Signed<DeliveryBody>;

impl Signable for DeliveryBody {
    const DOMAIN: &'static str = "srwan delivery v1";
}

/// The counters of one end of a link at one moment. Signed by that end.
///
/// Counters are monotone within one boot (`boot_time`, `boot_nonce`) and are never compared across
/// boots (promise I14). Two different statements for one (boot, seq), or a counter that falls while
/// seq rises within a boot, contradict each other: see [`contradicts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LinkStatementBody {
    /// The ledger on which the reporter is registered.
    pub chain: ChainId,
    /// The end that speaks; also whose signature this needs.
    pub reporter: AccountKey,
    /// The other end.
    pub peer: AccountKey,
    /// When the reporter's router started, by its own clock.
    pub boot_time: Timestamp,
    /// Drawn at start, so that a clock step never merges two boots.
    pub boot_nonce: u64,
    /// Rises with every statement within a boot.
    pub seq: u64,
    /// The counters themselves.
    pub counters: LinkCounters,
}

/// The paper's four ticket counters of one end of a link. 64 bits do not wrap within a boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LinkCounters {
    /// Octets sent to the peer since boot.
    pub out_octets: Octets,
    /// Octets received from the peer since boot.
    pub in_octets: Octets,
    /// Octets received from all peers since boot.
    pub total_traffic_in: Octets,
    /// Octets sent to all peers since boot.
    pub total_traffic_out: Octets,
}

impl LinkCounters {
    /// Whether no counter is lower than in `earlier`.
    #[must_use]
    pub fn has_not_fallen_since(&self, earlier: &Self) -> bool {
        self.out_octets >= earlier.out_octets
            && self.in_octets >= earlier.in_octets
            && self.total_traffic_in >= earlier.total_traffic_in
            && self.total_traffic_out >= earlier.total_traffic_out
    }
}

/// A signed [`LinkStatementBody`].
pub type LinkStatement = Signed<LinkStatementBody>;

impl Signable for LinkStatementBody {
    const DOMAIN: &'static str = "srwan link statement v1";
}

/// Whether both statements cannot be true: same ledger, reporter, peer and boot, and either one
/// sequence number with two contents or a counter that fell while the sequence rose.
#[must_use]
pub fn contradicts(left: &LinkStatementBody, right: &LinkStatementBody) -> bool {
    let same_series = left.chain == right.chain
        && left.reporter == right.reporter
        && left.peer == right.peer
        && (is_same_boot(left, right) || canary::is(Canary::BootIgnored));
    let (earlier, later) = if left.seq <= right.seq { (left, right) } else { (right, left) };
    let tells_two_stories = if earlier.seq == later.seq {
        earlier.counters != later.counters
    } else {
        !later.counters.has_not_fallen_since(&earlier.counters)
    };
    same_series && tells_two_stories
}

fn is_same_boot(left: &LinkStatementBody, right: &LinkStatementBody) -> bool {
    left.boot_time == right.boot_time && left.boot_nonce == right.boot_nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(seq: u64, out: u64) -> LinkStatementBody {
        LinkStatementBody {
            chain: ChainId([1; 32]),
            reporter: AccountKey([2; 32]),
            peer: AccountKey([3; 32]),
            boot_time: Timestamp::from_nanos(5),
            boot_nonce: 9,
            seq,
            counters: LinkCounters { out_octets: Octets(out), ..LinkCounters::default() },
        }
    }

    fn receipt(octets: u64) -> ReceiptBody {
        ReceiptBody {
            chain: ChainId([1; 32]),
            lane: LaneId([2; 32]),
            path: PathHash([3; 32]),
            octets: Octets(octets),
            price: Price::REFERENCE,
            expiry: Height(100),
        }
    }

    #[test]
    fn a_receipt_is_the_word_of_its_signer_only() {
        let payer = AccountSecret::from_seed(&[7; 32]);
        let stranger = AccountSecret::from_seed(&[8; 32]);
        let signed = Receipt::new(receipt(5), &payer);
        assert!(signed.verify(&payer.public()).is_ok());
        assert!(signed.verify(&stranger.public()).is_err());
    }

    #[test]
    fn a_receipt_with_one_more_octet_does_not_verify() {
        let payer = AccountSecret::from_seed(&[7; 32]);
        let mut signed = Receipt::new(receipt(5), &payer);
        signed.body.octets = Octets(6);
        assert!(signed.verify(&payer.public()).is_err());
    }

    #[test]
    fn a_signed_object_reads_what_it_wrote() {
        let signed = Receipt::new(receipt(5), &AccountSecret::from_seed(&[7; 32]));
        let bytes = borsh::to_vec(&signed).unwrap();
        assert_eq!(bytes.len(), 32 * 3 + 8 * 3 + 64);
        assert_eq!(borsh::from_slice::<Receipt>(&bytes).unwrap(), signed);
    }

    #[test]
    fn two_values_for_one_sequence_number_contradict() {
        assert!(contradicts(&statement(4, 10), &statement(4, 11)));
        assert!(!contradicts(&statement(4, 10), &statement(4, 10)));
    }

    #[test]
    fn a_counter_that_falls_within_a_boot_contradicts_in_either_order() {
        assert!(contradicts(&statement(4, 10), &statement(5, 9)));
        assert!(contradicts(&statement(5, 9), &statement(4, 10)));
        assert!(!contradicts(&statement(4, 10), &statement(5, 10)));
    }

    #[test]
    fn counters_of_two_boots_are_never_compared() {
        let rebooted = LinkStatementBody { boot_nonce: 10, ..statement(5, 0) };
        assert!(!contradicts(&statement(4, 10), &rebooted));
        let clock_went_back =
            LinkStatementBody { boot_time: Timestamp::from_nanos(4), ..statement(4, 0) };
        assert!(!contradicts(&statement(4, 10), &clock_went_back));
    }

    #[test]
    fn a_counter_near_its_end_saturates_rather_than_wraps() {
        assert!(!contradicts(&statement(1, u64::MAX), &statement(2, u64::MAX)));
        assert!(contradicts(&statement(1, u64::MAX), &statement(2, 0)));
    }
}
