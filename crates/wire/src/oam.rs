//! Control messages between routers: what an OAM packet carries once its payload is opened.
//!
//! Encoded with borsh (canonical). Every list is bounded when it is read, so that no peer can make a reader allocate
//! more than a datagram's worth.

use crate::id::{AccountKey, Height, LaneId, LaneLabel, NodeId, Octets, PathHash, PathId};
use crate::padding::Padding;
use crate::receipt::{Delivery, LinkStatement, Receipt};
use crate::sid::RELAYS_MAX;
use crate::time::{Owd, Timestamp};
use borsh::{BorshDeserialize, BorshSerialize};

/// Largest encoded message, in octets: it must fit one datagram on a 1280-octet path (IPv6's minimum MTU, RFC 8200)
/// with 48 octets of IPv6 and UDP and the longest header and tags.
pub const OAM_LEN_MAX: usize = 1_160;

/// Largest padded probe, in octets: as long as the largest inner packet that a TUN interface may be configured for.
pub const PADDED_LEN_MAX: usize = 9_000;

/// The first octet of an encoded [`Oam::PaddedProbe`].
const TAG_PADDED_PROBE: u8 = 12;

/// A control message.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Oam {
    /// A member's state: its measured row, encoded by [`crate::pulse`].
    Pulse(Vec<u8>),
    /// A STAMP test packet along a given path.
    Probe(Probe),
    /// The reflector's answer to a probe.
    Reflection(Reflection),
    /// "Serve this lane": from the headend to each hop of a path.
    LaneSetup(LaneSetup),
    /// The hop's answer to a lane set-up.
    LaneAnswer(LaneAnswer),
    /// The payer's cumulative voucher for a lane.
    Receipt(Receipt),
    /// The endpoint's cumulative statement of what it delivered of a lane.
    Delivery(Delivery),
    /// "I hold your receipt up to here": stops the payer from sending it again.
    ReceiptAck(ReceiptAck),
    /// The payer is done with a lane: settle what you hold.
    LaneEnd(LaneId),
    /// One end's signed counters of the link between sender and receiver.
    LinkStatement(LinkStatement),
    /// "I see you at this address": the reflexive address of the receiver.
    Reflexive(ReflexiveAddress),
    /// Ask an egress to measure a destination, or its answer.
    Destination(DestinationProbe),
    /// A probe as long as an inner packet that is asked about: does the path carry it (RFC 8899)?
    PaddedProbe(PaddedProbe),
}

impl Oam {
    /// The encoded message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("writing to memory cannot fail")
    }

    /// Reads one message, which must be the whole of `bytes`.
    ///
    /// # Errors
    /// Whatever is malformed, too long or left over.
    pub fn decode(bytes: &[u8]) -> Result<Self, OamError> {
        let is_padded = bytes.first() == Some(&TAG_PADDED_PROBE);
        if bytes.len() > if is_padded { PADDED_LEN_MAX } else { OAM_LEN_MAX } {
            return Err(OamError::TooLong);
        }
        borsh::from_slice(bytes).map_err(|_| OamError::Malformed)
    }
}

/// Why bytes are no control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OamError {
    /// Longer than [`OAM_LEN_MAX`]; a padded probe: than [`PADDED_LEN_MAX`].
    #[error("a control message has at most {OAM_LEN_MAX} octets")]
    TooLong,
    /// Not the encoding of any message.
    #[error("the control message is malformed")]
    Malformed,
}

/// The relays of a path, in order of travel; at most [`RELAYS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize)]
pub struct Relays(Vec<NodeId>);

impl Relays {
    /// The relays, or `None` if there are more than [`RELAYS_MAX`].
    #[must_use]
    pub fn new(relays: Vec<NodeId>) -> Option<Self> {
        (relays.len() <= RELAYS_MAX).then_some(Self(relays))
    }

    /// The relays in order of travel.
    #[must_use]
    pub fn as_slice(&self) -> &[NodeId] {
        &self.0
    }
}

impl BorshDeserialize for Relays {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let relays = Vec::deserialize_reader(reader)?;
        Self::new(relays).ok_or_else(|| {
            borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, "too many relays")
        })
    }
}

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum ProbePurpose {
    /// Is the path up, and how good is it (default, active and standby path).
    Liveness,
    /// May this candidate carry traffic.
    Confirmation,
    /// One hop of a path in use measures the path up to itself.
    HopSample,
    /// A person asked.
    Ping,
    /// Does the path carry a packet as long as this probe is.
    PathMtu,
}

