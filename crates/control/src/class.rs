//! Forwarding classes (RFC 9256 section 8.6): traffic for an endpoint that wants other things of a path than the rest.
//!
//! A class has a preference and a [`Judge`] of its own, and chooses among the paths that are probed and paid for
//! anyway: the default path, the active one and the one that stands by. It starts on the default path, moves by the
//! same rules with its own margins, and leaves a path that is down at once. It proposes none itself: which relays are
//! worth probing is a matter of the matrix, and the best of them is the best for every class.
//!
//! A pin and several paths that share the traffic hold for all of it: classes then go where the rest goes.

use srwan_wire::id::PathId;

use crate::choice::Preference;
use crate::config::PolicyConfig;
use crate::decision::Cause;
use crate::endpoint::{Context, Endpoint, Move};
use crate::switching::Judge;
use crate::track::DEFAULT_PATH;

/// Classes at most: RFC 4594 section 2.1 sums its twelve up to four kinds of treatment.
pub const CLASSES_MAX: usize = 4;

/// One class of one endpoint's traffic.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    preference: Preference,
    pub(crate) active: PathId,
    judge: Judge,
}

impl Class {
    /// On the default path, as all traffic at first.
    pub(crate) fn new(preference: Preference) -> Self {
        Self { preference, active: DEFAULT_PATH, judge: Judge::default() }
    }

    /// Comparisons up to this moment mean nothing any more.
    pub(crate) fn forget(&mut self) {
        self.judge.forget();
    }
}

impl Endpoint {
    /// Compares once more for each class.
    pub(crate) fn judge_classes(&mut self, context: &mut Context<'_>) {
        for at in 0..self.classes.len() {
            if let Some((to, cause)) = self.judge_class(at, context) {
                self.move_class(at, to, cause, context);
            }
        }
    }

    fn judge_class(&mut self, at: usize, context: &Context<'_>) -> Option<(PathId, Cause)> {
        let Class { preference, active, .. } = *self.classes.get(at)?;
        let policy = PolicyConfig { preference, ..*context.policy };
        let other = self.cheapest_beside(active, &policy, context);
        let challenger = other.and_then(|id| self.tracks.get(&id));
        let (default, own) = (self.tracks.get(&DEFAULT_PATH)?, self.tracks.get(&active)?);
        let judge = &mut self.classes.get_mut(at)?.judge;
        let cause = if active == DEFAULT_PATH {
            judge.on_default(default, challenger, &policy, context.now)
        } else {
            judge.on_relays(default, own, challenger, &policy, context.now)
        }?;
        let to = if cause == Cause::Return { Some(DEFAULT_PATH) } else { other };
        to.map(|to| (to, cause))
    }

    /// The relayed path that costs least, other than `active`.
    fn cheapest_beside(
        &self,
        active: PathId,
        policy: &PolicyConfig,
        context: &Context<'_>,
    ) -> Option<PathId> {
        let others = self.tracks.iter().filter(|(id, _)| **id != active && **id != DEFAULT_PATH);
        let usable = others.filter(|(_, track)| track.is_usable());
        let costs = usable.filter_map(|(id, track)| Some((track.cost(policy, context.now)?, *id)));
        costs.min().map(|(_, id)| id)
    }

    /// Classes leave paths that are down, as soon as there is another.
    pub(crate) fn rescue_classes(&mut self, context: &mut Context<'_>) {
        for at in 0..self.classes.len() {
            let active = self.classes[at].active;
            let is_down = self.tracks.get(&active).is_none_or(|t| t.meter.conditions().blackout);
            if is_down && let Some(to) = self.rescue_from(active) {
                self.move_class(at, to, Cause::Blackout, context);
            }
        }
    }

    /// Classes on the path `from` go to `to`, or else to whatever is up.
    pub(crate) fn evict_classes(
        &mut self,
        from: PathId,
        to: Option<PathId>,
        cause: Cause,
        context: &mut Context<'_>,
    ) {
        for at in 0..self.classes.len() {
            if self.classes[at].active == from {
                let to = to.or_else(|| self.rescue_from(from)).unwrap_or(DEFAULT_PATH);
                self.move_class(at, to, cause, context);
            }
        }
    }

    /// All classes go where the rest of the traffic goes.
    pub(crate) fn gather_classes(&mut self, cause: Cause, context: &mut Context<'_>) {
        for at in 0..self.classes.len() {
            self.move_class(at, self.active, cause, context);
        }
    }

    fn move_class(&mut self, at: usize, to: PathId, cause: Cause, context: &mut Context<'_>) {
        let Some(class) = self.classes.get_mut(at) else { return };
        let from = core::mem::replace(&mut class.active, to);
        if from == to {
            return;
        }
        class.judge.note_switch(from == DEFAULT_PATH, cause, context.policy, context.now);
        let class = u8::try_from(at).ok();
        let change = self.change(&Move { class, from, to, cause }, context);
        self.tell_change(change, context);
    }

    /// The first class whose traffic goes over this path and not with the rest.
    pub(crate) fn class_on(&self, path: PathId) -> Option<u8> {
        let is_apart = path != self.active && path != DEFAULT_PATH;
        let at = self.classes.iter().position(|class| is_apart && class.active == path);
        at.and_then(|at| u8::try_from(at).ok())
    }
}
