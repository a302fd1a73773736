//! Registered routers: who they are, what they ask, and the bond that answers for their word.
//!
//! A bond stays slashable until it has been returned: a router that retires after it contradicted
//! itself loses the same part. A slashed account never registers again, so one proof counts once.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::amount::Amount;
use crate::canary::{self, Canary};
use crate::node_key::RetiringKey;
use crate::rejection::Rejection;
use crate::table::{Holds, Table};
use srwan_wire::id::{AccountKey, ChainId, Height, NodeKey};
use srwan_wire::receipt::{LinkStatement, Price, contradicts};
use srwan_wire::roster::{Class, Location};

/// What a router says about itself on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Registration {
    /// Static key of its handshakes; one account has one.
    pub node_key: NodeKey,
    /// Where it is.
    pub location: Location,
    /// The autonomous system that it is in: with the location, the paper's geo:ASN.
    pub asn: u32,
    /// Under which rules it sells.
    pub class: Class,
    /// What it asks; [`Price::INFINITE`] = never for sale.
    pub price: Price,
}

/// Two statements of one router that cannot both be true.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Contradiction {
    /// One of them.
    pub left: LinkStatement,
    /// The other.
    pub right: LinkStatement,
}

impl Contradiction {
    /// Checks the proof and names whom it convicts.
    pub fn check(&self, chain: &ChainId) -> Result<AccountKey, Rejection> {
        let reporter = self.left.body.reporter;
        if self.left.body.chain != *chain {
            return Err(Rejection::WrongChain);
        }
        if !contradicts(&self.left.body, &self.right.body) {
            return Err(Rejection::NoContradiction);
        }
        for (index, statement) in [(0, &self.left), (1, &self.right)] {
            let verified = statement.verify(&reporter);
            verified.map_err(|_| Rejection::StatementForged { index })?;
        }
        Ok(reporter)
    }
}

/// Where a router's registration is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum RouterPhase {
    /// Registered.
    Active,
    /// Retired; the bond is returned at this height.
    Unbonding {
        /// When.
        until: Height,
    },
    /// Convicted; what is left of the bond is returned at this height, the row stays.
    Slashed {
        /// When.
        until: Height,
    },
}

/// One registered router.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Router {
    /// What it says.
    pub registration: Registration,
    /// What it locked.
    pub bond: Amount,
    /// Where in its life.
    pub phase: RouterPhase,
    /// The key before a rotation.
    pub retiring: Option<RetiringKey>,
    /// Keys that are never accepted again, oldest first.
    pub revoked: Vec<NodeKey>,
}

impl Router {
    fn due(&self) -> Option<Height> {
        match self.phase {
            RouterPhase::Active => None,
            RouterPhase::Unbonding { until } => Some(until),
            RouterPhase::Slashed { until } => (!self.bond.is_zero()).then_some(until),
        }
    }
}

impl Holds for Router {
    fn held(&self) -> Amount {
        self.bond
    }
}

/// All routers, by account, with their node keys and when a bond is due.
///
/// Invariant: `node_keys` and `due` follow from `rows`.
#[derive(Clone)]
pub struct Routers {
    rows: Table<AccountKey, Router>,
    node_keys: BTreeMap<NodeKey, AccountKey>,
    due: BTreeSet<(Height, AccountKey)>,
}

impl Routers {
    /// No routers.
    pub(crate) fn new() -> Self {
        Self { rows: Table::new(), node_keys: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// The router of `account`.
    pub fn get(&self, account: &AccountKey) -> Option<&Router> {
        self.rows.get(account)
    }

    /// Checks that `account` may register or change what it said.
    pub fn check_register(
        &self,
        account: &AccountKey,
        registration: &Registration,
    ) -> Result<(), Rejection> {
        registration.location.check().map_err(|_| Rejection::BadLocation)?;
        self.check_node_key(account, &registration.node_key)?;
        match self.get(account).map(|router| router.phase) {
            None | Some(RouterPhase::Active) => Ok(()),
            Some(RouterPhase::Unbonding { .. }) => Err(Rejection::RouterRetired),
            Some(RouterPhase::Slashed { .. }) => Err(Rejection::RouterSlashed),
        }
    }

    /// Checks that `account` may use `key` for its router.
    pub fn check_node_key(&self, account: &AccountKey, key: &NodeKey) -> Result<(), Rejection> {
        if self.owner(key).is_some_and(|owner| owner != *account) {
            return Err(Rejection::NodeKeyTaken);
        }
        let is_revoked = self.get(account).is_some_and(|router| router.revoked.contains(key));
        if is_revoked { Err(Rejection::NodeKeyRevoked) } else { Ok(()) }
    }

    /// The account that `key` belongs to, whether it is accepted or not.
    pub fn owner(&self, key: &NodeKey) -> Option<AccountKey> {
        self.node_keys.get(key).copied()
    }

    /// Checks that `account` has an active router.
    pub fn check_active(&self, account: &AccountKey) -> Result<&Router, Rejection> {
        let router = self.get(account).ok_or(Rejection::NotRegistered)?;
        match router.phase {
            RouterPhase::Active => Ok(router),
            RouterPhase::Unbonding { .. } => Err(Rejection::RouterRetired),
            RouterPhase::Slashed { .. } => Err(Rejection::RouterSlashed),
        }
    }

    /// Checks that `account` has a bond that can still be slashed.
    pub fn check_slashable(&self, account: &AccountKey) -> Result<&Router, Rejection> {
        let router = self.get(account).ok_or(Rejection::NotRegistered)?;
        match router.phase {
            RouterPhase::Unbonding { .. } if canary::is(Canary::SlashActiveOnly) => {
                Err(Rejection::RouterRetired)
            }
            RouterPhase::Active | RouterPhase::Unbonding { .. } => Ok(router),
            RouterPhase::Slashed { .. } => Err(Rejection::RouterSlashed),
        }
    }

    /// Writes a router.
    pub fn put(&mut self, account: AccountKey, router: Router) {
        self.forget(&account);
        self.node_keys.extend(router.keys().map(|key| (key, account)));
        self.due.extend(router.due().map(|due| (due, account)));
        self.rows.put(account, router);
    }

    /// Removes a router.
    pub fn remove(&mut self, account: &AccountKey) {
        self.forget(account);
        self.rows.remove(account);
    }

    /// Accounts whose bond is due at `height` or before.
    pub fn due_by(&self, height: Height) -> Vec<AccountKey> {
        self.due.iter().take_while(|(due, _)| *due <= height).map(|(_, key)| *key).collect()
    }

    /// All routers.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountKey, &Router)> {
        self.rows.iter()
    }

    /// The table below.
    pub const fn rows(&self) -> &Table<AccountKey, Router> {
        &self.rows
    }

    /// Brings the root up to date.
    pub fn seal(&mut self) {
        self.rows.seal();
    }

    fn forget(&mut self, account: &AccountKey) {
        if let Some(router) = self.rows.get(account) {
            for key in router.keys() {
                self.node_keys.remove(&key);
            }
            if let Some(due) = router.due() {
                self.due.remove(&(due, *account));
            }
        }
    }
}

impl BorshSerialize for Routers {
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        self.rows.serialize(writer)
    }
}

impl BorshDeserialize for Routers {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let rows = Table::<AccountKey, Router>::deserialize_reader(reader)?;
        let mut node_keys = BTreeMap::new();
        for (account, router) in rows.iter() {
            node_keys.extend(router.keys().map(|key| (key, *account)));
        }
        let due = rows.iter().filter_map(|(key, row)| row.due().map(|due| (due, *key))).collect();
        Ok(Self { rows, node_keys, due })
    }
}
