//! Node keys of routers: rotation with an overlap, and revocation at once.
//!
//! The account key may stay offline; the node key is on a machine that faces the network. A rotation lets
//! both keys be accepted for a bounded time, so that peers learn the later one without a gap. A stolen
//! key is revoked at once, and no account can register it again.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::apply::after;
use crate::canary::{self, Canary};
use crate::outcome::Effect;
use crate::rejection::Rejection;
use crate::router::Router;
use crate::state::State;
use srwan_wire::id::{AccountKey, Height, NodeKey};

/// Longest overlap of two keys. **Units:** blocks; a week of blocks of two seconds.
pub const OVERLAP_BLOCKS_MAX: u64 = 302_400;

/// Revoked keys that a router's row remembers; the oldest are forgotten first.
pub const REVOKED_MAX: usize = 16;

/// What an account may do with its router's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum NodeKeyAction {
    /// Puts another key in the place of the present one, which stays accepted for a while.
    Rotate {
        /// The key from now on.
        to: NodeKey,
        /// How long the present one stays accepted; at most [`OVERLAP_BLOCKS_MAX`].
        overlap_blocks: u64,
    },
    /// Makes one of its keys invalid at once.
    Revoke {
        /// Which.
        key: NodeKey,
    },
}

/// A key that was replaced and is still accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RetiringKey {
    /// Which.
    pub key: NodeKey,
    /// Last height at which it is accepted.
    pub until: Height,
}

impl Router {
    /// Whether a handshake with `key` is this router's at `height`.
    #[must_use]
    pub fn accepts(&self, key: &NodeKey, height: Height) -> bool {
        let is_in_time = |until| height <= until || canary::is(Canary::OverlapForever);
        let is_retiring =
            |retiring: RetiringKey| retiring.key == *key && is_in_time(retiring.until);
        let is_ours = self.registration.node_key == *key || self.retiring.is_some_and(is_retiring);
        is_ours && (!self.revoked.contains(key) || canary::is(Canary::RevokedAccepted))
    }

    /// All keys that belong to this router's account, accepted or not.
    pub(crate) fn keys(&self) -> impl Iterator<Item = NodeKey> {
        let retiring = self.retiring.map(|retiring| retiring.key);
        self.revoked.iter().copied().chain(retiring).chain([self.registration.node_key])
    }
}

impl State {
    /// The account whose router accepts `key` at the next height.
    #[must_use]
    pub fn router_of_key(&self, key: &NodeKey) -> Option<(AccountKey, &Router)> {
        let account = self.routers.owner(key)?;
        let router = self.routers.get(&account)?;
        router.accepts(key, self.next_height()).then_some((account, router))
    }

    pub(crate) fn check_node_key(
        &self,
        sender: &AccountKey,
        action: NodeKeyAction,
        height: Height,
    ) -> Result<Effect, Rejection> {
        let router = self.routers.check_active(sender)?;
        match action {
            NodeKeyAction::Rotate { to, overlap_blocks } => {
                self.routers.check_node_key(sender, &to)?;
                if to == router.registration.node_key {
                    return Err(Rejection::NodeKeySame);
                }
                if overlap_blocks > OVERLAP_BLOCKS_MAX {
                    let (got, max) = (overlap_blocks, OVERLAP_BLOCKS_MAX);
                    return Err(Rejection::OverlapTooLong { got, max });
                }
                Ok(Effect::NodeKeyRotated { to, until: after(height, overlap_blocks) })
            }
            NodeKeyAction::Revoke { key } if router.accepts(&key, height) => {
                Ok(Effect::NodeKeyRevoked { key })
            }
            NodeKeyAction::Revoke { .. } => Err(Rejection::NotANodeKey),
        }
    }

    pub(crate) fn write_rotation(&mut self, account: AccountKey, to: NodeKey, until: Height) {
        let mut router = self.routers.get(&account).expect("the router was checked").clone();
        let key = core::mem::replace(&mut router.registration.node_key, to);
        router.retiring = Some(RetiringKey { key, until });
        self.routers.put(account, router);
    }

    pub(crate) fn write_revocation(&mut self, account: AccountKey, key: NodeKey) {
        let mut router = self.routers.get(&account).expect("the router was checked").clone();
        router.retiring = router.retiring.filter(|retiring| retiring.key != key);
        router.revoked.push(key);
        let most = router.revoked.len().saturating_sub(REVOKED_MAX);
        router.revoked.drain(..most);
        self.routers.put(account, router);
    }
}
