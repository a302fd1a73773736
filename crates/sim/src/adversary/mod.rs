//! Everybody who cheats, one at a time: what it gains, who is quarantined and when, and what it costs the others.
//!
//! The same world is played once honestly and once with each strategy. `behaviour` is what a router does to packets,
//! `desk` the controller and the reporter, `play` the world and the figures.

mod behaviour;
mod desk;
mod play;

pub use behaviour::Behaviour;
pub use desk::{Desk, Reporting};
pub use play::{Played, play, play_all};

/// A way to cheat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strategy {
    /// Nobody cheats.
    Honest,
    /// A relay relays probes and half of the data.
    DropHalf,
    /// A relay relays probes and no data.
    DropAll,
    /// A relay holds what it relays for 40 ms; its own pulses leave at once.
    Delay,
    /// A relay's clock is an hour off, the same for everybody.
    ClockShift,
    /// A relay says that everything comes 25 ms earlier from every second neighbour.
    ClockEquivocation,
    /// A relay hands in tickets for ten times the octets that were delivered.
    Inflate,
    /// The reporter sets the delays in others' rows to zero.
    ForgeMatrix,
    /// The reporter leaves a rival's row out.
    OmitRow,
    /// A payer signs no receipt after its lanes are open.
    StopSigning,
    /// All routers are one owner's, who pays himself.
    Sybil,
    /// The controller tells each half of the routers of that half only.
    ControllerPartition,
    /// The controller lists an address of somebody who runs no router.
    ControllerVictim,
}

impl Strategy {
    /// All of them, nobody first.
    pub const ALL: &[Self] = &[
        Self::Honest,
        Self::DropHalf,
        Self::DropAll,
        Self::Delay,
        Self::ClockShift,
        Self::ClockEquivocation,
        Self::Inflate,
        Self::ForgeMatrix,
        Self::OmitRow,
        Self::StopSigning,
        Self::Sybil,
        Self::ControllerPartition,
        Self::ControllerVictim,
    ];

    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::DropHalf => "drop-half",
            Self::DropAll => "drop-all",
            Self::Delay => "delay",
            Self::ClockShift => "clock-shift",
            Self::ClockEquivocation => "clock-equivocation",
            Self::Inflate => "inflate",
            Self::ForgeMatrix => "forge-matrix",
            Self::OmitRow => "omit-row",
            Self::StopSigning => "stop-signing",
            Self::Sybil => "sybil",
            Self::ControllerPartition => "controller-partition",
            Self::ControllerVictim => "controller-victim",
        }
    }
}
