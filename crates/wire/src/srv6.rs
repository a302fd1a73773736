//! SRv6 SIDs of a private SR domain: the 32-bit SID as an IPv6 address, and back.
//!
//! ```text
//!  | block, 32 to 96 bits | node, 20 bits | function, 12 bits | zeros |
//!  |<------------- locator ------------->|
//! ```
//!
//! The bits of the 32-bit SID stand behind the block as they are, so there is one SID space (docs/protocol.md, "SRv6").
//! This file only names; what a SID does at its node is [`crate::sid::EndpointBehavior`].

use core::net::Ipv6Addr;
use ipnet::Ipv6Net;

use crate::id::NodeId;
use crate::sid::Sid;

/// Shortest block. A regional registry hands out /32; who has more has no need to give all of it to SIDs.
pub const BLOCK_BITS_MIN: u8 = 32;

/// Longest block: it leaves room for the SID and nothing else.
pub const BLOCK_BITS_MAX: u8 = 96;

/// Bits of the node in a SID.
const NODE_BITS: u8 = 20;

/// The prefix that all SRv6 SIDs of an SR domain begin with.
///
/// - **Source:** RFC 8986 section 3.1, "B"; RFC 8754 section 5.1, "S/s".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SidBlock(Ipv6Net);

/// Why a prefix is no block of SIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SidBlockError {
    /// Its length leaves no room for SIDs, or gives away too much.
    #[error("a block of SIDs has {BLOCK_BITS_MIN} to {BLOCK_BITS_MAX} bits, not {0}")]
    Length(u8),
    /// Bits behind the length are set, so the prefix is probably mistyped.
    #[error("bits behind the length are set: did you mean {0}?")]
    HostBits(Ipv6Net),
    /// Packets are not routed to it.
    #[error("{0} is not routed: take a unique local prefix (fd..) or one of yours")]
    NotRouted(Ipv6Addr),
}

impl SidBlock {
    /// The block with this prefix.
    ///
    /// # Errors
    /// One [`SidBlockError`] for each thing that can be wrong with it.
    pub fn new(prefix: Ipv6Net) -> Result<Self, SidBlockError> {
        let (address, bits) = (prefix.addr(), prefix.prefix_len());
        if !(BLOCK_BITS_MIN..=BLOCK_BITS_MAX).contains(&bits) {
            return Err(SidBlockError::Length(bits));
        }
        if prefix.trunc() != prefix {
            return Err(SidBlockError::HostBits(prefix.trunc()));
        }
        if !is_routed(address) {
            return Err(SidBlockError::NotRouted(address));
        }
        Ok(Self(prefix))
    }

    /// The prefix itself.
    #[must_use]
    pub const fn prefix(self) -> Ipv6Net {
        self.0
    }

    /// The SRv6 SID that means the same as `sid`.
    #[must_use]
    pub fn srv6_sid(self, sid: Sid) -> Ipv6Addr {
        let place = u128::from(sid.bits()) << self.bits_behind();
        Ipv6Addr::from_bits(self.0.addr().to_bits() | place)
    }

    /// The SID that `address` stands for; `None` if it lies outside of the block, or carries an argument, which no
    /// behavior of ours has.
    #[must_use]
    pub fn sid(self, address: Ipv6Addr) -> Option<Sid> {
        let inside = address.to_bits().checked_sub(self.0.addr().to_bits())?;
        let bits = u32::try_from(inside >> self.bits_behind()).ok()?;
        let sid = Sid::from_bits(bits);
        (self.srv6_sid(sid) == address).then_some(sid)
    }

    /// The prefix of all SIDs of a node: what the underlay routes to it.
    #[must_use]
    pub fn locator(self, node: NodeId) -> Ipv6Net {
        let bits = self.0.prefix_len() + NODE_BITS;
        Ipv6Net::new(self.address(node), bits).expect("a block has at most 96 bits, a locator 116")
    }

    /// The address of a node in the domain: its locator with function zero, which is no SID. It is the source of the
    /// packets that the node encapsulates.
    #[must_use]
    pub fn address(self, node: NodeId) -> Ipv6Addr {
        self.srv6_sid(Sid::from_bits(node.get() << 12))
    }

