//! The state machine of path MTU discovery, as a table: one state and one event make the next state.
//!
//! ```text
//!             up            base passes          all tried, or max passes
//!  Disabled ------> Base -----------------> Searching --------------------> Complete
//!     ^              |  ^                      |   ^                           | |
//!     | down         |  +----- black hole -----+---|---------------------------+ |
//!   (any)       lost |                             +----------- raise -----------+
//!                    v        base passes          |
//!                  Error --------------------------+
//! ```
//!
//! Sizes are those of *inner* packets, so that relays, headers and tags are in no figure here. Timers and probes are in
//! `path_mtu`. **Source:** RFC 8899 section 5.2, figure 5.

/// A size that passes wherever a control message does: `OAM_LEN_MAX`, on 1,280-octet links too.
///
/// - **Units:** octets of the inner packet. With headers and tags of three relays, UDP and IPv6 it
///   makes 1,264 octets on the wire; RFC 8899 section 5.1.2 asks for 1,200 or more.
pub(crate) const BASE_PLPMTU: u16 = 1_160;

/// What is used while even the base size does not pass: the least that Linux believes an ICMP message
/// (`net.ipv4.route.min_pmtu`).
///
/// - **Units:** octets of the inner packet.
pub(crate) const MIN_PLPMTU: u16 = 552;

/// A search ends when it would gain less than this: one per cent of a usual packet.
///
/// - **Units:** octets.
const GRANULARITY: u16 = 16;

/// Sizes that are tried before bisection, largest first: what a 1,500-octet Internet carries.
const PLATEAUS: [u16; 1] = [1_380];

/// The sizes between which the discovery moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    base: u16,
    max: u16,
}

impl Bounds {
    /// Up to `max`, which the host's interface takes.
    pub(crate) fn new(max: u16) -> Self {
        Self { base: BASE_PLPMTU.min(max), max }
    }

    /// Nothing is known to be too large.
    fn open(self) -> u16 {
        self.max.saturating_add(1)
    }

    /// After a black hole. Whether the size in use does not pass any more or only its probes were lost is not
    /// known: it is tried again, first of all, while the base size is in use.
    fn doubt(self, passes: u16) -> Phase {
        self.fall(if passes <= self.base { passes } else { self.open() })
    }

    /// The base state, or the error state if it cannot hold.
    fn fall(self, below: u16) -> Phase {
        if below <= self.base { Phase::Error } else { Phase::Base { below } }
    }

    /// The next size between what passes and what does not, or the end of the search.
    fn search(self, passes: u16, below: u16) -> Phase {
        let is_fine = below.saturating_sub(passes) <= GRANULARITY;
        if passes >= self.max || is_fine && below <= self.max {
            return Phase::Complete { passes };
        }
        Phase::Searching { passes, below, trial: self.choose(passes, below) }
    }

    fn choose(self, passes: u16, below: u16) -> u16 {
        if below > self.max {
            return self.max;
        }
        let plateau = PLATEAUS.into_iter().find(|size| (passes + 1..below).contains(size));
        plateau.unwrap_or(passes + (below - passes) / 2)
    }
}

/// Where the discovery of one path stands. `passes` was answered; `below` and more is known not to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The path is down or was never up; what it carried before.
    Disabled { known: Option<u16> },
    /// Does the base size pass?
    Base { below: u16 },
    /// Does `trial` pass?
    Searching { passes: u16, below: u16, trial: u16 },
    /// The size is found; it is confirmed from time to time.
    Complete { passes: u16 },
    /// Not even the base size passes.
    Error,
}

/// What changes the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The path is up.
    Up,
    /// The path is down.
    Down,
    /// A probe of this size was answered.
    Passed(u16),
    /// All probes of the size that is asked about stayed unanswered.
    Lost,
    /// All probes of the size in use stayed unanswered: a black hole.
    BlackHole,
    /// This host's own interface refused a datagram as long as for an inner packet of this size.
    Refused(u16),
    /// The size in use was not questioned for long.
    Raise,
}

impl Phase {
    /// The largest inner packet to send in this state; `None` while nothing is known of the path.
    pub(crate) fn inner_mtu(self, bounds: Bounds) -> Option<u16> {
        match self {
            Self::Disabled { known } => known,
            Self::Base { .. } => Some(bounds.base),
            Self::Searching { passes, .. } | Self::Complete { passes } => Some(passes),
            Self::Error => Some(MIN_PLPMTU.min(bounds.base)),
        }
    }

    /// The size that the state asks about, if it asks.
    pub(crate) fn trial(self, bounds: Bounds) -> Option<u16> {
        match self {
            Self::Disabled { .. } | Self::Complete { .. } => None,
            Self::Base { .. } | Self::Error => Some(bounds.base),
            Self::Searching { trial, .. } => Some(trial),
        }
    }

    /// The size in use that must go on passing, if there is one.
    pub(crate) fn confirmed(self) -> Option<u16> {
        match self {
            Self::Searching { passes, .. } | Self::Complete { passes } => Some(passes),
            Self::Disabled { .. } | Self::Base { .. } | Self::Error => None,
        }
    }

