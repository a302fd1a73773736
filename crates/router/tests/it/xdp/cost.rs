//! What the relay costs per frame, as the kernel measures it:
//! `cargo test -p srwan-router --test it xdp::cost -- --nocapture`
//!
//! A relayed frame cannot be relayed again, so each round makes it a fresh one first (`xdp/bench.bpf.c`); what that
//! costs is measured beside it, as is a program that only drops. Rounds alternate, and the medians are shown.

use std::io::{self, Write};
use std::time::Instant;

use aya::include_bytes_aligned;
use aya::maps::Array;
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, Xdp};

use super::corpus::{PATHS, stream};
use super::frame;
use super::inner::udp;
use super::twin::{ME, Twins, run_object};
use super::world::Datagram;

static BENCH: &[u8] = include_bytes_aligned!("../../../xdp/bench.bpf.o");

const ROUNDS: usize = 5;
const REPEATS: u32 = 300_000;

/// Frames that the kernel keeps under way in a live run; its default.
const BATCH: u32 = 64;

const PROGRAMS: [&str; 3] = ["drop", "fresh_drop", "fresh_relay"];

/// `XDP_DROP` and `XDP_REDIRECT`.
const VERDICTS: [u32; 3] = [1, 1, 4];

#[test]
fn each_measured_frame_is_carried_and_billed_and_the_cost_is_shown() {
    for (name, path) in [("1 SID", PATHS[0]), ("3 SIDs", PATHS[2])] {
        run_object(BENCH, false, move |mut twins| {
            let template = stream(&mut twins, path, 1).remove(0);
            prepare(&mut twins, &template);
            for size in [64, 1_350] {
                measure(&mut twins, &template, name, size);
            }
        });
    }
}

/// Tells the programs by which link fresh frames come, and from where their counters go on.
fn prepare(twins: &mut Twins, template: &Datagram) {
    let object = twins.table.program().object();
    let state = object.map_mut("fresh_state").unwrap();
    let mut state: Array<_, [u64; 2]> = state.try_into().unwrap();
    let link = u16::from_le_bytes([template.bytes[2], template.bytes[3]]);
    state.set(0, [1_000, link.into()], 0).unwrap();
    for name in &PROGRAMS[1..] {
        let program: &mut Xdp = object.program_mut(name).unwrap().try_into().unwrap();
        program.load().unwrap();
    }
}

fn measure(twins: &mut Twins, template: &Datagram, list: &str, size: usize) {
    let octets = udp("10.0.1.5:1", "10.0.3.9:2", &vec![7; size - 28]).len();
    let header = if template.bytes[1] >> 4 < 2 { 32 } else { 40 };
    let mut payload = template.bytes[..header].to_vec();
    payload.resize(header + octets + 16, 7);
    let frame = frame::make(template.from, template.to, 0, &payload);
    let before = twins.twin.plane(ME).lanes().next().unwrap().1;
    let (mut alone, mut live) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
    for _ in 0..ROUNDS {
        for (at, name) in PROGRAMS.iter().enumerate() {
            alone[at].push(run_alone(twins, name, &frame, VERDICTS[at]));
            live[at].push(run_live(twins, name, &frame));
        }
    }
    let after = twins.twin.plane(ME).lanes().next().unwrap().1;
    let carried = after.packets - before.packets;
    assert_eq!(carried, 2 * u64::try_from(ROUNDS).unwrap() * u64::from(REPEATS));
    assert_eq!(after.octets.0 - before.octets.0, carried * u64::try_from(size).unwrap());
    show(list, size, "alone", alone.map(median));
    show(list, size, "live", live.map(median));
}

/// Nanoseconds per frame of a program that runs over one buffer.
fn run_alone(twins: &mut Twins, name: &str, frame: &[u8], verdict: u32) -> u128 {
    let options = TestRunOptions { data_in: Some(frame), repeat: REPEATS, ..Default::default() };
    let result = program(twins, name).test_run(options).unwrap();
    assert_eq!(result.return_value, verdict, "{name}");
    result.duration.as_nanos()
}

/// Nanoseconds per frame of a program whose frames really leave; those of the relay cross a veth to a program that
/// drops them.
fn run_live(twins: &mut Twins, name: &str, frame: &[u8]) -> u128 {
    let length = u32::try_from(frame.len()).unwrap();
    let context = [0, length, 0, twins.uplink, 0, 0].map(u32::to_ne_bytes).concat();
    let options = TestRunOptions {
        data_in: Some(frame),
        ctx_in: Some(&context),
        repeat: REPEATS,
        attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
        ..Default::default()
    };
    let start = Instant::now();
    program(twins, name).test_run(options).unwrap();
    start.elapsed().as_nanos() / u128::from(REPEATS)
}

fn program<'t>(twins: &'t mut Twins, name: &str) -> &'t Xdp {
    twins.table.program().object().program(name).unwrap().try_into().unwrap()
}

fn median(mut rounds: Vec<u128>) -> u128 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}

fn show(list: &str, size: usize, how: &str, [drop, fresh, relay]: [u128; 3]) {
    let text = format!(
        "xdp {how:5} {list:6} {size:4} octets: drop {drop}, fresh + drop {fresh}, \
         fresh + relay {relay} ns; relay over drop {} ns ({} with making it fresh)",
        relay.saturating_sub(fresh),
        relay.saturating_sub(drop)
    );
    // Nobody is there to be told if standard error is closed.
    let _unseen = writeln!(io::stderr(), "{text}");
}
