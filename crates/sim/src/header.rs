//! The simulation's own reading of a datagram, so that its checkers do not believe the code that they check.
//!
//! Offsets are those of docs/protocol.md, written down here a second time on purpose.

use crate::datagram::Taint;
use srwan_wire::id::NodeId;

/// Octets of the longest header with its link tag.
pub const LONGEST: usize = 40;

const FIXED: usize = 16;
const LINK_TAG: usize = 8;
const AEAD_TAG: usize = 16;

/// Octets at the end of a handshake (mac2) that are checked under load and in first calls only.
const MAC2: usize = 16;

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An inner packet.
    Data,
    /// A control message.
    Oam,
    /// A handshake.
    Handshake,
    /// None of ours.
    Other,
}

/// What the first octet says.
#[must_use]
pub fn kind(bytes: &[u8]) -> Kind {
    match bytes.first().map(|octet| octet >> 4) {
        Some(8) => Kind::Data,
        Some(9) => Kind::Oam,
        Some(10) => Kind::Handshake,
        Some(_) | None => Kind::Other,
    }
}

/// A segment-routed datagram's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Data or control.
    pub kind: Kind,
    /// Segments left.
    pub left: usize,
    /// SIDs listed.
    pub listed: usize,
    /// The endpoint's session index.
    pub session: u32,
    /// Path id and counter.
    pub path_and_counter: u64,
    /// Lane label; zero if none.
    pub lane: u32,
    /// Nodes listed, the endpoint first; `None` beyond the list.
    pub nodes: [Option<NodeId>; 4],
    /// Octets up to the end of the link tag.
    pub len: usize,
}

impl Header {
    /// Reads it; `None` if it is not whole.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let kind = kind(bytes);
        if !matches!(kind, Kind::Data | Kind::Oam) {
            return None;
        }
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let has_lane = first & 8 != 0;
        let (listed, left) = (usize::from(second >> 4), usize::from(second & 15));
        let lists = if has_lane { (4 + 4 * listed).next_multiple_of(8) } else { 0 };
        let word = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..at + 4)?.first_chunk()?));
        let mut nodes = [None; 4];
        for (index, slot) in nodes.iter_mut().enumerate().take(listed) {
            *slot = NodeId::new(word(FIXED + 4 + 4 * index)? >> 12);
        }
        let len = FIXED + lists + LINK_TAG;
        (bytes.len() >= len).then_some(Self {
            kind,
            left,
            listed,
            session: word(4)?,
            path_and_counter: u64::from(word(8)?) << 32 | u64::from(word(12)?),
            lane: if has_lane { word(FIXED)? } else { 0 },
            nodes,
            len,
        })
    }

    /// Octets of the inner packet of a datagram with this header.
    #[must_use]
    pub fn inner_len(&self, datagram: usize) -> usize {
        datagram.saturating_sub(self.len + AEAD_TAG)
    }

    /// The nodes listed, the endpoint first.
    pub fn listed_nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.iter().flatten().copied()
    }
}

/// Who notices when the octet at `place` is changed.
#[must_use]
pub fn taint_of_change(bytes: &[u8], place: usize) -> Taint {
    match kind(bytes) {
        Kind::Handshake if place + MAC2 >= bytes.len() => Taint::Clean,
        Kind::Handshake => Taint::Open,
        Kind::Data | Kind::Oam => match Header::read(bytes) {
            Some(header) if place >= header.len => Taint::Sealed,
            Some(_) | None => Taint::Open,
        },
        Kind::Other => Taint::Sealed,
    }
}

/// Who notices when everything from `place` on is missing.
#[must_use]
pub fn taint_of_cut(bytes: &[u8], place: usize) -> Taint {
    match Header::read(bytes) {
        Some(header) if place >= header.len => Taint::Sealed,
        Some(_) | None => Taint::Open,
    }
}