    /// The state after `event`.
    ///
    /// Deviates from figure 5: a path that was up before goes on with the size that it carried, which is confirmed at
    /// once. A silence of half a second is usual on the Internet, and hosts keep a smaller MTU for ten minutes.
    pub(crate) fn next(self, event: Event, bounds: Bounds) -> Self {
        if event == Event::Down {
            return Self::Disabled { known: self.confirmed().or(self.kept()) };
        }
        match self {
            Self::Disabled { known } => disabled(known, event, bounds),
            Self::Base { below } => base(below, event, bounds),
            Self::Searching { passes, below, trial } => {
                searching((passes, below, trial), event, bounds)
            }
            Self::Complete { passes } => complete(passes, event, bounds),
            Self::Error => error(event, bounds),
        }
    }

    fn kept(self) -> Option<u16> {
        match self {
            Self::Disabled { known } => known,
            Self::Base { .. } | Self::Searching { .. } | Self::Complete { .. } | Self::Error => {
                None
            }
        }
    }
}

fn disabled(known: Option<u16>, event: Event, bounds: Bounds) -> Phase {
    match (event, known) {
        (Event::Up, Some(passes)) => Phase::Complete { passes },
        (Event::Up, None) => Phase::Base { below: bounds.open() },
        _ => Phase::Disabled { known },
    }
}

fn base(below: u16, event: Event, bounds: Bounds) -> Phase {
    match event {
        Event::Passed(size) if size >= bounds.base => bounds.search(size, below),
        Event::Lost => Phase::Error,
        Event::Refused(size) => bounds.fall(size.min(below)),
        Event::Up | Event::Down | Event::Passed(_) | Event::BlackHole | Event::Raise => {
            Phase::Base { below }
        }
    }
}

fn searching((passes, below, trial): (u16, u16, u16), event: Event, bounds: Bounds) -> Phase {
    match event {
        Event::Passed(size) => bounds.search(passes.max(size), below),
        Event::Lost => bounds.search(passes, trial),
        Event::BlackHole => bounds.doubt(passes),
        Event::Refused(size) if size <= passes => bounds.fall(size),
        Event::Refused(size) if size <= trial => bounds.search(passes, size),
        Event::Up | Event::Down | Event::Refused(_) | Event::Raise => {
            Phase::Searching { passes, below, trial }
        }
    }
}

fn complete(passes: u16, event: Event, bounds: Bounds) -> Phase {
    match event {
        Event::Passed(size) => Phase::Complete { passes: passes.max(size) },
        Event::BlackHole => bounds.doubt(passes),
        Event::Refused(size) if size <= passes => bounds.fall(size),
        Event::Raise => bounds.search(passes, bounds.open()),
        Event::Up | Event::Down | Event::Lost | Event::Refused(_) => Phase::Complete { passes },
    }
}

