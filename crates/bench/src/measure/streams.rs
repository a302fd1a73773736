//! TCP streams by iperf3, from A to B.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use srwan_lab::netns;
use srwan_lab::process::{Running, end_all};

use crate::contender::Standing;
use crate::programs::IPERF3;
use crate::testbed::TestBed;
use crate::topology::{End, Topology};

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// Payload received.
    pub gbit: f64,
    pub seconds: f64,
}

impl Flow {
    pub fn gbps(self) -> f64 {
        self.gbit / self.seconds.max(f64::EPSILON)
    }
}

/// Starts iperf3's server at B, once for each topology.
pub fn start_server(bed: &mut TestBed, topology: &Topology) -> Result<()> {
    let (node, program) = (topology.node(End::B)?, bed.programs().need(IPERF3)?);
    bed.start(&node, "iperf3", vec![program, "-s".to_owned()])?;
    let place = bed.place().netns(&node);
    let listens = || netns::within(&place, is_listening).unwrap_or(false);
    bed.wait_until(listens).context("iperf3 does not listen")
}

/// Runs `streams` for `seconds`, and does something again and again meanwhile.
pub fn run(
    bed: &TestBed,
    standing: &Standing,
    (seconds, streams): (u32, u32),
    mut meanwhile: impl FnMut(),
) -> Result<Flow> {
    let node = standing.topology.node(End::A)?;
    let answer = bed.folder(&node).join("iperf3.json");
    let file = answer.to_string_lossy().into_owned();
    let numbers = [seconds.to_string(), streams.to_string()];
    let (source, target) = (standing.source.to_string(), standing.target.to_string());
    let program = bed.programs().need(IPERF3)?;
    let command = [
        &program,
        "-c",
        &target,
        "-B",
        &source,
        "-t",
        &numbers[0],
        "-P",
        &numbers[1],
        "-i",
        "0",
        "-J",
        "--connect-timeout",
        "3000",
        "--logfile",
        &file,
    ];
    let command = command.map(str::to_owned).to_vec();
    let running = bed.begin(&node, "streams", command)?;
    let limit = Duration::from_secs(u64::from(seconds)) + END_WAIT;
    let ended = wait(bed, running, limit, &mut meanwhile);
    let text = fs::read_to_string(&answer).unwrap_or_default();
    // Absent if it never began; the next run must not read an old answer.
    let _absent = fs::remove_file(&answer);
    ended?;
    read(&text)
}

fn wait(
    bed: &TestBed,
    running: Running,
    limit: Duration,
    meanwhile: &mut impl FnMut(),
) -> Result<()> {
    let mut running = [running];
    let deadline = Instant::now() + limit;
    while running[0].ended().is_none() {
        if bed.is_interrupted() || Instant::now() > deadline {
            end_all(&mut running, KILL_GRACE);
            anyhow::ensure!(!bed.is_interrupted(), "interrupted");
            anyhow::bail!("iperf3 was not done after {limit:?}");
        }
        meanwhile();
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn read(text: &str) -> Result<Flow> {
    let answer: Value = serde_json::from_str(text).context("iperf3 gave no answer")?;
    if let Some(error) = answer["error"].as_str() {
        anyhow::bail!("iperf3: {error}");
    }
    let sum = &answer["end"]["sum_received"];
    let number = |name: &str| sum[name].as_f64().with_context(|| format!("iperf3: no {name}"));
    Ok(Flow { gbit: number("bytes")? * 8.0 / 1e9, seconds: number("seconds")? })
}

/// Whether something listens on iperf3's port in the calling thread's namespace.
fn is_listening() -> bool {
    let port = format!(":{PORT:04X} ");
    let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
    let lines = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
    // Of a line's fields the second is the local address, the fourth the state; 0A is listening.
    lines.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1).is_some_and(|local| format!("{local} ").ends_with(&port))
            && fields.get(3) == Some(&"0A")
    })
}

/// iperf3's own.
const PORT: u16 = 5_201;
/// Beyond its time a run takes as long as closing full queues does.
const END_WAIT: Duration = Duration::from_secs(8);
const KILL_GRACE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(1);
