//! The whole ledger: every kind of row, the pools, and how a block moves it on.
//!
//! `State` only puts the kinds together: what a transaction does is in [`crate::apply`], what the
//! end of a block does in [`crate::close`], and each kind's own rules in its own module.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::account::{Account, Accounts};
use crate::amount::Amount;
use crate::block::{Block, BlockError, Header, Maker, Parent, root_of_names, tx_root};
use crate::canary::{self, Canary};
use crate::contract::store::Contracts;
use crate::escrow::{Escrow, Escrows};
use crate::genesis::{Genesis, GenesisError, Params, VALIDATORS_MAX};
use crate::governance::Approvals;
use crate::hash::{BlockHash, StateRoot, digest};
use crate::lane::{Lane, Lanes};
use crate::outcome::BlockOutcome;
use crate::proof::root_of_kinds;
use crate::rejection::Rejection;
use crate::roots::Roots;
use crate::router::{Router, Routers};
use crate::signature::{Checked, Form};
use crate::table::Table;
use crate::tx::SignedTx;
use crate::validator::{Member, Validator, Validators};
use crate::vote::Votes;
use srwan_wire::id::{AccountKey, ChainId, Height, LaneId, ValidatorKey};

/// Coins that belong to rules rather than to keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Pools {
    /// The infrastructure account.
    pub infra: Amount,
    /// Validators' part of fees that no one has been paid yet.
    pub validators: Amount,
    /// Dividends that have not been paid yet.
    pub dividends: Amount,
    /// What is left of the subsidy; only ever falls.
    pub subsidy: Amount,
    /// What genesis gave to no one.
    pub treasury: Amount,
    /// What slashing took out of use; only ever grows.
    pub burned: Amount,
    /// Fees of the block in progress; empty between blocks.
    pub fees: Amount,
}

impl Pools {
    fn held(&self) -> u128 {
        let all = [
            self.infra,
            self.validators,
            self.dividends,
            self.subsidy,
            self.treasury,
            self.burned,
            self.fees,
        ];
        all.iter().map(|amount| u128::from(amount.base())).sum()
    }
}

/// Where all coins are. `total` is the sum of the rest, and equals the supply of genesis at every
/// height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supply {
    /// Sum of all below. **Units:** base units, here and in every field.
    pub total: u128,
    /// In free balances.
    pub accounts: u128,
    /// In escrows, free for lanes.
    pub escrows: u128,
    /// In lanes.
    pub lanes: u128,
    /// In routers' bonds.
    pub bonds: u128,
    /// In validators' bonds.
    pub validator_bonds: u128,
    /// In vote groups, by rounding.
    pub groups: u128,
    /// In leases, agreements and bonds of pseudonyms.
    pub contracts: u128,
    /// In the pools.
    pub pools: Pools,
}

/// The ledger after some block.
///
/// Invariant: the coins in all parts add up to `supply`; checked after every block.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub struct State {
    pub(crate) chain: ChainId,
    pub(crate) params: Params,
    pub(crate) supply: Amount,
    pub(crate) subsidy_total: Amount,
    pub(crate) height: Height,
    pub(crate) tip: BlockHash,
    /// What the header of `tip` says of the state that its proposer had reached.
    pub(crate) stated: Height,
    pub(crate) validators: Validators,
    pub(crate) approvals: Approvals,
    pub(crate) accounts: Accounts,
    pub(crate) escrows: Escrows,
    pub(crate) lanes: Lanes,
    pub(crate) routers: Routers,
    pub(crate) votes: Votes,
    pub(crate) contracts: Contracts,
    pub(crate) pools: Pools,
    pub(crate) root: StateRoot,
    pub(crate) roots: Roots,
}

