//! The signed list of a group's routers, and the request by which a router gets into it.
//!
//! The controller issues one [`Roster`] per group, numbers it, and signs its canonical bytes with the
//! controller key. A router keeps the last one it verified and works on it for as long as the
//! controller is away (invariant 7 of the architecture). Everything a roster can say wrong
//! (too many members, an address that would turn the group into a weapon, two members with one
//! key) is refused here, once, when the bytes become a [`Roster`].
//!
//! This module does not decide who is in a group: that is `srwan-ditex`.

mod join;
mod member;

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};

pub use self::join::{JOIN_DOMAIN, JoinRequest, Profile, SignedJoinRequest, TOKEN_OCTETS_MAX};
pub use self::member::{
    ASN_UNKNOWN, CITY_OCTETS_MAX, Class, ENDPOINTS_MAX, Location, Member, MemberError,
    NAME_OCTETS_MAX, PREFIXES_MAX,
};
use crate::id::{AccountKey, GroupId, NodeId};
use crate::sign::{self, AccountSecret, Signature};
use crate::time::Timestamp;

/// Members a group may have; W18 of the mission: the full matrix of 100 routers at each router.
pub const MEMBERS_MAX: usize = 100;

/// Largest encoded roster: 100 members at their largest fields are about 102 kB.
pub const ROSTER_OCTETS_MAX: usize = 128 * 1024;

/// What the controller's signature on a roster speaks about.
pub const ROSTER_DOMAIN: &str = "srwan roster v1";

/// Who is in a group, as the controller last said.
///
/// A value that came out of [`SignedRoster::open`] or [`Roster::decode`] has been checked:
/// members are in ascending node order, and no node, node key, endpoint or prefix occurs twice.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Roster {
    /// The group this roster is of.
    pub group: GroupId,
    /// Rises by one with every change of this group; a router refuses a lower one than it holds.
    pub seq: u64,
    /// When the controller signed it, by the controller's clock.
    pub issued: Timestamp,
    /// Pre-shared key of the group's handshakes: who is not on the roster cannot start one.
    ///
    /// **Source:** the psk of Noise IKpsk2 (Noise Protocol Framework, section 9).
    pub psk: [u8; 32],
    /// The routers, at most [`MEMBERS_MAX`], in ascending [`Member::node`] order.
    pub members: Vec<Member>,
}

impl Roster {
    /// Reads and checks the canonical bytes of a roster.
    ///
    /// **Errors:** [`RosterError`]; the caller keeps the roster it has.
    pub fn decode(bytes: &[u8]) -> Result<Self, RosterError> {
        if bytes.len() > ROSTER_OCTETS_MAX {
            return Err(RosterError::TooLong { octets: bytes.len() });
        }
        let roster: Self = borsh::from_slice(bytes).map_err(|_| RosterError::Malformed)?;
        roster.check()?;
        Ok(roster)
    }

    /// Checks every rule that a decoded roster keeps.
    ///
    /// **Errors:** the first rule that is broken.
    pub fn check(&self) -> Result<(), RosterError> {
        if self.members.len() > MEMBERS_MAX {
            return Err(RosterError::TooManyMembers { members: self.members.len() });
        }
        for member in &self.members {
            member.check().map_err(|error| RosterError::Member { node: member.node, error })?;
        }
        if !self.members.is_sorted_by(|left, right| left.node < right.node) {
            return Err(RosterError::NotAscending);
        }
        self.check_distinct()
    }

