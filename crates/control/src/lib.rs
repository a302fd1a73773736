//! Who, how far, which way, is it up: the control plane of one router as a pure state machine.
//!
//! Routers of a group pulse one another; each pulse carries its sender's row of one-way delays, so
//! each member holds the whole matrix. For endpoints that traffic goes to, the matrix proposes
//! paths over up to three relays, probes over exactly these paths confirm them, and traffic moves
//! when the active path dies or another is better for long enough.
//!
//! This crate reads no clock and does no IO: time comes in as `now`, messages go out by
//! [`Control::poll_transmit`], what happened by [`Control::poll_event`]. It does not seal, route or
//! bill packets: the node joins it to the data plane.
#![forbid(unsafe_code)]

mod choice;
mod class;
mod clock;
mod config;
mod control;
mod decision;
mod destination;
mod differences;
mod egress;
mod endpoint;
mod estimate;
mod event;
mod graph;
mod level;
mod matrix;
mod member;
mod meter;
mod mtu_phase;
mod mtu_probing;
mod observe;
mod outgoing;
mod path_mtu;
mod probing;
mod pulsing;
mod random;
mod reception;
mod return_path;
mod rounds;
mod segment_watch;
mod spread;
mod survey;
mod switching;
mod track;

pub use self::choice::{Offer, Preference, margin};
pub use self::class::CLASSES_MAX;
pub use self::clock::{Bounded, ClockPair};
pub use self::config::{
    AGE_INTERVALS_MAX, ControlConfig, EXTRA_PULSE_SPACING, INNER_MTU_DEFAULT, LivenessConfig,
    PULSE_INTERVAL_DEFAULT, PolicyConfig,
};
pub use self::control::{Arrival, Control, PinError};
pub use self::decision::{CANDIDATES_MAX, Candidate, Cause, DECISIONS_MAX, Decision, Rule};
pub use self::destination::{DESTINATIONS_MAX, EgressCandidate, Place, RttSource, Suits, suits};
pub use self::estimate::{Estimate, Recent};
pub use self::event::{
    ControlEvent, ControlTransmit, DestinationChange, DestinationEvent, LaneState, MemberState,
    PolicyChange, Reach, SegmentAlarm, SpreadChange, SpreadPath,
};
pub use self::graph::{Graph, RankedPath};
pub use self::matrix::{Cell, MatrixView, ShownCell};
pub use self::meter::{Conditions, PathFigures};
pub use self::observe::{ObservedPath, PathKey};
pub use self::return_path::RETURN_PATHS_MAX;
pub use self::segment_watch::{Quantity, SegmentChange, SegmentChanges, SegmentWatch};
pub use self::spread::{SPREAD_PATHS_MAX, SpreadConfig, SpreadMode};
pub use self::track::HopFigures;
