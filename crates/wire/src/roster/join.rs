//! The request by which a router asks a controller for a place, signed by its account key.
//!
//! The signature proves possession of the account key and covers everything else, so a join token
//! seen on the way cannot be spent for other keys. Possession of the node key needs no proof
//! here: without its secret half no handshake ever completes, and a node key that is already
//! registered answers to the account key it was registered with alone.

use std::net::SocketAddr;

use borsh::{BorshDeserialize, BorshSerialize};
use ipnet::IpNet;

use super::member::{self, Class, Location, Member, MemberError, read_prefixes, write_prefixes};
use crate::id::{AccountKey, NodeId, NodeKey};
use crate::sign::{self, AccountSecret, Signature};
use crate::time::Timestamp;

/// What the account key's signature on a join request speaks about.
pub const JOIN_DOMAIN: &str = "srwan join v1";

/// Longest join token: tokens are 64 hex characters, operators may choose shorter words.
pub const TOKEN_OCTETS_MAX: usize = 128;

/// Everything that a router says about itself: a [`Member`] that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Profile {
    /// Static key of its handshakes.
    pub node_key: NodeKey,
    /// Signs its rows, receipts and transactions, and the join request itself.
    pub account_key: AccountKey,
    /// See [`Member::endpoints`].
    pub endpoints: Vec<SocketAddr>,
    /// See [`Member::prefixes`].
    #[borsh(serialize_with = "write_prefixes", deserialize_with = "read_prefixes")]
    pub prefixes: Vec<IpNet>,
    /// Where it is.
    pub location: Location,
    /// See [`Member::asn`].
    pub asn: u32,
    /// Under which rules it sells.
    pub class: Class,
    /// See [`Member::price`].
    pub price: Option<u64>,
    /// Whether it delivers to destinations outside the WAN.
    pub egress: bool,
    /// Shown to people.
    pub name: String,
}

impl Profile {
    /// Turns the profile into the roster's entry under this number.
    pub fn into_member(self, node: NodeId) -> Member {
        Member {
            node,
            node_key: self.node_key,
            account_key: self.account_key,
            endpoints: self.endpoints,
            prefixes: self.prefixes,
            location: self.location,
            asn: self.asn,
            class: self.class,
            price: self.price,
            egress: self.egress,
            name: self.name,
        }
    }

    /// Checks the rules that the roster's entry will have to keep.
    ///
    /// **Errors:** the first rule that is broken.
    pub fn check(&self) -> Result<(), MemberError> {
        member::check_claims(&self.name, &self.location, &self.endpoints, &self.prefixes)
    }
}

/// What is signed to join, or to change what the roster says about a known router.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct JoinRequest {
    /// The controller that is asked: a request to one is worthless at another.
    pub controller: AccountKey,
    /// One-off token; a router whose node key is registered needs none.
    pub token: Option<String>,
    /// By the router's clock; must rise with every changed request, so an old one cannot be
    /// replayed to undo a newer one.
    pub issued: Timestamp,
    /// What the roster is to say.
    pub profile: Profile,
}

impl JoinRequest {
    /// Signs the canonical bytes with the account key that the profile names.
    pub fn sign(self, account: &AccountSecret) -> SignedJoinRequest {
        let bytes = self.canonical_bytes();
        let signature = account.sign(JOIN_DOMAIN, &bytes);
        SignedJoinRequest { request: self, signature }
    }

    /// Returns the bytes that are signed: the borsh encoding.
    ///
    /// **Panics:** never; writing to memory cannot fail.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("writing to a Vec cannot fail")
    }
}

impl std::fmt::Debug for JoinRequest {
    /// Prints everything but the token, which is a secret until it is spent.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinRequest")
            .field("controller", &self.controller)
            .field("token", &self.token.as_ref().map(|_| "..."))
            .field("issued", &self.issued)
            .field("profile", &self.profile)
            .finish()
    }
}

/// A join request with its signature, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedJoinRequest {
    /// What is asked.
    pub request: JoinRequest,
    /// By the account key that the request names, in [`JOIN_DOMAIN`].
    pub signature: Signature,
}

impl SignedJoinRequest {
    /// Says whether the request was signed by the account key that it names.
    pub fn is_authentic(&self) -> bool {
        let bytes = self.request.canonical_bytes();
        let account = &self.request.profile.account_key;
        sign::verify(JOIN_DOMAIN, &bytes, account, &self.signature).is_ok()
    }
}