    /// Returns the member with this node id.
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        let index = self.members.binary_search_by(|member| member.node.cmp(&node)).ok()?;
        self.members.get(index)
    }

    /// Signs this roster with the controller's key.
    ///
    /// **Errors:** the roster breaks a rule; nothing invalid is ever signed.
    pub fn sign(&self, controller: &AccountSecret) -> Result<SignedRoster, RosterError> {
        self.check()?;
        let bytes = borsh::to_vec(self).map_err(|_| RosterError::Malformed)?;
        let signature = controller.sign(ROSTER_DOMAIN, &bytes);
        Ok(SignedRoster { bytes, signature })
    }

    fn check_distinct(&self) -> Result<(), RosterError> {
        let mut keys = BTreeSet::new();
        let mut endpoints = BTreeSet::new();
        let mut prefixes = BTreeSet::new();
        for member in &self.members {
            let node = member.node;
            if !keys.insert(member.node_key) {
                return Err(RosterError::Duplicate { node, what: "node key" });
            }
            if !member.endpoints.iter().all(|endpoint| endpoints.insert(*endpoint)) {
                return Err(RosterError::Duplicate { node, what: "endpoint" });
            }
            if !member.prefixes.iter().all(|prefix| prefixes.insert(*prefix)) {
                return Err(RosterError::Duplicate { node, what: "prefix" });
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Roster {
    /// Prints everything but the pre-shared key, which must never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster")
            .field("group", &self.group)
            .field("seq", &self.seq)
            .field("issued", &self.issued)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

/// The bytes of a roster with the controller's signature over exactly those bytes.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRoster {
    /// Canonical borsh encoding of a [`Roster`].
    pub bytes: Vec<u8>,
    /// Signature of the controller key in [`ROSTER_DOMAIN`].
    pub signature: Signature,
}

impl SignedRoster {
    /// Verifies the signature, then decodes and checks the roster.
    ///
    /// **Errors:** [`RosterError`]; the caller keeps the roster it has.
    pub fn open(&self, controller: &AccountKey) -> Result<Roster, RosterError> {
        sign::verify(ROSTER_DOMAIN, &self.bytes, controller, &self.signature)
            .map_err(|_| RosterError::BadSignature)?;
        Roster::decode(&self.bytes)
    }

    /// Encodes bytes and signature together, for a file or an HTTP answer.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.bytes.clone();
        out.extend_from_slice(&self.signature.0);
        out
    }

    /// Splits what [`SignedRoster::to_bytes`] wrote; the signature is not verified here.
    ///
    /// **Errors:** too short to hold a signature, or longer than a roster can be.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RosterError> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(RosterError::Malformed)?;
        if body.len() > ROSTER_OCTETS_MAX {
            return Err(RosterError::TooLong { octets: body.len() });
        }
        Ok(Self { bytes: body.to_vec(), signature: Signature(*signature) })
    }
}

impl std::fmt::Debug for SignedRoster {
    /// Prints the length alone: the bytes hold the pre-shared key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedRoster").field("octets", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// Why bytes are not a roster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The signature is not the controller's over these bytes.
    #[error("the signature is not the controller's")]
    BadSignature,
    /// Not the canonical encoding of a roster.
    #[error("not the encoding of a roster")]
    Malformed,
    /// More octets than a roster can have.
    #[error("{octets} octets are more than a roster can have ({ROSTER_OCTETS_MAX})")]
    TooLong {
        /// What was given.
        octets: usize,
    },
    /// More members than a group may have.
    #[error("{members} members, at most {MEMBERS_MAX}")]
    TooManyMembers {
        /// What was given.
        members: usize,
    },
    /// Members are not in ascending node order, or a node occurs twice.
    #[error("members are not in ascending node order")]
    NotAscending,
    /// Two members claim one key, endpoint or prefix.
    #[error("{node} repeats the {what} of another member")]
    Duplicate {
        /// The second claimant.
        node: NodeId,
        /// What is claimed twice.
        what: &'static str,
    },
    /// One member breaks a rule of its own.
    #[error("{node}: {error}")]
    Member {
        /// Which member.
        node: NodeId,
        /// Which rule.
        error: MemberError,
    },
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::id::NodeKey;

    fn controller() -> AccountSecret {
        AccountSecret::from_seed(&[1; 32])
    }

    fn member(node: u32) -> Member {
        let [a, b, c, d] = node.to_be_bytes();
        let key = std::array::from_fn(|i| [a, b, c, d][i % 4]);
        Member {
            node: NodeId::new(node).unwrap(),
            node_key: NodeKey(key),
            account_key: AccountKey(key),
            endpoints: vec![SocketAddr::from(([198, 18, c, d], 4766))],
            prefixes: vec![format!("10.{c}.{d}.0/24").parse().unwrap()],
            location: Location {
                city: "London".into(),
                country: "GB".into(),
                lat_e6: 51_507_000,
                lon_e6: -127_000,
            },
            asn: 64_501,
            class: Class::Public,
            price: Some(10_000_000),
            egress: true,
            name: format!("r{node}"),
        }
    }

    fn roster(members: u32) -> Roster {
        Roster {
            group: GroupId(1),
            seq: 7,
            issued: Timestamp::from_nanos(9),
            psk: [3; 32],
            members: (1..=members).map(member).collect(),
        }
    }

    /// Changes one member of a roster of three, and says what reading the result gives.
    fn check_member(change: impl FnOnce(&mut Member), expected: MemberError) {
        let mut roster = roster(3);
        change(&mut roster.members[1]);
        let node = roster.members[1].node;
        let bytes = borsh::to_vec(&roster).unwrap();
        assert_eq!(Roster::decode(&bytes), Err(RosterError::Member { node, error: expected }));
        assert!(roster.sign(&controller()).is_err());
    }

    #[test]
    fn a_full_roster_survives_signing_and_fits_its_bound() {
        let roster = roster(100);
        let signed = roster.sign(&controller()).unwrap();
        let again = SignedRoster::from_bytes(&signed.to_bytes()).unwrap();
        assert_eq!(again.open(&controller().public()), Ok(roster));
    }

    #[test]
    fn the_largest_possible_roster_fits_its_bound() {
        let mut roster = roster(100);
        for member in &mut roster.members {
            let low = u8::try_from(member.node.get()).unwrap();
            member.name = "n".repeat(NAME_OCTETS_MAX);
            member.location.city = "c".repeat(CITY_OCTETS_MAX);
            member.endpoints =
                (1..=4).map(|i| format!("[2001:db8:{low:x}::{i}]:4766").parse().unwrap()).collect();
            member.prefixes =
                (1..=16).map(|i| format!("2001:db8:{low:x}:{i:x}::/64").parse().unwrap()).collect();
        }
        let signed = roster.sign(&controller()).unwrap();
        assert!(signed.open(&controller().public()).is_ok(), "{} octets", signed.bytes.len());
    }

    #[test]
    fn another_key_or_changed_bytes_are_refused() {
        let mut signed = roster(2).sign(&controller()).unwrap();
        let other = AccountSecret::from_seed(&[2; 32]).public();
        assert_eq!(signed.open(&other), Err(RosterError::BadSignature));
        signed.bytes[4] ^= 1;
        assert_eq!(signed.open(&controller().public()), Err(RosterError::BadSignature));
    }

    #[test]
    fn a_hundred_and_first_member_is_refused() {
        let bytes = borsh::to_vec(&roster(101)).unwrap();
        assert_eq!(Roster::decode(&bytes), Err(RosterError::TooManyMembers { members: 101 }));
    }

    #[test]
    fn endpoints_that_reach_nobody_or_everybody_are_refused() {
        for text in ["127.0.0.1:1", "0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "10.0.0.1:0"]
            .into_iter()
            .chain(["[::1]:1", "[::]:1", "[ff02::1]:1", "[::ffff:127.0.0.1]:1"])
        {
            let endpoint: SocketAddr = text.parse().unwrap();
            check_member(
                |member| member.endpoints = vec![endpoint],
                MemberError::BadEndpoint { endpoint },
            );
        }
        check_member(|member| member.endpoints.clear(), MemberError::EndpointCount { count: 0 });
        check_member(
            |member| member.endpoints = vec![member.endpoints[0]; 5],
            MemberError::EndpointCount { count: 5 },
        );
        let endpoint = member(2).endpoints[0];
        check_member(
            |member| member.endpoints = vec![endpoint; 2],
            MemberError::EndpointTwice { endpoint },
        );
    }

    #[test]
    fn prefixes_that_no_site_can_have_are_refused() {
        for text in ["0.0.0.0/0", "::/0", "127.0.0.0/8", "224.0.0.0/8", "169.254.0.0/16"]
            .into_iter()
            .chain(["fe80::/64", "10.0.0.1/24"])
        {
            let prefix: ipnet::IpNet = text.parse().unwrap();
            check_member(
                |member| member.prefixes = vec![prefix],
                MemberError::BadPrefix { prefix },
            );
        }
        let inner = "10.9.1.0/24".parse().unwrap();
        check_member(
            |member| member.prefixes = vec!["10.9.0.0/16".parse().unwrap(), inner],
            MemberError::PrefixTwice { prefix: inner },
        );
    }

    #[test]
    fn names_and_places_that_cannot_be_are_refused() {
        check_member(|m| m.name = "a\nb".into(), MemberError::BadName { name: "a\\nb".into() });
        check_member(|m| m.name = String::new(), MemberError::BadName { name: String::new() });
        check_member(|m| m.location.lat_e6 = 90_000_001, MemberError::BadLocation);
        check_member(|m| m.location.lon_e6 = i32::MIN, MemberError::BadLocation);
        check_member(|m| m.location.country = "gb".into(), MemberError::BadLocation);
    }

    #[test]
    fn two_members_never_share_a_key_an_endpoint_or_a_prefix() {
        let check = |change: fn(&mut Member, &Member), what| {
            let mut roster = roster(2);
            let first = roster.members[0].clone();
            change(&mut roster.members[1], &first);
            let node = roster.members[1].node;
            assert_eq!(roster.check(), Err(RosterError::Duplicate { node, what }));
        };
        check(|second, first| second.node_key = first.node_key, "node key");
        check(|second, first| second.endpoints = first.endpoints.clone(), "endpoint");
        check(|second, first| second.prefixes = first.prefixes.clone(), "prefix");
        let mut reversed = roster(2);
        reversed.members.reverse();
        assert_eq!(reversed.check(), Err(RosterError::NotAscending));
    }

    #[test]
    fn a_join_request_is_authentic_only_as_it_was_signed() {
        let account = AccountSecret::from_seed(&[5; 32]);
        let m = member(9);
        let profile = Profile {
            node_key: m.node_key,
            account_key: account.public(),
            endpoints: m.endpoints,
            prefixes: m.prefixes,
            location: m.location,
            asn: m.asn,
            class: m.class,
            price: None,
            egress: false,
            name: m.name,
        };
        let request = JoinRequest {
            controller: controller().public(),
            token: Some("secret-word".into()),
            issued: Timestamp::from_nanos(1),
            profile,
        };
        assert!(!format!("{request:?}").contains("secret-word"));
        let mut signed = request.sign(&account);
        assert!(signed.is_authentic());
        assert_eq!(signed.request.profile.check(), Ok(()));
        signed.request.profile.egress = true;
        assert!(!signed.is_authentic());
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_a_roster_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let _ = Roster::decode(&bytes);
            let _ = SignedRoster::from_bytes(&bytes).map(|s| s.open(&controller().public()));
        }

        #[test]
        fn a_damaged_roster_is_an_error_or_a_valid_roster(at in 0_usize..2_000, bit in 0_u8..8) {
            let mut bytes = borsh::to_vec(&roster(12)).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(read) = Roster::decode(&bytes) {
                prop_assert_eq!(borsh::to_vec(&read).unwrap(), bytes);
            }
        }
    }
}