impl State {
    /// The ledger before its first block.
    ///
    /// **Errors:** [`GenesisError`] if nothing can begin from this genesis.
    pub fn genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        genesis.check()?;
        let chain = genesis.chain_id();
        let pools =
            Pools { subsidy: genesis.subsidy, treasury: genesis.treasury()?, ..Pools::default() };
        let mut state = Self {
            chain,
            params: genesis.params,
            supply: genesis.supply,
            subsidy_total: genesis.subsidy,
            height: Height(0),
            tip: BlockHash(chain.0),
            stated: Height(0),
            validators: Validators::new(&genesis.validators),
            approvals: Approvals::default(),
            accounts: Table::new(),
            escrows: Table::new(),
            lanes: Lanes::new(),
            routers: Routers::new(),
            votes: Votes::new(),
            contracts: Contracts::new(),
            pools,
            root: StateRoot::default(),
            roots: Roots::new(),
        };
        for (key, balance) in &genesis.accounts {
            state.accounts.credit(*key, *balance);
        }
        state.seal();
        state.roots.push(state.root);
        Ok(state)
    }

    /// Reads a state back, and counts and hashes all of it again.
    ///
    /// **Errors:** [`SnapshotError`]; the bytes are damaged and say nothing.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (bytes, check) = bytes.split_last_chunk().ok_or(SnapshotError::Malformed)?;
        if digest(SNAPSHOT_DOMAIN, &[bytes]) != *check {
            return Err(SnapshotError::Damaged);
        }
        let mut state: Self = borsh::from_slice(bytes).map_err(|_| SnapshotError::Malformed)?;
        let said = state.root;
        let counted = state.recount();
        if counted != u128::from(state.supply.base()) {
            return Err(SnapshotError::NotConserved { counted, supply: state.supply });
        }
        state.seal();
        let found = state.root;
        let is_last = state.roots.newest() == state.height && state.roots.last() == Some(found);
        if said == found && is_last {
            Ok(state)
        } else {
            Err(SnapshotError::WrongRoot { said, found })
        }
    }

    /// The canonical bytes of this state, with a check over all of them.
    #[must_use]
    pub fn to_snapshot(&self) -> Vec<u8> {
        let mut bytes = borsh::to_vec(self).expect("writing to a Vec does not fail");
        let check = digest(SNAPSHOT_DOMAIN, &[&bytes]);
        bytes.extend_from_slice(&check);
        bytes
    }

    /// The header of a block with `txs` that follows the last executed one.
    #[must_use]
    pub fn next_header(&self, maker: Maker, txs: &[SignedTx]) -> Header {
        let header = self.header_after(&self.parent(), maker, txs);
        header.expect("a ledger has reached what its own last block names")
    }

    /// The header of a block with `txs` that follows `parent`, which need not be executed yet.
    ///
    /// It names the newest state of this ledger. `None` if `parent` names a later one: then whoever
    /// asks is too far behind to propose. The maker's voters are left out if they were named before.
    #[must_use]
    pub fn header_after(&self, parent: &Parent, maker: Maker, txs: &[SignedTx]) -> Option<Header> {
        let is_behind = parent.state_height > self.height || parent.height < self.height;
        let advances = self.height > parent.state_height;
        (!is_behind).then(|| Header {
            chain: self.chain,
            height: Height(parent.height.0.saturating_add(1)),
            parent: parent.hash,
            state_height: self.height,
            state_root: self.root,
            tx_root: tx_root(txs),
            time: maker.time,
            proposer: maker.proposer,
            voters: if advances { maker.voters } else { Vec::new() },
        })
    }

    /// What a header that follows the last executed block has to know of it.
    #[must_use]
    pub const fn parent(&self) -> Parent {
        Parent { height: self.height, hash: self.tip, state_height: self.stated }
    }

    /// Checks that `block` may follow `parent`, which need not be executed yet. It says nothing about
    /// the transactions apart from their being those that the header names.
    ///
    /// **Errors:** [`BlockError`]; after [`BlockError::StateUnknown`] ask again once more blocks were
    /// executed, after all others never.
    pub fn check_after(&self, parent: &Parent, block: &Block) -> Result<(), BlockError> {
        self.check_header(parent, &block.header, tx_root(&block.txs))
    }

    fn check_header(
        &self,
        parent: &Parent,
        header: &Header,
        tx_root: [u8; 32],
    ) -> Result<(), BlockError> {
        if header.chain != self.chain {
            return Err(BlockError::WrongChain);
        }
        let expected = Height(parent.height.0.saturating_add(1));
        if header.height != expected {
            return Err(BlockError::WrongHeight { expected, got: header.height });
        }
        if header.parent != parent.hash {
            return Err(BlockError::WrongParent);
        }
        check_voters(parent, header)?;
        if header.tx_root != tx_root {
            return Err(BlockError::WrongTransactions);
        }
        self.check_stated(parent, header)
    }

    /// Checks the state that a header names against those that this ledger went through.
    fn check_stated(&self, parent: &Parent, header: &Header) -> Result<(), BlockError> {
        let got = header.state_height;
        if got >= header.height {
            return Err(BlockError::StateNotBefore { got });
        }
        if got < parent.state_height {
            return Err(BlockError::StateFell { parent: parent.state_height, got });
        }
        let expected = self.roots.at(got)?;
        if header.state_root != expected && !canary::is(Canary::AnyState) {
            return Err(BlockError::WrongState { height: got, expected, got: header.state_root });
        }
        Ok(())
    }

    /// Checks that `block` follows the last executed one.
    ///
    /// **Errors:** [`BlockError`]; the block must not be executed.
    pub fn check_block(&self, block: &Block) -> Result<(), BlockError> {
        self.check_after(&self.parent(), block)
    }

    /// The root after the block of `height`, if it is among the last 4,096.
    #[must_use]
    pub fn root_at(&self, height: Height) -> Option<StateRoot> {
        self.roots.at(height).ok()
    }

    /// Executes a block.
    ///
    /// **Errors:** [`BlockError`] if it does not follow this state, which is then as it was.
    ///
    /// **Panics:** if coins are made or lost, which no block can cause unless a rule here is wrong.
    pub fn execute(&mut self, block: &Block) -> Result<BlockOutcome, BlockError> {
        let mut checked = Checked::new();
        checked.check(self, &block.txs);
        self.execute_checked(block, &checked)
    }

    /// The same; signatures that `checked` knows are not checked again.
    ///
    /// **Errors:** the same.
    ///
    /// **Panics:** the same.
    pub fn execute_checked(
        &mut self,
        block: &Block,
        checked: &Checked,
    ) -> Result<BlockOutcome, BlockError> {
        let forms: Vec<Form> = block.txs.iter().map(Form::of).collect();
        self.execute_forms(block, &forms, checked)
    }

    /// The same of transactions whose `forms` are known, in their order.
    ///
    /// **Errors:** the same.
    ///
    /// **Panics:** the same.
    pub fn execute_forms(
        &mut self,
        block: &Block,
        forms: &[Form],
        checked: &Checked,
    ) -> Result<BlockOutcome, BlockError> {
        let tx_root = root_of_names(forms.iter().map(|form| form.hash));
        self.check_header(&self.parent(), &block.header, tx_root)?;
        let height = block.header.height;
        let apply = |(tx, form)| self.apply_form(tx, form, height, checked.known(form));
        let receipts = block.txs.iter().zip(forms).map(apply).collect();
        self.tip = block.header.hash();
        self.stated = block.header.state_height;
        let events = self.end_block(height, &block.header.voters);
        Ok(BlockOutcome { receipts, events, root: self.root })
    }

    /// Which ledger.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The rules' parameters.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// The height of the last block.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.height
    }

    /// The height of the block that comes next.
    #[must_use]
    pub const fn next_height(&self) -> Height {
        Height(self.height.0.saturating_add(1))
    }

    /// The name of the last block.
    #[must_use]
    pub const fn tip(&self) -> BlockHash {
        self.tip
    }

    /// The digest of this state.
    #[must_use]
    pub const fn root(&self) -> StateRoot {
        self.root
    }

    /// The validator whose consensus key is `key`.
    #[must_use]
    pub fn validator(&self, key: &ValidatorKey) -> Option<&Validator> {
        self.validators.get(key)
    }

    /// All validators, in whatever phase.
    pub fn validators(&self) -> impl Iterator<Item = (&ValidatorKey, &Validator)> {
        self.validators.iter()
    }

    /// Who votes in a consensus epoch, ascending by key; `None` if it is not fixed yet or long over.
    ///
    /// Epoch e is heights e * n + 1 ..= (e + 1) * n with n = [`Params::committee_blocks`].
    #[must_use]
    pub fn committee(&self, epoch: u64) -> Option<&[Member]> {
        self.validators.committee(epoch).map(|committee| committee.0.as_slice())
    }

    /// What members of the committee approve.
    #[must_use]
    pub const fn approvals(&self) -> &Approvals {
        &self.approvals
    }

    /// All coins there are.
    #[must_use]
    pub const fn supply_total(&self) -> Amount {
        self.supply
    }

    /// The account of `key`; one that never existed is empty.
    #[must_use]
    pub fn account(&self, key: &AccountKey) -> Account {
        self.accounts.of(key)
    }

    /// The escrow of `payer`; one that never existed is empty.
    #[must_use]
    pub fn escrow(&self, payer: &AccountKey) -> Escrow {
        self.escrows.of(payer)
    }

    /// The lane called `id`.
    ///
    /// **Errors:** [`Rejection::NoSuchLane`].
    pub fn lane(&self, id: &LaneId) -> Result<&Lane, Rejection> {
        self.lanes.get(id)
    }

    /// All lanes, open and closing.
    pub fn lanes(&self) -> impl Iterator<Item = (&LaneId, &Lane)> {
        self.lanes.iter()
    }

    /// The registered router of `account`.
    #[must_use]
    pub fn router(&self, account: &AccountKey) -> Option<&Router> {
        self.routers.get(account)
    }

    /// All registered routers.
    pub fn routers(&self) -> impl Iterator<Item = (&AccountKey, &Router)> {
        self.routers.iter()
    }

    /// All votes and vote groups.
    #[must_use]
    pub const fn votes(&self) -> &Votes {
        &self.votes
    }

    /// All contracts.
    #[must_use]
    pub const fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// Where all coins are, from running sums: cheap.
    #[must_use]
    pub fn supply(&self) -> Supply {
        let mut supply = Supply {
            total: 0,
            accounts: self.accounts.held(),
            escrows: self.escrows.held(),
            lanes: self.lanes.rows().held(),
            bonds: self.routers.rows().held(),
            validator_bonds: self.validators.rows().held(),
            groups: self.votes.held(),
            contracts: self.contracts.held(),
            pools: self.pools,
        };
        supply.total = supply.accounts
            + supply.escrows
            + supply.lanes
            + supply.bonds
            + supply.validator_bonds
            + supply.groups
            + supply.contracts
            + supply.pools.held();
        supply
    }

    /// All coins, counted row by row. **Units:** base units.
    #[must_use]
    pub fn recount(&self) -> u128 {
        self.accounts.recount()
            + self.escrows.recount()
            + self.lanes.rows().recount()
            + self.routers.rows().recount()
            + self.validators.rows().recount()
            + self.votes.recount()
            + self.contracts.recount()
            + self.pools.held()
    }

    /// Brings the root up to date with all rows written since the last time.
    pub(crate) fn seal(&mut self) {
        self.accounts.seal();
        self.escrows.seal();
        self.lanes.seal();
        self.routers.seal();
        self.votes.seal();
        self.validators.seal();
        self.contracts.seal();
        self.root = root_of_kinds(&self.table_roots());
    }

    /// Stops rather than go on with coins made or lost.
    pub(crate) fn assert_conserved(&self) {
        let (total, supply) = (self.supply().total, u128::from(self.supply.base()));
        assert!(total == supply, "height {}: {total} base units, not {supply}", self.height);
    }
}