/// A STAMP test packet (RFC 8762), sealed for its reflector and sent over exactly the path that it measures.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Probe {
    /// What it is for.
    pub purpose: ProbePurpose,
    /// The sender's name for the measured path: echoed, not interpreted.
    pub path: PathId,
    /// The sender's sequence number on that path.
    pub seq: u32,
    /// When it was sent, by the sender's clock (t1).
    pub sent: Timestamp,
    /// The relays that it passes, in order: the reflector stores what it measured of them.
    pub relays: Relays,
}

/// A probe with zeros behind it. Its answer is not padded: only the way there is asked about.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PaddedProbe {
    /// The probe.
    pub probe: Probe,
    /// What makes it long.
    pub padding: Padding,
}

impl PaddedProbe {
    /// `probe` with so much padding that its message has exactly `octets`; `None` if it is longer without any.
    #[must_use]
    pub fn with_len(probe: Probe, octets: u16) -> Option<Self> {
        let bare = Self { probe, padding: Padding(0) };
        let len = 1 + borsh::object_length(&bare).ok()?;
        let padding = octets.checked_sub(u16::try_from(len).ok()?)?;
        Some(Self { padding: Padding(padding), ..bare })
    }
}

/// The answer to a probe. The same reflection may arrive by two paths; `purpose`, `path` and `seq` tell that it is one.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Reflection {
    /// From the probe.
    pub purpose: ProbePurpose,
    /// From the probe.
    pub path: PathId,
    /// From the probe.
    pub seq: u32,
    /// From the probe (t1).
    pub sent: Timestamp,
    /// When the probe arrived, by the reflector's clock (t2).
    pub received: Timestamp,
    /// When this reflection left, by the reflector's clock (t3).
    pub reflected: Timestamp,
    /// Octets per second that the reflector lately received of the lane on this path; zero if none.
    pub throughput: u64,
}

/// "Serve this lane": everything that a hop needs to bill its packets.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LaneSetup {
    /// The label that the packets will carry.
    pub label: LaneLabel,
    /// The lane on the ledger.
    pub lane: LaneId,
    /// Who pays.
    pub payer: AccountKey,
    /// The path that the lane pays for.
    pub path: PathHash,
    /// Who sends the packets of this lane to the receiver.
    pub previous: NodeId,
    /// To whom the receiver sends them; `None` at the endpoint.
    pub next: Option<NodeId>,
    /// Whose traffic it is.
    pub headend: NodeId,
    /// Where the path ends.
    pub endpoint: NodeId,
    /// The relays in order.
    pub relays: Relays,
    /// Base units per 10^6 octets.
    pub price: u64,
    /// Most that the lane can pay in all, in base units.
    pub cap: u64,
    /// Height after which the lane is no longer served.
    pub expiry: Height,
}

/// A hop's answer to a lane set-up.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LaneAnswer {
    /// The label of the set-up.
    pub label: LaneLabel,
    /// The lane of the set-up.
    pub lane: LaneId,
    /// What the hop will do.
    pub verdict: LaneVerdict,
}

/// Whether a hop serves a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum LaneVerdict {
    /// It does, and tolerates this many octets without a receipt.
    Serving {
        /// The credit.
        credit: Octets,
        /// Octets of the lane counted so far: it never falls, unless the hop lost its state.
        counted: Octets,
    },
    /// The ledger does not show the lane as finalized yet: ask again.
    NotFinal,
    /// The lane's terms are not what this hop asks for, or the lane is not for this path.
    Refused,
    /// It stopped serving: receipts are behind by more than the credit, or the cap is used up.
    Stalled,
}

/// "I hold your receipt up to here."
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ReceiptAck {
    /// The lane.
    pub lane: LaneId,
    /// The cumulative octets of the best receipt held.
    pub octets: Octets,
}

/// The receiver's address as the sender of this message sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ReflexiveAddress {
    /// The IP address; IPv4 as IPv4-mapped IPv6.
    pub address: [u8; 16],
    /// The UDP port.
    pub port: u16,
}

/// A path that carried traffic, as one of its hops measured it: the paper's extraordinary path.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PathObservation {
    /// Where the path starts.
    pub headend: NodeId,
    /// Its relays in order.
    pub relays: Relays,
    /// Where it ends.
    pub endpoint: NodeId,
    /// One-way delay from the headend to the observer, raw (with the offset of the two clocks).
    pub owd: Owd,
    /// Octets per second of the lane at the observer.
    pub throughput: u64,
}

