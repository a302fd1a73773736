//! What happened lately, for people and programs: a bounded list with sequence numbers.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use srwan_api::router::Event;
use srwan_wire::time::Timestamp;

use crate::clock::Clock;

/// Events that are kept: a day of a restless router.
const EVENTS_MAX: usize = 1_024;

/// The list; shared between those who write and those who read.
pub struct EventLog {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    events: VecDeque<Event>,
}

/// Something that happened.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// Stable name, see `srwan_api::router::Event::kind`.
    pub kind: &'static str,
    /// For people.
    pub text: String,
    /// The endpoint concerned.
    pub endpoint: Option<String>,
    /// The relays concerned.
    pub relays: Option<Vec<String>>,
}

impl News {
    /// News without an endpoint or a path.
    pub fn plain(kind: &'static str, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), endpoint: None, relays: None }
    }
}

impl EventLog {
    /// An empty list whose times are by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Adds news and logs it.
    pub fn add(&self, news: News) {
        tracing::info!(kind = news.kind, "{}", news.text);
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.events.len() == EVENTS_MAX {
            state.events.pop_front();
        }
        let seq = state.next;
        state.next += 1;
        state.events.push_back(Event {
            seq,
            time: srwan_api::rfc3339::format(self.clock.wall().at(now)),
            uptime_ms: now.as_nanos() / 1_000_000,
            kind: news.kind.to_owned(),
            text: news.text,
            endpoint: news.endpoint,
            relays: news.relays,
        });
    }

    /// Events with a sequence number of at least `after`, and the number to ask with next time.
    pub fn since(&self, after: u64) -> (Vec<Event>, u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let events = state.events.iter().filter(|event| event.seq >= after).cloned().collect();
        (events, state.next)
    }
}

/// A time for people.
pub fn text(time: Timestamp) -> String {
    srwan_api::rfc3339::format(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_can_be_followed() {
        let log = EventLog::new(Clock::start(0));
        for _ in 0..EVENTS_MAX + 3 {
            log.add(News::plain("peer_up", "x"));
        }
        let (events, next) = log.since(0);
        assert_eq!((events.len(), events[0].seq), (EVENTS_MAX, 3));
        log.add(News::plain("peer_down", "y"));
        let (events, _) = log.since(next);
        assert_eq!(events.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>(), ["peer_down"]);
    }
}
