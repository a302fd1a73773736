//! The packet's hot steps alone, without any kernel: parse, seal at the headend, forward at the relay, open at the
//! endpoint, with tag, lane, replay windows and meters on.
//!
//! A room of its own, with few dependencies, so that what counts instructions (`examples/packets.rs`, under valgrind)
//! is built in a minute. `srwan bench net --micro` reads a clock around the same steps.

mod chain;

use anyhow::Result;

pub use chain::{BATCH, Chain};

/// What is done to each packet; each step includes those before it, because they make its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The header's fields are found and checked.
    Parse,
    /// The headend wraps and seals.
    Seal,
    /// The relay checks, bills, and rewrites.
    Forward,
    /// The endpoint checks and opens.
    Open,
}

impl Step {
    /// The step of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "parse" => Self::Parse,
            "seal" => Self::Seal,
            "forward" => Self::Forward,
            "open" => Self::Open,
            _ => return None,
        })
    }
}

/// Does `count` packets of 1,400 octets (rounded up to whole batches) up to a step, and nothing else, for tools that
/// count instructions.
///
/// **Errors:** the data plane refused a packet.
pub fn repeat(step: Step, count: usize) -> Result<()> {
    let mut chain = Chain::new(1_400)?;
    if step == Step::Parse {
        chain.restore();
        chain.seal()?;
        for _ in 0..count.div_ceil(BATCH) {
            chain.parse()?;
        }
        return Ok(());
    }
    for _ in 0..count.div_ceil(BATCH) {
        chain.restore();
        chain.seal()?;
        if step != Step::Seal {
            chain.forward()?;
        }
        if step == Step::Open {
            chain.open()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_takes_any_number_of_packets() {
        for name in ["parse", "seal", "forward", "open"] {
            let step = Step::named(name).unwrap();
            for count in [0, 1, BATCH + 1] {
                repeat(step, count).unwrap();
            }
        }
        assert_eq!(Step::named("close"), None);
    }
}
