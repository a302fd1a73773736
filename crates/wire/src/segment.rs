//! The segment header of data and OAM packets.
//!
//! ```text
//!  off  len  field                                                          changed by a relay   in the AEAD's AAD
//!   0    1   type (8 data, 9 OAM) <<4 | lane section present <<3 | version   no                   yes
//!   1    1   N SIDs listed <<4 | SL still to visit                           SL                   N only
//!   2    2   link index, chosen by the next hop in its handshake             yes                  no
//!   4    4   session index, chosen by the endpoint                           no                   yes
//!   8    8   path id (8) | packet counter (56)                               no                   yes
//!  16    4   lane label, 0 = unbilled          } present iff bit 3 of        no                   yes
//!  20   4N   SID[0] = endpoint .. SID[N-1]     } byte 0; zero-padded to a    no                   yes
//!   .    .   padding                           } multiple of 8 octets        no                   yes
//!   .    8   link tag over all bytes before it                               yes                  no
//!   .    .   sealed payload, then its 16-octet tag                           no                   -
//! ```
//!
//! All numbers are big-endian. The meaning is RFC 8754's (reduced list in reverse order, segments left); the
//! encoding is ours, because an SRH inside UDP would cost 16 octets a segment and bind no path to its payload.

use crate::id::{LaneLabel, LinkIndex, PathId, SessionIndex};
use crate::sid::{RELAYS_MAX, SegmentList, Sid};

/// Octets before the lane section.
pub const FIXED_LEN: usize = 16;

/// Octets of the link tag (SipHash-2-4-64).
pub const LINK_TAG_LEN: usize = 8;

/// Octets of the AEAD's tag behind the payload (AES-256-GCM).
pub const AEAD_TAG_LEN: usize = 16;

/// Octets of the longest header with its link tag: three SIDs listed (a path of three relays).
pub const HEADER_LEN_MAX: usize = header_len(true, RELAYS_MAX) + LINK_TAG_LEN;

/// Octets of the AAD: the header without segments left and link index, at most.
pub const AAD_LEN_MAX: usize = HEADER_LEN_MAX - LINK_TAG_LEN;

/// Version of the format, in bits 2..0 of the first octet.
pub const VERSION: u8 = 1;

/// Largest packet counter: 56 bits. A session is replaced long before (2^60 is the AEAD's limit, I24).
pub const COUNTER_MAX: u64 = (1 << 56) - 1;

const LANE_PRESENT: u8 = 0b1000;
const VERSION_MASK: u8 = 0b0111;

/// What a UDP datagram of ours carries, by the high nibble of its first octet.
///
/// 0x8.. keeps it apart from STUN (0x00..0x03) and QUIC's short headers (0x40..0x7f).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    /// An inner IP packet, sealed.
    Data,
    /// A control message or a measurement, sealed unless the session index is zero.
    Oam,
    /// A frame of the handshake (see [`crate::handshake`]).
    Handshake,
}

impl PacketType {
    /// The type of a datagram, or `None` if its first octet is not ours.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Option<Self> {
        match datagram.first()? >> 4 {
            0x8 => Some(Self::Data),
            0x9 => Some(Self::Oam),
            0xa => Some(Self::Handshake),
            _ => None,
        }
    }

    /// The high nibble that stands for this type.
    #[must_use]
    pub const fn nibble(self) -> u8 {
        match self {
            Self::Data => 0x8,
            Self::Oam => 0x9,
            Self::Handshake => 0xa,
        }
    }
}

/// Octets of the header before its link tag, with `listed` SIDs.
#[must_use]
pub const fn header_len(lane_present: bool, listed: usize) -> usize {
    if lane_present { FIXED_LEN + (4 + 4 * listed).next_multiple_of(8) } else { FIXED_LEN }
}

/// Octets that a packet grows by on a path over so many relays, without the outer IP and UDP headers.
#[must_use]
pub const fn overhead(lane_present: bool, listed: usize) -> usize {
    header_len(lane_present, listed) + LINK_TAG_LEN + AEAD_TAG_LEN
}

/// Why bytes are no segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Fewer octets than the header says it has (with link tag and AEAD tag).
    #[error("the packet is shorter than its header says")]
    Truncated,
    /// Not a data or OAM packet.
    #[error("not a segment-routed packet")]
    NotSegmentRouted,
    /// Another version of the format.
    #[error("version {0} is not supported")]
    Version(u8),
    /// More SIDs than a path may have, or SIDs without a lane section.
    #[error("the segment list is malformed")]
    SegmentList,
    /// More segments left than are listed.
    #[error("more segments are left than listed")]
    SegmentsLeft,
    /// A padding octet that is not zero.
    #[error("the padding is not zero")]
    Padding,
}

