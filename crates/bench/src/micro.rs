//! The packet's hot steps alone, without any kernel: parse, seal at the headend, forward at the relay, open at the
//! endpoint, with tag, lane, replay windows and meters on.
//!
//! Packets lie side by side as in a super-packet of 64; the steps themselves are `srwan-steps`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use srwan_steps::{BATCH, Chain};

use crate::figures::Spread;

/// The steps by themselves.
#[derive(Clone, Debug, Serialize)]
pub struct Micro {
    pub schema: &'static str,
    pub sizes: Vec<SizeNanos>,
}

/// Nanoseconds per packet of one size.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SizeNanos {
    /// Octets of the inner packet.
    pub octets: usize,
    pub parse_ns: Spread,
    pub seal_ns: Spread,
    pub forward_ns: Spread,
    pub open_ns: Spread,
}

/// Measures all steps.
pub fn measure() -> Result<Micro> {
    let sizes = [1_400, 100].into_iter().map(measure_size).collect::<Result<_>>()?;
    Ok(Micro { schema: "srwan.bench-micro/1", sizes })
}

fn measure_size(octets: usize) -> Result<SizeNanos> {
    let mut chain = Chain::new(octets)?;
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let round = measure_round(&mut chain)?;
        for (times, time) in times.iter_mut().zip(round) {
            times.push(time);
        }
    }
    let [parse, seal, forward, open] =
        times.map(|times| Spread::of(times).expect("there is at least one round"));
    Ok(SizeNanos { octets, parse_ns: parse, seal_ns: seal, forward_ns: forward, open_ns: open })
}

/// Nanoseconds per packet of each step, over many batches.
fn measure_round(chain: &mut Chain) -> Result<[f64; 4]> {
    let mut sums = [Duration::ZERO; 4];
    for _ in 0..BATCHES {
        chain.restore();
        timed(&mut sums[1], || chain.seal())?;
        timed(&mut sums[0], || chain.parse())?;
        timed(&mut sums[2], || chain.forward())?;
        timed(&mut sums[3], || chain.open())?;
    }
    let packets = (BATCHES * BATCH) as f64;
    Ok(sums.map(|sum| sum.as_secs_f64() * 1e9 / packets))
}

fn timed(sum: &mut Duration, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    let done = black_box(work());
    *sum += begun.elapsed();
    done
}

/// Medians of seven rounds did not move by more than 2 % between runs.
const ROUNDS: usize = 7;
/// 32,000 packets a round: about 30 ms.
const BATCHES: usize = 500;