impl core::fmt::Debug for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "State(height {}, root {})", self.height, self.root)
    }
}

/// Checks that no voter is paid twice.
fn check_voters(parent: &Parent, header: &Header) -> Result<(), BlockError> {
    let voters = &header.voters;
    let is_twice = !voters.is_sorted_by(|left, right| left < right);
    if voters.len() > VALIDATORS_MAX || (is_twice && !canary::is(Canary::VoterTwice)) {
        return Err(BlockError::WrongVoters);
    }
    let is_paid = header.state_height <= parent.state_height && !canary::is(Canary::PaidAgain);
    if !voters.is_empty() && is_paid {
        return Err(BlockError::VotersWithoutState);
    }
    Ok(())
}

/// Why the bytes of a snapshot are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not the encoding of a state.
    #[error("the snapshot is not the encoding of a state")]
    Malformed,
    /// Some octet differs: the roots of earlier states are not covered by the root.
    #[error("the snapshot does not have the digest that it ends with")]
    Damaged,
    /// Coins are missing or too many.
    #[error("the snapshot holds {counted} base units, the supply is {supply} coins")]
    NotConserved {
        /// What was counted. **Units:** base units.
        counted: u128,
        /// What should be there.
        supply: Amount,
    },
    /// Some row differs.
    #[error("the snapshot says that its root is {said}, it is {found}")]
    WrongRoot {
        /// What it says.
        said: StateRoot,
        /// What it is.
        found: StateRoot,
    },
}

/// Under which the digest at the end of a snapshot is made.
const SNAPSHOT_DOMAIN: &str = "srwan snapshot v1";
