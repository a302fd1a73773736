//! Pseudonyms: fresh keys with a bond of their own, that sell without saying whose they are.
//!
//! The ledger keeps no link between a pseudonym and an operator. What others can see is the
//! transfer that funded it, and what buyers and the controller learn is the address of the
//! endpoint: this is a pseudonym, not anonymity (promise T19). It is bonded and slashed like a
//! router: two statements that contradict each other cost the same part.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::Amount;
use crate::table::Holds;
use srwan_wire::id::Height;

/// Where a pseudonym's bond is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum PseudonymPhase {
    /// Sells.
    Active,
    /// Sells nothing; the bond comes back at this height, and can still be slashed.
    Unbonding {
        /// When.
        until: Height,
    },
    /// Convicted: never sells again; the rest of the bond comes back at this height.
    Slashed {
        /// When.
        until: Height,
    },
}

/// One bonded key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Pseudonym {
    /// What it locked.
    pub bond: Amount,
    /// Where in its life.
    pub phase: PseudonymPhase,
}

impl Pseudonym {
    /// When something is due.
    #[must_use]
    pub fn due(&self) -> Option<Height> {
        match self.phase {
            PseudonymPhase::Active => None,
            PseudonymPhase::Unbonding { until } => Some(until),
            PseudonymPhase::Slashed { until } => (!self.bond.is_zero()).then_some(until),
        }
    }
}

impl Holds for Pseudonym {
    fn held(&self) -> Amount {
        self.bond
    }
}
