//! Votes: accounts pool the weight of their balances behind a leader.
//!
//! A vote's weight is the least balance that the account had from the start of the epoch on, and
//! nothing in the epoch in which it joined. So voting locks and moves nothing; coins that move lose
//! their vote for the epoch, wherever they go; and coins borrowed for a block count nothing.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::canary::{self, Canary};
use crate::lane::wide;
use crate::rejection::Rejection;
use crate::table::{Holds, Table};
use srwan_wire::id::AccountKey;

/// What a voter may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum VoteAction {
    /// Opens a group and votes in it.
    Open {
        /// The leader's part of the group's dividend, in basis points.
        commission_bps: u16,
    },
    /// Votes in the group of `leader`, from the next epoch on.
    Join {
        /// Whose group.
        leader: AccountKey,
    },
    /// Stops voting at once. A leader leaves last.
    Leave,
    /// Changes the leader's part, from the next epoch on.
    SetCommission {
        /// The leader's part, in basis points.
        commission_bps: u16,
    },
}

/// One account's vote. It holds no coins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Voter {
    /// Whose group.
    pub leader: AccountKey,
    /// The least balance since the epoch started; zero if the vote is younger than that.
    pub weight: Amount,
}

impl Holds for Voter {
    fn held(&self) -> Amount {
        Amount::ZERO
    }
}

/// A leader and the dividends of its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VoteGroup {
    /// The leader's part in this epoch. **Units:** basis points.
    pub commission_bps: u16,
    /// The leader's part from the next epoch on. **Units:** basis points.
    pub next_commission_bps: u16,
    /// Voters, with the leader.
    pub members: u64,
    /// Dividend per unit of weight since the group began. **Units:** base units / 2^64.
    pub accumulator: u128,
    /// What the last division of the accumulator left over. **Units:** base units / 2^64 * weight.
    pub remainder: u128,
    /// Coins that rounding has not given to anyone yet.
    pub undistributed: Amount,
}

impl Holds for VoteGroup {
    fn held(&self) -> Amount {
        self.undistributed
    }
}

/// All groups by leader and all votes by voter.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub struct Votes {
    groups: Table<AccountKey, VoteGroup>,
    voters: Table<AccountKey, Voter>,
}

impl Votes {
    /// No votes.
    pub(crate) fn new() -> Self {
        Self { groups: Table::new(), voters: Table::new() }
    }

    /// Checks that `sender` may do `action`.
    ///
    /// **Errors:** the rule that it breaks.
    pub fn check(
        &self,
        sender: &AccountKey,
        action: VoteAction,
        commission_bps_max: u16,
    ) -> Result<(), Rejection> {
        let is_too_high = |bps: u16| bps > commission_bps_max;
        let too_high = Rejection::CommissionTooHigh { max_bps: commission_bps_max };
        match action {
            VoteAction::Open { commission_bps } if is_too_high(commission_bps) => Err(too_high),
            VoteAction::SetCommission { commission_bps } if is_too_high(commission_bps) => {
                Err(too_high)
            }
            VoteAction::Open { commission_bps: _ } => self.check_free(sender),
            VoteAction::Join { leader } => {
                self.check_free(sender)?;
                self.groups.get(&leader).map(|_| ()).ok_or(Rejection::NoSuchGroup)
            }
            VoteAction::Leave => self.check_leave(sender),
            VoteAction::SetCommission { commission_bps: _ } => {
                self.groups.get(sender).map(|_| ()).ok_or(Rejection::NotALeader)
            }
        }
    }

    /// Does what [`Votes::check`] allowed; returns coins that a dissolved group left, for the
    /// dividend pool.
    pub fn write(&mut self, sender: AccountKey, action: VoteAction) -> Amount {
        match action {
            VoteAction::Open { commission_bps } => self.open(sender, commission_bps),
            VoteAction::Join { leader } => self.join(sender, leader),
            VoteAction::Leave => return self.leave(sender),
            VoteAction::SetCommission { commission_bps } => {
                self.set_commission(sender, commission_bps);
            }
        }
        Amount::ZERO
    }

    /// Lowers the weight of `account` to a balance that it has fallen to.
    pub fn note_balance(&mut self, account: AccountKey, balance: Amount) {
        match self.voters.get(&account).copied() {
            Some(voter) if balance < voter.weight => {
                self.voters.put(account, Voter { weight: balance, ..voter });
            }
            Some(_) | None => {}
        }
    }

    /// The weight of each group that has any.
    pub fn weights(&self) -> BTreeMap<AccountKey, u128> {
        let mut weights = BTreeMap::new();
        for (_, voter) in self.voters.iter().filter(|(_, voter)| !voter.weight.is_zero()) {
            *weights.entry(voter.leader).or_default() += u128::from(voter.weight.base());
        }
        weights
    }

