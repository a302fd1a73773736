//! One group: its members' roster, signed anew with every change.

use std::collections::BTreeSet;

use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::roster::{Member, Roster, RosterError, SignedRoster};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::Timestamp;

use crate::record::GroupRecord;

/// The keys that a controller works with, all derived from its one seed.
#[derive(Debug)]
pub(crate) struct Keys {
    signer: AccountSecret,
    root: Root,
}

struct Root([u8; 32]);

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Root(..)")
    }
}

impl Keys {
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        let root = Root(blake3::derive_key("srwan controller derived keys v1", seed));
        Self { signer: AccountSecret::from_seed(seed), root }
    }

    pub(crate) fn signer(&self) -> &AccountSecret {
        &self.signer
    }

    /// The group's pre-shared key: derived, so that it needs no place on disk.
    fn psk(&self, group: GroupId, epoch: u32) -> [u8; 32] {
        self.derive(b"psk", group.0, &epoch.to_le_bytes())
    }

    /// The secret by which a member shows the controller that it is one.
    pub(crate) fn member_token(&self, member: &Member) -> [u8; 32] {
        self.derive(b"member", member.node.get(), &member.node_key.0)
    }

    fn derive(&self, purpose: &[u8], number: u32, rest: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.root.0);
        hasher.update(purpose);
        hasher.update(&[0]);
        hasher.update(&number.to_le_bytes());
        hasher.update(rest);
        *hasher.finalize().as_bytes()
    }
}

/// A group with its current roster.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) record: GroupRecord,
    /// Everybody in the group, the quarantined included: their places stay theirs.
    pub(crate) members: BTreeSet<NodeId>,
    pub(crate) signed: SignedRoster,
}

/// Whether a new roster changes the group's pre-shared key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PskRule {
    /// Nobody left.
    Keep,
    /// Somebody left, and must not be able to start handshakes any more.
    Replace,
}

impl GroupRecord {
    /// The record before the first roster.
    pub(crate) fn fresh(group: GroupId) -> Self {
        Self { group, seq: 0, psk_epoch: 0, issued: Timestamp::default() }
    }

    /// The record of the next roster.
    pub(crate) fn next(self, rule: PskRule, now: Timestamp) -> Self {
        let psk_epoch = match rule {
            PskRule::Keep => self.psk_epoch,
            PskRule::Replace => self.psk_epoch.saturating_add(1),
        };
        Self { seq: self.seq.saturating_add(1), psk_epoch, issued: now, ..self }
    }

    /// Signs the roster that this record and these members make; the same input, the same bytes.
    pub(crate) fn sign(
        self,
        keys: &Keys,
        members: Vec<Member>,
    ) -> Result<SignedRoster, RosterError> {
        let roster = Roster {
            group: self.group,
            seq: self.seq,
            issued: self.issued,
            psk: keys.psk(self.group, self.psk_epoch),
            members,
        };
        roster.sign(keys.signer())
    }
}