fn error(event: Event, bounds: Bounds) -> Phase {
    match event {
        Event::Passed(size) if size >= bounds.base => bounds.search(size, bounds.open()),
        Event::Up
        | Event::Down
        | Event::Passed(_)
        | Event::Lost
        | Event::BlackHole
        | Event::Refused(_)
        | Event::Raise => Phase::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Event::{BlackHole, Down, Lost, Passed, Raise, Refused, Up};
    use proptest::prelude::*;

    const UNKNOWN: Phase = Phase::Disabled { known: None };
    const KNOWN: Phase = Phase::Disabled { known: Some(1_300) };
    const BASE: Phase = Phase::Base { below: 1_381 };
    const FALLEN: Phase = Phase::Base { below: 1_300 };
    const FIRST: Phase = Phase::Searching { passes: 1_160, below: 1_381, trial: 1_380 };
    const SECOND: Phase = Phase::Searching { passes: 1_160, below: 1_380, trial: 1_270 };
    const FOUND: Phase = Phase::Complete { passes: 1_300 };
    const AT_MAX: Phase = Phase::Complete { passes: 1_380 };
    const AT_BASE: Phase = Phase::Complete { passes: 1_160 };
    const ERROR: Phase = Phase::Error;

    fn check(table: &[(Phase, Event, Phase)]) {
        let bounds = Bounds::new(1_380);
        for (state, event, expected) in table {
            assert_eq!(state.next(*event, bounds), *expected, "{state:?} after {event:?}");
        }
    }

    #[test]
    fn a_path_that_is_down_waits_for_nothing_but_coming_up() {
        check(&[
            (UNKNOWN, Up, BASE),
            (KNOWN, Up, FOUND),
            (UNKNOWN, Down, UNKNOWN),
            (KNOWN, Down, KNOWN),
        ]);
        for event in [Passed(1_380), Lost, BlackHole, Refused(1_000), Raise] {
            check(&[(UNKNOWN, event, UNKNOWN), (KNOWN, event, KNOWN)]);
        }
    }

    #[test]
    fn the_base_state_asks_whether_the_base_size_passes() {
        check(&[
            (BASE, Passed(1_160), FIRST),
            (BASE, Passed(1_380), AT_MAX),
            (BASE, Passed(1_159), BASE),
            (FALLEN, Passed(1_160), Phase::Searching { passes: 1_160, below: 1_300, trial: 1_230 }),
            (BASE, Lost, ERROR),
            (BASE, Refused(1_160), ERROR),
            (BASE, Refused(1_300), FALLEN),
            (FALLEN, Refused(1_380), FALLEN),
            (BASE, Down, UNKNOWN),
            (BASE, Up, BASE),
            (BASE, BlackHole, BASE),
            (BASE, Raise, BASE),
        ]);
    }

    #[test]
    fn a_search_closes_in_on_the_largest_size_that_passes() {
        let last = Phase::Searching { passes: 1_283, below: 1_300, trial: 1_291 };
        check(&[
            (FIRST, Passed(1_380), AT_MAX),
            (FIRST, Lost, SECOND),
            (FIRST, Refused(1_380), SECOND),
            (SECOND, Passed(1_270), Phase::Searching { passes: 1_270, below: 1_380, trial: 1_325 }),
            (SECOND, Passed(1_000), SECOND),
            (SECOND, Lost, Phase::Searching { passes: 1_160, below: 1_270, trial: 1_215 }),
            (SECOND, Refused(1_300), SECOND),
            (SECOND, Refused(1_170), AT_BASE),
            (SECOND, Refused(1_160), ERROR),
            (SECOND, BlackHole, ERROR),
            (last, Passed(1_291), Phase::Complete { passes: 1_291 }),
            (last, Lost, Phase::Complete { passes: 1_283 }),
            (last, BlackHole, BASE),
            (last, Refused(1_200), Phase::Base { below: 1_200 }),
            (last, Down, Phase::Disabled { known: Some(1_283) }),
            (last, Up, last),
            (last, Raise, last),
        ]);
    }

    #[test]
    fn a_found_size_is_left_for_a_black_hole_a_refusal_or_a_new_search() {
        check(&[
            (FOUND, BlackHole, BASE),
            (AT_BASE, BlackHole, ERROR),
            (FOUND, Refused(1_300), FALLEN),
            (FOUND, Refused(1_301), FOUND),
            (FOUND, Refused(1_000), ERROR),
            (FOUND, Raise, Phase::Searching { passes: 1_300, below: 1_381, trial: 1_380 }),
            (AT_MAX, Raise, AT_MAX),
            (FOUND, Down, KNOWN),
            (FOUND, Passed(1_310), Phase::Complete { passes: 1_310 }),
            (FOUND, Passed(1_160), FOUND),
            (FOUND, Lost, FOUND),
            (FOUND, Up, FOUND),
        ]);
    }

    #[test]
    fn the_error_state_ends_when_the_base_size_passes_or_the_path_is_down() {
        check(&[(ERROR, Passed(1_160), FIRST), (ERROR, Down, UNKNOWN)]);
        for event in [Passed(1_159), Up, Lost, BlackHole, Refused(1_000), Raise] {
            check(&[(ERROR, event, ERROR)]);
        }
    }

    #[test]
    fn what_may_be_sent_is_what_was_answered_or_less() {
        let bounds = Bounds::new(1_380);
        let mtu = |phase: Phase| phase.inner_mtu(bounds);
        assert_eq!([UNKNOWN, KNOWN, BASE].map(mtu), [None, Some(1_300), Some(1_160)]);
        assert_eq!([SECOND, FOUND, ERROR].map(mtu), [Some(1_160), Some(1_300), Some(552)]);
        assert_eq!(Phase::Error.inner_mtu(Bounds::new(500)), Some(500));
    }

    /// Searches a path that carries `true_mtu`, until the end; how many sizes it asked about.
    fn search(true_mtu: u16, max: u16) -> (u16, usize) {
        let bounds = Bounds::new(max);
        let mut phase = UNKNOWN.next(Up, bounds);
        for asked in 0..100 {
            let Some(trial) = phase.trial(bounds) else {
                return (phase.inner_mtu(bounds).unwrap(), asked);
            };
            let event = if trial <= true_mtu { Passed(trial) } else { Lost };
            phase = phase.next(event, bounds);
        }
        panic!("no end");
    }

    #[test]
    fn a_usual_path_is_found_with_two_questions_and_a_jumbo_one_too() {
        assert_eq!(search(1_380, 1_380), (1_380, 2));
        assert_eq!(search(9_000, 8_900), (8_900, 2));
        assert_eq!(search(1_160, 1_160), (1_160, 1));
    }

    proptest! {
        #[test]
        fn every_size_is_found_to_within_the_granularity(
            true_mtu in BASE_PLPMTU..9_000,
            max in 1_280_u16..=9_000,
        ) {
            let (found, asked) = search(true_mtu, max);
            let best = true_mtu.min(max);
            prop_assert!(found <= best && best - found < GRANULARITY, "{} of {}", found, best);
            prop_assert!(asked <= 14, "{} questions", asked);
        }
    }
}