    /// The group of `leader`.
    pub fn group(&self, leader: &AccountKey) -> Option<&VoteGroup> {
        self.groups.get(leader)
    }

    /// The vote of `account`.
    pub fn voter(&self, account: &AccountKey) -> Option<&Voter> {
        self.voters.get(account)
    }

    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = (&AccountKey, &VoteGroup)> {
        self.groups.iter()
    }

    /// Members of the group of `leader` with their weights.
    pub fn members(&self, leader: &AccountKey) -> impl Iterator<Item = (AccountKey, Amount)> {
        let ours = self.voters.iter().filter(move |(_, voter)| voter.leader == *leader);
        ours.map(|(key, voter)| (*key, voter.weight))
    }

    /// Writes a group.
    pub fn put_group(&mut self, leader: AccountKey, group: VoteGroup) {
        self.groups.put(leader, group);
    }

    /// Starts an epoch: each vote weighs what `balance_of` says, each commission is the one last
    /// set.
    pub fn start_epoch(&mut self, balance_of: impl Fn(&AccountKey) -> Amount) {
        let voters: Vec<_> = self.voters.iter().map(|(key, voter)| (*key, *voter)).collect();
        for (key, voter) in voters {
            let weight = balance_of(&key);
            if weight != voter.weight {
                self.voters.put(key, Voter { weight, ..voter });
            }
        }
        let groups: Vec<_> = self.groups.iter().map(|(key, group)| (*key, *group)).collect();
        for (key, group) in groups {
            let commission_bps = group.next_commission_bps;
            if commission_bps != group.commission_bps {
                self.groups.put(key, VoteGroup { commission_bps, ..group });
            }
        }
    }

    /// Coins inside the groups.
    pub const fn held(&self) -> u128 {
        self.groups.held()
    }

    /// Counts the coins inside the groups again.
    pub fn recount(&self) -> u128 {
        self.groups.recount()
    }

    /// Brings the roots up to date.
    pub fn seal(&mut self) {
        self.groups.seal();
        self.voters.seal();
    }

    /// The table of groups.
    pub const fn group_rows(&self) -> &Table<AccountKey, VoteGroup> {
        &self.groups
    }

    /// The table of votes.
    pub const fn voter_rows(&self) -> &Table<AccountKey, Voter> {
        &self.voters
    }

    fn open(&mut self, sender: AccountKey, commission_bps: u16) {
        let group = VoteGroup {
            commission_bps,
            next_commission_bps: commission_bps,
            members: 1,
            ..VoteGroup::default()
        };
        self.groups.put(sender, group);
        self.voters.put(sender, Voter { leader: sender, weight: Amount::ZERO });
    }

    fn join(&mut self, sender: AccountKey, leader: AccountKey) {
        self.change_group(leader, |group| group.members += 1);
        self.voters.put(sender, Voter { leader, weight: Amount::ZERO });
    }

    fn leave(&mut self, sender: AccountKey) -> Amount {
        let leader = self.voters.get(&sender).expect("the vote was checked").leader;
        self.voters.remove(&sender);
        if leader == sender {
            let left = self.groups.get(&leader).map(|group| group.undistributed);
            self.groups.remove(&leader);
            return left.unwrap_or_default();
        }
        self.change_group(leader, |group| {
            group.members = group.members.checked_sub(1).expect("a voter is a member");
        });
        Amount::ZERO
    }

    fn set_commission(&mut self, sender: AccountKey, bps: u16) {
        self.change_group(sender, |group| {
            group.next_commission_bps = bps;
            if canary::is(Canary::CommissionAtOnce) {
                group.commission_bps = bps;
            }
        });
    }

    fn change_group(&mut self, leader: AccountKey, change: impl FnOnce(&mut VoteGroup)) {
        let mut group = *self.groups.get(&leader).expect("a vote names an existing group");
        change(&mut group);
        self.groups.put(leader, group);
    }

    fn check_leave(&self, sender: &AccountKey) -> Result<(), Rejection> {
        let leader = self.voters.get(sender).ok_or(Rejection::DoesNotVote)?.leader;
        let members = self.groups.get(&leader).expect("a vote names an existing group").members;
        if leader == *sender && members > 1 {
            return Err(Rejection::GroupHasMembers { members: members - 1 });
        }
        Ok(())
    }

    fn check_free(&self, sender: &AccountKey) -> Result<(), Rejection> {
        match self.voters.get(sender) {
            Some(_) => Err(Rejection::AlreadyVotes),
            None => Ok(()),
        }
    }
}

impl core::fmt::Debug for Votes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (groups, voters) = (wide(self.groups.len()), wide(self.voters.len()));
        write!(f, "Votes({groups} groups, {voters} voters)")
    }
}