/// A checked, borrowed header: every accessor is free of panics because the constructor checked all lengths.
#[derive(Clone, Copy, Debug)]
pub struct HeaderView<'a> {
    bytes: &'a [u8],
    header_len: usize,
}

impl<'a> HeaderView<'a> {
    /// Checks that `packet` starts with a whole header, a link tag and room for an AEAD tag.
    ///
    /// # Errors
    /// One [`HeaderError`] for each way in which it does not.
    pub fn parse(packet: &'a [u8]) -> Result<Self, HeaderError> {
        if packet.len() < FIXED_LEN + LINK_TAG_LEN {
            return Err(HeaderError::Truncated);
        }
        let view = Self { bytes: packet, header_len: checked_len(packet)? };
        if packet.len() < view.header_len + LINK_TAG_LEN {
            return Err(HeaderError::Truncated);
        }
        if view.segments_left() > view.listed() {
            return Err(HeaderError::SegmentsLeft);
        }
        let used = FIXED_LEN + if view.lane_present() { 4 + 4 * view.listed() } else { 0 };
        if packet[used..view.header_len].iter().any(|octet| *octet != 0) {
            return Err(HeaderError::Padding);
        }
        Ok(view)
    }

    /// Data or OAM.
    #[must_use]
    pub fn packet_type(&self) -> PacketType {
        if self.bytes[0] >> 4 == PacketType::Data.nibble() {
            PacketType::Data
        } else {
            PacketType::Oam
        }
    }

    /// How many SIDs are listed.
    #[must_use]
    pub fn listed(&self) -> usize {
        usize::from(self.bytes[1] >> 4)
    }

    /// How many of them are still to visit.
    #[must_use]
    pub fn segments_left(&self) -> usize {
        usize::from(self.bytes[1] & 0x0f)
    }

    /// The link that the packet came by, as the receiver named it.
    #[must_use]
    pub fn link(&self) -> LinkIndex {
        LinkIndex(u16::from_be_bytes([self.bytes[2], self.bytes[3]]))
    }

    /// The session that opens the payload, as the endpoint named it.
    #[must_use]
    pub fn session(&self) -> SessionIndex {
        SessionIndex(self.word(4))
    }

    /// Which path of the session.
    #[must_use]
    pub fn path(&self) -> PathId {
        PathId(self.bytes[8])
    }

    /// The packet counter of that path.
    #[must_use]
    pub fn counter(&self) -> u64 {
        self.path_and_counter() & COUNTER_MAX
    }

    /// Path id and counter as they stand in the header and in the AEAD's nonce.
    #[must_use]
    pub fn path_and_counter(&self) -> u64 {
        u64::from(self.word(8)) << 32 | u64::from(self.word(12))
    }

    /// The lane label; zero (unbilled) when there is no lane section.
    #[must_use]
    pub fn lane(&self) -> LaneLabel {
        LaneLabel(if self.lane_present() { self.word(FIXED_LEN) } else { 0 })
    }

    /// The SID at `index` of the list, 0 = endpoint; `None` beyond the list.
    #[must_use]
    pub fn sid(&self, index: usize) -> Option<Sid> {
        (index < self.listed()).then(|| Sid::from_bits(self.word(FIXED_LEN + 4 + 4 * index)))
    }

    /// Octets of the header before the link tag.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.header_len
    }

    /// The bytes that the link tag covers.
    #[must_use]
    pub fn tagged(&self) -> &'a [u8] {
        &self.bytes[..self.header_len]
    }

    /// The link tag.
    #[must_use]
    pub fn link_tag(&self) -> [u8; LINK_TAG_LEN] {
        let mut tag = [0; LINK_TAG_LEN];
        tag.copy_from_slice(&self.bytes[self.header_len..self.header_len + LINK_TAG_LEN]);
        tag
    }

    /// Where the payload (with its AEAD tag) starts.
    #[must_use]
    pub fn payload_offset(&self) -> usize {
        self.header_len + LINK_TAG_LEN
    }

    /// The payload with its AEAD tag.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.payload_offset()..]
    }

    /// Writes the AAD into `out` and returns its length: the header with segments left and link index zeroed.
    pub fn write_aad(&self, out: &mut [u8; AAD_LEN_MAX]) -> usize {
        out[..self.header_len].copy_from_slice(self.tagged());
        out[1] &= 0xf0;
        out[2..4].fill(0);
        self.header_len
    }

    fn lane_present(&self) -> bool {
        self.bytes[0] & LANE_PRESENT != 0
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes([
            self.bytes[at],
            self.bytes[at + 1],
            self.bytes[at + 2],
            self.bytes[at + 3],
        ])
    }
}