    /// Bits to the right of a SID.
    fn bits_behind(self) -> u32 {
        u32::from(BLOCK_BITS_MAX - self.0.prefix_len())
    }
}

/// Unicast, and neither of one link nor of one host.
fn is_routed(address: Ipv6Addr) -> bool {
    let is_special = address.segments()[..6] == [0; 6];
    !is_special && !address.is_multicast() && !address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sid::EndpointBehavior;
    use proptest::prelude::*;

    fn block(text: &str) -> Result<SidBlock, SidBlockError> {
        SidBlock::new(text.parse().unwrap())
    }

    #[test]
    fn node_and_function_can_be_read_off_the_address() {
        let node = NodeId::new(0x7).unwrap();
        let check = |block_text: &str, behavior, expected: &str| {
            let address = block(block_text).unwrap().srv6_sid(Sid::new(node, behavior));
            assert_eq!(address, expected.parse::<Ipv6Addr>().unwrap(), "{block_text}");
        };
        check("fd53:5257:1::/48", EndpointBehavior::End, "fd53:5257:1:0:7001::");
        check("fd53:5257:1::/48", EndpointBehavior::EndDx4, "fd53:5257:1:0:7003::");
        check("fd53:5257::/32", EndpointBehavior::EndDt6, "fd53:5257:0:7004::");
        check("fd53:5257:1:2:3:4::/96", EndpointBehavior::EndDx6, "fd53:5257:1:2:3:4:0:7005");
        check("fd53:5257:10::/44", EndpointBehavior::End, "fd53:5257:10:7:10::");
    }

    #[test]
    fn a_locator_holds_the_sids_of_its_node_and_no_others() {
        let block = block("fd53:5257:1::/48").unwrap();
        let node = |raw| NodeId::new(raw).unwrap();
        let locator = block.locator(node(7));
        assert_eq!(locator, "fd53:5257:1:0:7000::/68".parse().unwrap());
        assert!(locator.contains(&block.srv6_sid(Sid::new(node(7), EndpointBehavior::End))));
        assert!(!locator.contains(&block.srv6_sid(Sid::new(node(8), EndpointBehavior::End))));
        assert_eq!(block.sid(block.address(node(7))).and_then(Sid::behavior), None);
    }

    #[test]
    fn prefixes_that_cannot_hold_sids_are_refused() {
        assert_eq!(block("fd00::/31"), Err(SidBlockError::Length(31)));
        assert_eq!(block("fd00::/97"), Err(SidBlockError::Length(97)));
        let host_bits = SidBlockError::HostBits("fd00::/48".parse().unwrap());
        assert_eq!(block("fd00::1/48"), Err(host_bits));
        for text in ["ff02::/48", "fe80::/64", "::/96", "::/48", "fe80:1::/32"] {
            assert!(matches!(block(text), Err(SidBlockError::NotRouted(_))), "{text}");
        }
    }

    #[test]
    fn addresses_that_are_no_sids_have_none() {
        let block = block("fd53:5257:1::/48").unwrap();
        for text in ["fd53:5257:2:0:7001::", "fd53:5257:0:0:7001::", "fd53:5257:1:0:7001::1", "::1"]
        {
            assert_eq!(block.sid(text.parse().unwrap()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_mapping_is_one_to_one(bits: u32, length in 32_u8..=96, prefix: u128) {
            let routed = prefix >> 8 | 0xfd << 120;
            let prefix = Ipv6Net::new(Ipv6Addr::from_bits(routed), length).unwrap().trunc();
            let block = SidBlock::new(prefix).unwrap();
            let sid = Sid::from_bits(bits);
            let address = block.srv6_sid(sid);
            prop_assert!(prefix.contains(&address));
            prop_assert_eq!(block.sid(address), Some(sid));
        }

        #[test]
        fn what_is_read_as_a_sid_is_written_as_the_same_address(low: u128) {
            let block = block("fd53:5257:1::/48").unwrap();
            let address = Ipv6Addr::from_bits(block.prefix().addr().to_bits() | low >> 48);
            let written = block.sid(address).map(|sid| block.srv6_sid(sid));
            prop_assert!(written.is_none_or(|written| written == address));
        }
    }
}
