//! The controller as one state machine: joins, rosters, quarantine, queries.
//!
//! Drain order after each command or `handle_*`: [`Exchange::poll_change`] until it is empty (write
//! all of it to disk in one transaction, before any answer leaves), then
//! [`Exchange::poll_timeout`].
//! Reports are taken in by `intake.rs`.

use std::collections::{BTreeMap, VecDeque};

use srwan_wire::id::{AccountKey, GroupId, NodeId, NodeKey};
use srwan_wire::roster::{MEMBERS_MAX, Member, SignedRoster};
use srwan_wire::time::Timestamp;

use crate::answer::{ExchangeConfig, GroupView, Health, RosterError, RouterError, RouterView};
use crate::group::{Group, Keys, PskRule};
use crate::grouping::Direction;
use crate::matrix::{HeldRow, Matrix, STALE_AFTER_INTERVALS};
use crate::query::{SEGMENTS_PER_ANSWER_MAX, SegmentQuery};
use crate::rating::Ratings;
use crate::record::{
    Change, GroupRecord, Quarantine, QuarantineCause, RestoreError, RouterRecord, Snapshot,
};
use crate::regroup::{RegroupLimits, Standing, Swap, regroup};
use crate::segment::{Segment, Side, Source};
use crate::token::{JoinTokens, TokenDigest, TokenError, TokenState};

/// The segment exchange.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) config: ExchangeConfig,
    pub(crate) keys: Keys,
    pub(crate) tokens: JoinTokens,
    pub(crate) routers: BTreeMap<NodeId, RouterRecord>,
    pub(crate) by_key: BTreeMap<NodeKey, NodeId>,
    pub(crate) groups: BTreeMap<GroupId, Group>,
    pub(crate) node_last: u32,
    pub(crate) matrix: Matrix,
    pub(crate) ratings: Ratings,
    pub(crate) seen: BTreeMap<NodeId, Timestamp>,
    pub(crate) reporters: BTreeMap<NodeId, Timestamp>,
    pub(crate) reported: BTreeMap<GroupId, (NodeId, Timestamp)>,
    pub(crate) rounds: BTreeMap<GroupId, u64>,
    pub(crate) changes: VecDeque<Change>,
}

impl Exchange {
    /// An empty exchange whose keys are derived from `seed` (the controller's key file).
    #[must_use]
    pub fn new(config: ExchangeConfig, seed: &[u8; 32]) -> Self {
        let members_max = config.members_max.clamp(1, MEMBERS_MAX);
        Self {
            config: ExchangeConfig { members_max, ..config },
            keys: Keys::from_seed(seed),
            tokens: JoinTokens::default(),
            routers: BTreeMap::new(),
            by_key: BTreeMap::new(),
            groups: BTreeMap::new(),
            node_last: 0,
            matrix: Matrix::default(),
            ratings: Ratings::default(),
            seen: BTreeMap::new(),
            reporters: BTreeMap::new(),
            reported: BTreeMap::new(),
            rounds: BTreeMap::new(),
            changes: VecDeque::new(),
        }
    }

    /// The exchange that wrote `snapshot`: the same rosters, octet for octet.
    ///
    /// # Errors
    /// The snapshot is not one that an exchange wrote; the caller names the damaged store.
    pub fn restore(
        config: ExchangeConfig,
        seed: &[u8; 32],
        snapshot: Snapshot,
    ) -> Result<Self, RestoreError> {
        let mut exchange = Self::new(config, seed);
        exchange.node_last = snapshot.node_last;
        for (digest, state) in snapshot.tokens {
            exchange.tokens.restore(digest, state);
        }
        for record in snapshot.groups {
            exchange.restore_group(record)?;
        }
        for router in snapshot.routers {
            exchange.restore_router(router)?;
        }
        let ids: Vec<GroupId> = exchange.groups.keys().copied().collect();
        for id in ids {
            exchange.resign(id).map_err(|error| RestoreError::BadRoster(id, error))?;
        }
        snapshot.rows.into_iter().for_each(|row| exchange.restore_row(row));
        Ok(exchange)
    }

