//! Letting routers in: who they are, that nobody else is that, and which group they go to.

use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::roster::{JoinRequest, Profile, SignedJoinRequest};
use srwan_wire::time::Timestamp;

use crate::answer::{GROUPS_MAX, JoinError, Joined, ROUTERS_MAX};
use crate::exchange::Exchange;
use crate::group::{Group, PskRule};
use crate::grouping::{self, Direction, GroupSummary};
use crate::record::{Change, GroupRecord, RouterRecord};
use crate::token::{TokenDigest, TokenState};

impl Exchange {
    /// Lets a router in, or takes a known router's change. Everything is checked before anything
    /// is changed; the same request twice gives the same answer twice.
    ///
    /// # Errors
    /// [`JoinError`]; nothing has changed.
    pub fn handle_join(
        &mut self,
        signed: &SignedJoinRequest,
        now: Timestamp,
    ) -> Result<Joined, JoinError> {
        let request = &signed.request;
        if request.controller != self.controller_key() {
            return Err(JoinError::WrongController(request.controller));
        }
        if !signed.is_authentic() {
            return Err(JoinError::BadSignature);
        }
        request.profile.check()?;
        match self.by_key.get(&request.profile.node_key).copied() {
            Some(node) => self.rejoin(node, request, now),
            None => self.admit(request, now),
        }
    }

    fn rejoin(
        &mut self,
        node: NodeId,
        request: &JoinRequest,
        now: Timestamp,
    ) -> Result<Joined, JoinError> {
        let record = self.routers.get(&node).ok_or(JoinError::Full)?;
        if record.member.account_key != request.profile.account_key {
            return Err(JoinError::KeyTaken);
        }
        if let Some(quarantine) = &record.quarantine {
            return Err(JoinError::Quarantined { reason: quarantine.reason.clone() });
        }
        let member = request.profile.clone().into_member(node);
        if member == record.member {
            return self.joined(node);
        }
        if request.issued <= record.issued {
            return Err(JoinError::Stale { last: record.issued });
        }
        self.check_free(&request.profile, Some(node))?;
        self.put(RouterRecord { member, issued: request.issued, ..record.clone() }, now)
    }

    fn admit(&mut self, request: &JoinRequest, now: Timestamp) -> Result<Joined, JoinError> {
        let token = request.token.as_deref().ok_or(JoinError::TokenMissing)?;
        let digest = TokenDigest::of(token);
        self.tokens.check(digest, now)?;
        self.check_free(&request.profile, None)?;
        let node = self.node_last.checked_add(1).and_then(NodeId::new).ok_or(JoinError::Full)?;
        if self.routers.len() >= ROUTERS_MAX {
            return Err(JoinError::Full);
        }
        let group = self.choose_group(&request.profile)?;
        let by = request.profile.node_key;
        self.tokens.spend(digest, by);
        let state = TokenState::Spent { by };
        self.changes.push_back(Change::Token(digest, state));
        self.node_last = node.get();
        let member = request.profile.clone().into_member(node);
        let (issued, joined) = (request.issued, now);
        self.put(RouterRecord { member, group, issued, joined, quarantine: None }, now)
    }

    /// Refuses an endpoint or network that another router has.
    fn check_free(&self, profile: &Profile, except: Option<NodeId>) -> Result<(), JoinError> {
        for record in self.routers.values() {
            let other = &record.member;
            if Some(other.node) == except {
                continue;
            }
            let endpoint = profile.endpoints.iter().find(|e| other.endpoints.contains(e));
            let prefix = profile.prefixes.iter().find(|prefix| {
                other.prefixes.iter().any(|o| o.contains(*prefix) || prefix.contains(o))
            });
            let what = endpoint.map(ToString::to_string).or(prefix.map(ToString::to_string));
            if let Some(what) = what {
                return Err(JoinError::Taken { what, owner: other.node });
            }
        }
        Ok(())
    }

    fn choose_group(&mut self, profile: &Profile) -> Result<GroupId, JoinError> {
        let summaries: Vec<GroupSummary> =
            self.groups.iter().map(|(id, group)| self.summary(*id, group)).collect();
        let chosen = grouping::choose(&summaries, &profile.location, self.config.members_max);
        if let Some(group) = chosen {
            return Ok(group);
        }
        if self.groups.len() >= GROUPS_MAX {
            return Err(JoinError::Full);
        }
        let last = self.groups.last_key_value().map_or(0, |(id, _)| id.0);
        let group = GroupId(last.checked_add(1).ok_or(JoinError::Full)?);
        self.restore_group(GroupRecord::fresh(group)).map_err(|_| JoinError::Full).map(|()| group)
    }

    fn summary(&self, group: GroupId, entry: &Group) -> GroupSummary {
        let places = entry.members.iter().filter_map(|node| self.routers.get(node));
        let centre = places.fold(Direction::default(), |sum, record| {
            sum.plus(Direction::of(&record.member.location))
        });
        GroupSummary { group, members: entry.members.len(), centre }
    }

    fn put(&mut self, record: RouterRecord, now: Timestamp) -> Result<Joined, JoinError> {
        let (node, group) = (record.member.node, record.group);
        self.by_key.insert(record.member.node_key, node);
        if let Some(entry) = self.groups.get_mut(&group) {
            entry.members.insert(node);
        }
        self.changes.push_back(Change::Router(Box::new(record.clone())));
        self.routers.insert(node, record);
        self.reissue(group, PskRule::Keep, now).map_err(JoinError::Roster)?;
        self.joined(node)
    }

    fn joined(&self, node: NodeId) -> Result<Joined, JoinError> {
        let record = self.routers.get(&node).ok_or(JoinError::Full)?;
        let group = self.groups.get(&record.group).ok_or(JoinError::Full)?;
        Ok(Joined {
            node,
            group: record.group,
            roster: group.signed.clone(),
            member_token: self.keys.member_token(&record.member),
        })
    }
}
