//! The validators' review of a ticket's link statements: the third bound on what it pays.
//!
//! Counters are of a link and of one boot, not of a lane, so single figures of two ends say
//! nothing. The ledger keeps, per lane and link, both ends' first statements as a base; a later
//! ticket's statements of the same boots give what each end says was carried since. Where they
//! disagree the lower figure bounds the payment and both ends are flagged; where they agree they
//! bound it too, with room for what is in flight. A boot that changes begins another base.
//!
//! ```text
//! B = min(receipt, delivery, base.settled + carried since the base)
//! ```
//!
//! Only links between bonded accounts are reviewed: a statement without a bond costs nothing to
//! forge together. A sender must bring both ends' statements of the links beside it. Someone whose
//! neighbour keeps its statement back asks another party of the lane to submit: evidence cannot be
//! withheld to stop a payment unless all parties do so.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::{BTreeMap, BTreeSet};

use super::rejection::ContractRejection;
use crate::amount::Amount;
use crate::lane::{Lane, wide};
use crate::table::Holds;
use crate::ticket::Ticket;
use srwan_wire::id::{AccountKey, Octets};
use srwan_wire::receipt::LinkStatementBody;

/// Two ends may differ by this and by an eighth: their statements are not of the same moment.
///
/// Source: the credit limit of an honest payee, 64 MiB, is what may be in flight.
pub const TOLERANCE: u64 = 64 << 20;

/// Both ends' statements from which a link is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LinkBase {
    /// Of the end nearer to the payer.
    pub near: LinkStatementBody,
    /// Of the other end.
    pub far: LinkStatementBody,
    /// Octets of the lane that were settled when the base was taken.
    pub settled: Octets,
    /// The latest sequence numbers seen of near and far.
    pub seqs: (u64, u64),
}

/// The bases of one lane, by the position of the link on its path.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LaneBook {
    /// By position: 0 is the payer's link to the first payee.
    pub links: BTreeMap<u8, LinkBase>,
}

impl Holds for LaneBook {
    fn held(&self) -> Amount {
        Amount::ZERO
    }
}

/// What the statements of a ticket say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// The most octets that they support.
    pub octets_max: Octets,
    /// Ends that disagree, each once.
    pub flagged: BTreeSet<AccountKey>,
    /// The bases after this ticket.
    pub book: LaneBook,
}

/// Reviews the statements of a ticket, whose signatures were or will be checked with the ticket.
pub fn review(
    lane: &Lane,
    book: &LaneBook,
    ticket: &Ticket,
    sender: &AccountKey,
    is_bonded: impl Fn(&AccountKey) -> bool,
) -> Result<Review, ContractRejection> {
    let mut found =
        Review { octets_max: Octets(u64::MAX), flagged: BTreeSet::new(), book: book.clone() };
    let payees = lane.open.payees.iter().map(|payee| payee.account);
    let nodes: Vec<_> = [lane.payer].into_iter().chain(payees).collect();
    for (position, ends) in (0_u8..).zip(nodes.windows(2)) {
        let [near, far] = [ends[0], ends[1]];
        if !is_bonded(&near) || !is_bonded(&far) {
            continue;
        }
        let said = (latest(ticket, &near, &far), latest(ticket, &far, &near));
        match said {
            (Some(near), Some(far)) => found.weigh(position, lane.settled, near, far)?,
            _ if near == *sender || far == *sender => {
                return Err(ContractRejection::EvidenceMissing);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The newest statement of `reporter` about `peer`, with its index in the ticket.
fn latest<'a>(
    ticket: &'a Ticket,
    reporter: &AccountKey,
    peer: &AccountKey,
) -> Option<(u64, &'a LinkStatementBody)> {
    let bodies = ticket.statements.iter().map(|statement| &statement.body).enumerate();
    let of_link = bodies.filter(|(_, body)| body.reporter == *reporter && body.peer == *peer);
    let newest = of_link.max_by_key(|(_, body)| (body.boot_time, body.boot_nonce, body.seq));
    newest.map(|(index, body)| (wide(index), body))
}

impl Review {
    fn weigh(
        &mut self,
        position: u8,
        settled: Octets,
        (near_index, near): (u64, &LinkStatementBody),
        (far_index, far): (u64, &LinkStatementBody),
    ) -> Result<(), ContractRejection> {
        let known = self.book.links.get(&position).copied();
        let known = known.filter(|base| same_boot(&base.near, near) && same_boot(&base.far, far));
        let Some(base) = known else {
            let base = LinkBase { near: *near, far: *far, settled, seqs: (near.seq, far.seq) };
            self.book.links.insert(position, base);
            return Ok(());
        };
        let is_old = [(near_index, near.seq < base.seqs.0), (far_index, far.seq < base.seqs.1)];
        if let Some((index, _)) = is_old.iter().find(|(_, is_old)| *is_old) {
            return Err(ContractRejection::StatementStale { index: *index });
        }
        let carried = Carried::between(&base, near, far);
        let mut octets_max = base.settled.0.saturating_add(carried.least());
        if carried.disagrees() {
            self.flagged.extend([near.reporter, far.reporter]);
        } else {
            octets_max = octets_max.saturating_add(slack(carried.least()));
        }
        self.octets_max = self.octets_max.min(Octets(octets_max));
        let seqs = (near.seq, far.seq);
        self.book.links.insert(position, LinkBase { seqs, ..base });
        Ok(())
    }
}

/// What both ends say was carried in both directions since the base. **Units:** octets.
struct Carried {
    /// Away from the payer: sent by near, received by far.
    forth: (u64, u64),
    /// Towards the payer: received by near, sent by far.
    back: (u64, u64),
}

impl Carried {
    fn between(base: &LinkBase, near: &LinkStatementBody, far: &LinkStatementBody) -> Self {
        let since = |later: Octets, earlier: Octets| later.0.saturating_sub(earlier.0);
        let (near, far) = (&near.counters, &far.counters);
        let (near0, far0) = (&base.near.counters, &base.far.counters);
        Self {
            forth: (since(near.out_octets, near0.out_octets), since(far.in_octets, far0.in_octets)),
            back: (since(near.in_octets, near0.in_octets), since(far.out_octets, far0.out_octets)),
        }
    }

    /// The lower figures of both directions.
    fn least(&self) -> u64 {
        let least = |(one, other): (u64, u64)| one.min(other);
        least(self.forth).saturating_add(least(self.back))
    }

    fn disagrees(&self) -> bool {
        [self.forth, self.back].into_iter().any(|(one, other)| {
            let (low, high) = (one.min(other), one.max(other));
            high - low > slack(high)
        })
    }
}

fn slack(octets: u64) -> u64 {
    TOLERANCE.saturating_add(octets / 8)
}

fn same_boot(left: &LinkStatementBody, right: &LinkStatementBody) -> bool {
    left.boot_time == right.boot_time && left.boot_nonce == right.boot_nonce
}
