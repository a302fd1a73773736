//! Dividends: at the end of an epoch the pool goes to the heaviest vote groups, and on to members.
//!
//! The top K groups by weight (ties to the lower key) share the pool by weight; what rounding
//! leaves stays in the pool. Inside a group the leader takes its commission, and the rest goes
//! through an accumulator of 64 fractional bits, so that what one epoch's division left over is
//! paid by a later one:
//!
//! ```text
//! t = (D << 64) + remainder;   accumulator += t / W;   remainder = t % W
//! a member of weight w gets w * (accumulator - accumulator before) >> 64
//! ```

use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::canary::{self, Canary};
use crate::vote::{VoteGroup, Votes};
use srwan_wire::id::AccountKey;

/// What an epoch's end pays, and what stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochDividend {
    /// What each account gets.
    pub payments: BTreeMap<AccountKey, Amount>,
    /// What left the pool; the difference to the payments is inside the groups.
    pub from_pool: Amount,
}

/// Divides `pool` among the `paid_groups` heaviest groups and their members.
///
/// The groups keep what rounding leaves; the caller moves the payments.
pub fn distribute(votes: &mut Votes, pool: Amount, paid_groups: u16) -> EpochDividend {
    let mut ranked: Vec<(AccountKey, u128)> = votes.weights().into_iter().collect();
    ranked.sort_by_key(|(leader, weight)| (core::cmp::Reverse(*weight), *leader));
    if canary::is(Canary::TieToHigher) {
        ranked.reverse();
        ranked.sort_by_key(|(_, weight)| core::cmp::Reverse(*weight));
    }
    ranked.truncate(usize::from(paid_groups));
    let total: u128 = ranked.iter().map(|(_, weight)| weight).sum();
    let mut dividend = EpochDividend::default();
    for (leader, weight) in ranked {
        // Weights are at most the supply, 10^18, so the product fits.
        let part = u128::from(pool.base()) * weight / total;
        let part = Amount::from_u128(part).expect("a part is at most the pool");
        dividend.from_pool = sum(dividend.from_pool, part);
        pay_group(votes, leader, part, &mut dividend.payments);
    }
    dividend
}

/// Divides a group's part among its members.
fn pay_group(
    votes: &mut Votes,
    leader: AccountKey,
    part: Amount,
    payments: &mut BTreeMap<AccountKey, Amount>,
) {
    let group = *votes.group(&leader).expect("a weight belongs to an existing group");
    let commission = part.bps(group.commission_bps).expect("a commission is at most the part");
    let members: Vec<_> = votes.members(&leader).collect();
    let (advanced, per_weight) = advance(group, part.saturating_sub(commission), &members);
    let mut left = sum(group.undistributed, part);
    let shares = members.iter().map(|(member, weight)| (*member, share(*weight, per_weight)));
    for (account, amount) in shares.chain([(leader, commission)]) {
        left = left.checked_sub(amount).expect("a group pays at most what it has");
        let paid = payments.entry(account).or_default();
        *paid = sum(*paid, amount);
    }
    votes.put_group(leader, VoteGroup { undistributed: left, ..advanced });
}

/// Moves a group's accumulator on; returns it and the dividend of one unit of weight.
fn advance(
    group: VoteGroup,
    dividend: Amount,
    members: &[(AccountKey, Amount)],
) -> (VoteGroup, u128) {
    let weight: u128 = members.iter().map(|(_, weight)| u128::from(weight.base())).sum();
    let t = (u128::from(dividend.base()) << FRACTION_BITS) + group.remainder;
    let per_weight = t / weight;
    let accumulator = group.accumulator.wrapping_add(per_weight);
    (VoteGroup { accumulator, remainder: t % weight, ..group }, per_weight)
}

fn share(weight: Amount, per_weight: u128) -> Amount {
    let scaled = u128::from(weight.base()) * per_weight;
    Amount::from_u128(scaled >> FRACTION_BITS).expect("a share is at most the dividend")
}

fn sum(left: Amount, right: Amount) -> Amount {
    left.checked_add(right).expect("all coins together fit an amount")
}

/// Fractional bits of the accumulator. Source: the design note on money.
const FRACTION_BITS: u32 = 64;