fn checked_len(packet: &[u8]) -> Result<usize, HeaderError> {
    match PacketType::of(packet) {
        Some(PacketType::Data | PacketType::Oam) => {}
        Some(PacketType::Handshake) | None => return Err(HeaderError::NotSegmentRouted),
    }
    let version = packet[0] & VERSION_MASK;
    if version != VERSION {
        return Err(HeaderError::Version(version));
    }
    let lane_present = packet[0] & LANE_PRESENT != 0;
    let listed = usize::from(packet[1] >> 4);
    if listed > RELAYS_MAX || (listed > 0 && !lane_present) {
        return Err(HeaderError::SegmentList);
    }
    let len = header_len(lane_present, listed);
    if packet.len() < len { Err(HeaderError::Truncated) } else { Ok(len) }
}

/// A header to be written: always encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Data or OAM.
    pub oam: bool,
    /// The link to the first hop, as that hop named it.
    pub link: LinkIndex,
    /// The session to the endpoint, as the endpoint named it.
    pub session: SessionIndex,
    /// Which path of the session.
    pub path: PathId,
    /// The packet counter; only its low 56 bits are written.
    pub counter: u64,
    /// The lane that pays, or `LaneLabel(0)`.
    pub lane: LaneLabel,
    /// The reduced segment list; all of it is still to visit.
    pub segments: SegmentList,
}

impl Header {
    /// Octets that [`Header::write`] writes: without the link tag.
    #[must_use]
    pub fn len(&self) -> usize {
        header_len(self.lane_present(), self.segments.as_slice().len())
    }

    /// A header is never empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the header (without its link tag) to the start of `out`.
    ///
    /// # Panics
    /// If `out` is shorter than [`Header::len`].
    pub fn write(&self, out: &mut [u8]) {
        let listed = u8::try_from(self.segments.as_slice().len()).expect("at most four SIDs");
        let kind = if self.oam { PacketType::Oam } else { PacketType::Data };
        out[..self.len()].fill(0);
        out[0] = kind.nibble() << 4 | if self.lane_present() { LANE_PRESENT } else { 0 } | VERSION;
        out[1] = listed << 4 | listed;
        out[2..4].copy_from_slice(&self.link.0.to_be_bytes());
        out[4..8].copy_from_slice(&self.session.0.to_be_bytes());
        let path_and_counter = u64::from(self.path.0) << 56 | (self.counter & COUNTER_MAX);
        out[8..16].copy_from_slice(&path_and_counter.to_be_bytes());
        if self.lane_present() {
            self.write_lane_section(out);
        }
    }

    fn write_lane_section(&self, out: &mut [u8]) {
        out[FIXED_LEN..FIXED_LEN + 4].copy_from_slice(&self.lane.0.to_be_bytes());
        let slots = out[FIXED_LEN + 4..].chunks_exact_mut(4);
        for (slot, sid) in slots.zip(self.segments.as_slice()) {
            slot.copy_from_slice(&sid.bits().to_be_bytes());
        }
    }

    fn lane_present(&self) -> bool {
        self.lane != LaneLabel(0) || !self.segments.as_slice().is_empty()
    }
}