/// Measuring a destination that has no router: asked of an egress, answered by it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DestinationProbe {
    /// The destination's address; IPv4 as IPv4-mapped IPv6.
    pub address: [u8; 16],
    /// The round trip from the egress to it in nanoseconds; `None` in a request or when it did not answer.
    pub rtt: Option<u64>,
    /// Whether this is the answer.
    pub answer: bool,
}

/// A handshake frame carried over relays, between two nodes that have no direct path. Not sealed (it *is* the
/// handshake), authenticated hop by hop by the link tags.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RelayedHandshake {
    /// Who sends the frame.
    pub origin: NodeId,
    /// The relays that it passes, in order; the answer goes back over the reversed list.
    pub relays: Relays,
    /// A frame of [`crate::handshake`].
    pub frame: Vec<u8>,
}

impl RelayedHandshake {
    /// The encoded message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("writing to memory cannot fail")
    }

    /// Reads one message, which must be the whole of `bytes`.
    ///
    /// # Errors
    /// Whatever is malformed, too long or left over.
    pub fn decode(bytes: &[u8]) -> Result<Self, OamError> {
        if bytes.len() > OAM_LEN_MAX {
            return Err(OamError::TooLong);
        }
        borsh::from_slice(bytes).map_err(|_| OamError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(message: &Oam) {
        let bytes = message.encode();
        assert_eq!(Oam::decode(&bytes).as_ref(), Ok(message));
        assert_eq!(Oam::decode(&bytes[..bytes.len() - 1]), Err(OamError::Malformed));
        assert_eq!(Oam::decode(&[&bytes[..], &[0]].concat()), Err(OamError::Malformed));
    }

    #[test]
    fn messages_are_read_back_whole_and_only_whole() {
        let node = |raw| NodeId::new(raw).unwrap();
        let relays = Relays::new(vec![node(2), node(3)]).unwrap();
        let sent = Timestamp::from_nanos(1);
        check(&Oam::Probe(Probe {
            purpose: ProbePurpose::Liveness,
            path: PathId(1),
            seq: 9,
            sent,
            relays: relays.clone(),
        }));
        check(&Oam::LaneSetup(LaneSetup {
            label: LaneLabel(7),
            lane: LaneId([1; 32]),
            payer: AccountKey([2; 32]),
            path: PathHash([3; 32]),
            previous: node(1),
            next: None,
            headend: node(1),
            endpoint: node(4),
            relays,
            price: 10_000_000,
            cap: 5,
            expiry: Height(10),
        }));
        check(&Oam::Pulse(vec![1, 2, 3]));
    }

    fn padded(octets: u16) -> Option<PaddedProbe> {
        let relays = Relays::new(vec![NodeId::new(2).unwrap()]).unwrap();
        let (purpose, sent) = (ProbePurpose::PathMtu, Timestamp::from_nanos(1));
        PaddedProbe::with_len(Probe { purpose, path: PathId(1), seq: 9, sent, relays }, octets)
    }

    #[test]
    fn a_padded_probe_is_as_long_as_it_was_asked_to_be() {
        for octets in [25, 26, 1_160, 1_161, 8_999] {
            let message = Oam::PaddedProbe(padded(octets).unwrap());
            assert_eq!(message.encode().len(), usize::from(octets));
            check(&message);
        }
        assert_eq!(padded(24), None);
    }

    #[test]
    fn only_a_padded_probe_may_be_long_and_only_with_zeros() {
        let mut bytes = Oam::PaddedProbe(padded(9_000).unwrap()).encode();
        assert_eq!(bytes[0], TAG_PADDED_PROBE);
        bytes[8_999] = 1;
        assert_eq!(Oam::decode(&bytes), Err(OamError::Malformed));
        assert_eq!(Oam::decode(&[&bytes[..], &[0]].concat()), Err(OamError::TooLong));
        let pulse = Oam::Pulse(vec![0; OAM_LEN_MAX]).encode();
        assert_eq!(Oam::decode(&pulse), Err(OamError::TooLong));
    }

    #[test]
    fn a_list_of_relays_is_never_longer_than_a_path() {
        let four: Vec<_> = (1..=4).filter_map(NodeId::new).collect();
        let bytes = borsh::to_vec(&four).unwrap();
        assert!(borsh::from_slice::<Relays>(&bytes).is_err());
        assert_eq!(Relays::new(four), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Oam::decode(&bytes);
            let _ = RelayedHandshake::decode(&bytes);
        }
    }
}