    /// The key whose signature is on the rosters.
    #[must_use]
    pub fn controller_key(&self) -> AccountKey {
        self.keys.signer().public()
    }

    /// What the operator chose.
    #[must_use]
    pub fn config(&self) -> ExchangeConfig {
        self.config
    }

    /// Issues a join token; says whether it was not known before.
    ///
    /// # Errors
    /// [`TokenError::TooMany`].
    pub fn issue_token(
        &mut self,
        token: &str,
        expires: Option<Timestamp>,
    ) -> Result<bool, TokenError> {
        let digest = TokenDigest::of(token);
        let issued = self.tokens.issue(digest, expires)?;
        if issued {
            let state = TokenState::Open { expires };
            self.changes.push_back(Change::Token(digest, state));
        }
        Ok(issued)
    }

    /// Says whether a token was ever issued here.
    #[must_use]
    pub fn knows_token(&self, token: &str) -> bool {
        self.tokens.is_known(TokenDigest::of(token))
    }

    /// How many tokens can still be used.
    #[must_use]
    pub fn open_tokens(&self, now: Timestamp) -> usize {
        self.tokens.open_count(now)
    }

    /// The roster of a group for whoever holds `token`, which only its members do.
    ///
    /// # Errors
    /// [`RosterError`].
    pub fn roster_for(
        &self,
        group: GroupId,
        token: &[u8; 32],
    ) -> Result<&SignedRoster, RosterError> {
        let entry = self.groups.get(&group).ok_or(RosterError::NoGroup(group))?;
        let owner = entry.members.iter().filter_map(|node| self.routers.get(node));
        let owner = owner
            .into_iter()
            .find(|record| ct_eq(&self.keys.member_token(&record.member), token))
            .ok_or(RosterError::NotMember)?;
        match &owner.quarantine {
            Some(quarantine) => Err(RosterError::Quarantined(quarantine.reason.clone())),
            None => Ok(&entry.signed),
        }
    }

    /// The roster of a group, for the operator.
    #[must_use]
    pub fn roster(&self, group: GroupId) -> Option<&SignedRoster> {
        self.groups.get(&group).map(|entry| &entry.signed)
    }

    /// The sequence number of a group's roster.
    #[must_use]
    pub fn roster_seq(&self, group: GroupId) -> Option<u64> {
        self.groups.get(&group).map(|entry| entry.record.seq)
    }

    /// Keeps a router out of its group's roster.
    ///
    /// # Errors
    /// [`RouterError`].
    pub fn quarantine(
        &mut self,
        node: NodeId,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), RouterError> {
        let quarantine =
            Quarantine { cause: QuarantineCause::Manual, reason: reason.to_owned(), since: now };
        self.set_quarantine(node, Some(quarantine), now)
    }

    /// Puts a quarantined router back on its group's roster, with a clean sheet.
    ///
    /// # Errors
    /// [`RouterError`].
    pub fn release(&mut self, node: NodeId, now: Timestamp) -> Result<(), RouterError> {
        self.set_quarantine(node, None, now)
    }

    /// Removes a router; its number is never given out again.
    ///
    /// # Errors
    /// [`RouterError`].
    pub fn remove(&mut self, node: NodeId, now: Timestamp) -> Result<(), RouterError> {
        let record = self.routers.remove(&node).ok_or(RouterError::Unknown(node))?;
        self.by_key.remove(&record.member.node_key);
        if let Some(group) = self.groups.get_mut(&record.group) {
            group.members.remove(&node);
        }
        self.matrix.remove(node);
        self.ratings.forget(node);
        self.seen.remove(&node);
        self.reporters.remove(&node);
        self.changes.push_back(Change::RouterRemoved(node));
        self.reissue(record.group, PskRule::Replace, now).map_err(RouterError::Roster)
    }