/// Rewrites the two fields that a relay changes: segments left and link index. The link tag is the caller's to renew.
///
/// # Panics
/// If `packet` is shorter than the fixed header, which a parsed view excludes.
pub fn rewrite_for_next_hop(packet: &mut [u8], segments_left: u8, link: LinkIndex) {
    packet[1] = packet[1] & 0xf0 | segments_left & 0x0f;
    packet[2..4].copy_from_slice(&link.0.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;
    use proptest::prelude::*;

    fn node(raw: u32) -> NodeId {
        NodeId::new(raw).unwrap()
    }

    fn header(relays: &[u32], lane: u32) -> Header {
        let relays: Vec<_> = relays.iter().map(|r| node(*r)).collect();
        Header {
            oam: false,
            link: LinkIndex(0xbeef),
            session: SessionIndex(0x0102_0304),
            path: PathId(3),
            counter: 42,
            lane: LaneLabel(lane),
            segments: SegmentList::new(&relays, node(9)).unwrap(),
        }
    }

    fn encode(header: &Header, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; header.len() + LINK_TAG_LEN];
        header.write(&mut packet);
        packet.extend_from_slice(payload);
        packet
    }

    /// Octets that srwan adds to an inner packet over IPv4 and UDP (28), as docs/protocol.md states.
    #[test]
    fn added_octets_are_as_documented() {
        let added =
            |relays: &[u32], lane| 28 + header(relays, lane).len() + LINK_TAG_LEN + AEAD_TAG_LEN;
        assert_eq!(added(&[], 0), 68);
        assert_eq!(added(&[], 7), 76);
        assert_eq!(added(&[1], 7), 76);
        assert_eq!(added(&[1, 2], 7), 84);
        assert_eq!(added(&[1, 2, 3], 7), 84);
    }

    #[test]
    fn the_encoding_is_pinned() {
        let packet = encode(&header(&[1, 2], 7), &[]);
        let expected = [
            0x89, 0x22, 0xbe, 0xef, 1, 2, 3, 4, 3, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 7, 0, 0, 0x90,
            0x02, 0, 0, 0x20, 0x01, 0, 0, 0, 0,
        ];
        assert_eq!(packet[..expected.len()], expected);
    }

    #[test]
    fn each_malformation_has_its_own_error() {
        let good = encode(&header(&[1, 2], 7), &[0; 16]);
        let check = |change: &dyn Fn(&mut Vec<u8>), expected| {
            let mut packet = good.clone();
            change(&mut packet);
            assert_eq!(HeaderView::parse(&packet).err(), expected);
        };
        check(&|_| {}, None);
        check(&|p| p.truncate(20), Some(HeaderError::Truncated));
        check(&|p| p[0] = 0x40, Some(HeaderError::NotSegmentRouted));
        check(&|p| p[0] = 0x8a, Some(HeaderError::Version(2)));
        check(&|p| p[0] = 0x81, Some(HeaderError::SegmentList));
        check(&|p| p[1] = 0x44, Some(HeaderError::SegmentList));
        check(&|p| p[1] = 0x23, Some(HeaderError::SegmentsLeft));
        check(&|p| p[31] = 1, Some(HeaderError::Padding));
    }

    #[test]
    fn a_relay_changes_nothing_that_the_endpoint_authenticates() {
        let mut packet = encode(&header(&[1, 2, 3], 7), &[5; 40]);
        let (mut before, mut after) = ([0; AAD_LEN_MAX], [0; AAD_LEN_MAX]);
        HeaderView::parse(&packet).unwrap().write_aad(&mut before);
        rewrite_for_next_hop(&mut packet, 2, LinkIndex(77));
        let view = HeaderView::parse(&packet).unwrap();
        view.write_aad(&mut after);
        assert_eq!((view.segments_left(), view.link()), (2, LinkIndex(77)));
        assert_eq!(before, after);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            relays in proptest::sample::subsequence(vec![1_u32, 2, 3, 4, 5], 0..=3),
            link: u16, session: u32, path: u8, counter in 0..=COUNTER_MAX, lane: u32, oam: bool,
        ) {
            let mut header = header(&relays, lane);
            header.oam = oam;
            header.link = LinkIndex(link);
            header.session = SessionIndex(session);
            header.path = PathId(path);
            header.counter = counter;
            let packet = encode(&header, &[1, 2, 3]);
            let view = HeaderView::parse(&packet).unwrap();
            prop_assert_eq!(view.packet_type() == PacketType::Oam, oam);
            prop_assert_eq!((view.link(), view.session(), view.path()), (header.link, header.session, header.path));
            prop_assert_eq!((view.counter(), view.lane()), (counter, header.lane));
            let sids: Vec<_> = (0..view.listed()).filter_map(|i| view.sid(i)).collect();
            prop_assert_eq!(sids, header.segments.as_slice());
            prop_assert_eq!(view.segments_left(), view.listed());
            prop_assert_eq!(view.payload(), &[1, 2, 3]);
        }

        #[test]
        fn no_bytes_make_the_view_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            exercise(&bytes);
        }

        #[test]
        fn bytes_that_look_like_ours_do_not_either(
            first in 0x80_u8..0xa0, second: u8, rest in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut bytes = vec![first, second];
            bytes.extend(rest);
            exercise(&bytes);
        }
    }

    fn exercise(bytes: &[u8]) {
        if let Ok(view) = HeaderView::parse(bytes) {
            let mut aad = [0; AAD_LEN_MAX];
            view.write_aad(&mut aad);
            let _ = (view.link_tag(), view.payload(), view.sid(view.listed()), view.lane());
        }
    }
}