    /// Releases routers whose quarantine by evidence has lasted its time.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let due = |record: &&RouterRecord| self.parole_at(record).is_some_and(|at| at <= now);
        let nodes: Vec<NodeId> =
            self.routers.values().filter(due).map(|record| record.member.node).collect();
        for node in nodes {
            // A roster that was valid with this member before is valid with it again.
            let _ = self.release(node, now);
        }
    }

    /// When [`Exchange::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.routers.values().filter_map(|record| self.parole_at(record)).min()
    }

    /// What has to be written to disk, oldest first.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// All routers in order of number.
    pub fn routers(&self, now: Timestamp) -> impl Iterator<Item = RouterView<'_>> {
        self.routers.values().map(move |record| self.view(record, now))
    }

    /// One router.
    #[must_use]
    pub fn router(&self, node: NodeId, now: Timestamp) -> Option<RouterView<'_>> {
        self.routers.get(&node).map(|record| self.view(record, now))
    }

    /// All groups in order of number.
    pub fn groups(&self, now: Timestamp) -> impl Iterator<Item = GroupView> {
        self.groups.iter().map(move |(id, group)| {
            let up = |node: &&NodeId| self.health(**node, now) == Health::Up;
            GroupView {
                record: group.record,
                members: group.members.len(),
                up: group.members.iter().filter(up).count(),
                reported: self.reported.get(id).copied(),
            }
        })
    }

    /// The segments that meet a query, in order of their sides' numbers, at most
    /// [`SEGMENTS_PER_ANSWER_MAX`].
    #[must_use]
    pub fn segments(&self, query: &SegmentQuery, now: Timestamp) -> Vec<Segment> {
        let pairs = self.routers.values().flat_map(|a| {
            let others = self.groups.get(&a.group).into_iter().flat_map(|g| g.members.iter());
            others.filter_map(move |z| Some((a, self.routers.get(z)?)))
        });
        pairs
            .filter_map(|(a, z)| self.segment(a, z, now))
            .filter(|segment| query.matches(segment))
            .take(SEGMENTS_PER_ANSWER_MAX)
            .collect()
    }

    /// Who should change places with whom, from the rows that are held (W32, W84): proposals for
    /// the operator, since a router that moves starts with an empty matrix.
    #[must_use]
    pub fn regrouping(&self, limits: RegroupLimits, now: Timestamp) -> Vec<Swap> {
        let active = self.routers.values().filter(|record| record.quarantine.is_none());
        let standing = |record: &RouterRecord| Standing {
            node: record.member.node,
            group: record.group,
            place: Direction::of(&record.member.location),
            asn: record.member.asn,
        };
        let routers: Vec<Standing> = active.map(standing).collect();
        let measured =
            |a, z| self.matrix.figures(a, z, now)?.owd.map(srwan_wire::time::Owd::as_nanos);
        regroup(&routers, &measured, limits, now.as_nanos())
    }

    /// The segment between two routers of one group, if it was measured.
    pub(crate) fn segment(
        &self,
        a: &RouterRecord,
        z: &RouterRecord,
        now: Timestamp,
    ) -> Option<Segment> {
        let figures = self.matrix.figures(a.member.node, z.member.node, now)?;
        let held = self.matrix.row(z.member.node)?;
        let age_ns = u64::try_from(figures.age.as_nanos()).unwrap_or(u64::MAX);
        Some(Segment {
            a: Side::from(&a.member),
            z: Side::from(&z.member),
            figures,
            updated: Timestamp::from_nanos(now.as_nanos().saturating_sub(age_ns)),
            price: a.member.price,
            class: a.member.class,
            source: Source { group: z.group, reporter: held.reporter, round: held.round },
        })
    }

    pub(crate) fn set_quarantine(
        &mut self,
        node: NodeId,
        quarantine: Option<Quarantine>,
        now: Timestamp,
    ) -> Result<(), RouterError> {
        let record = self.routers.get_mut(&node).ok_or(RouterError::Unknown(node))?;
        if record.quarantine.is_some() == quarantine.is_some() {
            return Err(RouterError::Unchanged(node));
        }
        let rule = if quarantine.is_some() { PskRule::Replace } else { PskRule::Keep };
        record.quarantine = quarantine;
        let group = record.group;
        self.changes.push_back(Change::Router(Box::new(record.clone())));
        self.ratings.forget(node);
        self.matrix.remove(node);
        self.reissue(group, rule, now).map_err(RouterError::Roster)
    }

    /// Signs a group's next roster.
    pub(crate) fn reissue(
        &mut self,
        group: GroupId,
        rule: PskRule,
        now: Timestamp,
    ) -> Result<(), srwan_wire::roster::RosterError> {
        if let Some(entry) = self.groups.get_mut(&group) {
            entry.record = entry.record.next(rule, now);
            self.changes.push_back(Change::Group(entry.record));
        }
        self.resign(group)
    }

    fn resign(&mut self, group: GroupId) -> Result<(), srwan_wire::roster::RosterError> {
        let Some(entry) = self.groups.get_mut(&group) else { return Ok(()) };
        let listed = entry.members.iter().filter_map(|node| self.routers.get(node));
        let members: Vec<Member> = listed
            .filter(|record| record.quarantine.is_none())
            .map(|record| record.member.clone())
            .collect();
        entry.signed = entry.record.sign(&self.keys, members)?;
        Ok(())
    }

    pub(crate) fn restore_group(&mut self, record: GroupRecord) -> Result<(), RestoreError> {
        let signed = record
            .sign(&self.keys, Vec::new())
            .map_err(|error| RestoreError::BadRoster(record.group, error))?;
        self.groups.insert(record.group, Group { record, members: Default::default(), signed });
        Ok(())
    }

    fn restore_router(&mut self, router: RouterRecord) -> Result<(), RestoreError> {
        let node = router.member.node;
        let group = self.groups.get_mut(&router.group);
        let group = group.ok_or(RestoreError::NoGroup(node, router.group))?;
        group.members.insert(node);
        self.node_last = self.node_last.max(node.get());
        self.by_key.insert(router.member.node_key, node);
        self.routers.insert(node, router);
        Ok(())
    }

    fn restore_row(&mut self, row: HeldRow) {
        let measurer = row.row.row.measurer;
        if self.routers.contains_key(&measurer) {
            self.seen.insert(measurer, row.received);
            self.matrix.offer(row);
        }
    }

    fn parole_at(&self, record: &RouterRecord) -> Option<Timestamp> {
        let quarantine = record.quarantine.as_ref()?;
        match quarantine.cause {
            QuarantineCause::Manual => None,
            QuarantineCause::Evidence { .. } => {
                let wait = u64::try_from(self.config.parole_after.as_nanos()).unwrap_or(u64::MAX);
                let since = quarantine.since.as_nanos();
                Some(Timestamp::from_nanos(since.saturating_add(wait)))
            }
        }
    }

    fn view<'a>(&'a self, record: &'a RouterRecord, now: Timestamp) -> RouterView<'a> {
        let node = record.member.node;
        let (health, seen) = (self.health(node, now), self.seen.get(&node).copied());
        RouterView { record, health, seen, rating: self.ratings.rating(node) }
    }

    pub(crate) fn health(&self, node: NodeId, now: Timestamp) -> Health {
        let fresh = self.config.pulse_interval * STALE_AFTER_INTERVALS;
        match self.seen.get(&node) {
            None => Health::Unknown,
            Some(seen) if now.owd_since(*seen).to_duration().unwrap_or_default() <= fresh => {
                Health::Up
            }
            Some(_) => Health::Silent,
        }
    }
}

/// Compares without telling by its time where two secrets differ.
fn ct_eq(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.iter().zip(right).fold(0, |acc, (l, r)| acc | (l ^ r)) == 0
}
