//! Flows as processes: started in their node's namespace, their output read into the record.

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr};
use std::process::ChildStdout;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::fetch::Line;
use crate::lab::{Lab, WEB_PORT};
use crate::process::Running;
use crate::scenario::{Bulk, Flow, Program};

use super::record::{FlowEnd, FlowLog, KindCount};

/// A flow that was started, or could not be.
pub struct Transfer {
    pub flow: Flow,
    log: Arc<Mutex<FlowLog>>,
    running: Option<Running>,
    /// iperf3's server at the other end.
    server: Option<Running>,
}

impl Transfer {
    /// Starts the flow's program; `origin` is the start of the story.
    pub fn start(lab: &Lab, flow: &Flow, origin: Instant) -> Result<Self> {
        let log =
            Arc::new(Mutex::new(FlowLog { started: Some(origin.elapsed()), ..FlowLog::default() }));
        let mut transfer = Self { flow: flow.clone(), log, running: None, server: None };
        if let Some(why) = missing(flow.program) {
            transfer.update(|log| log.end = Some(FlowEnd::Skipped { why }));
            return Ok(transfer);
        }
        let target = lab.plan().address(&flow.to).context("every node has an address")?;
        if flow.program == Program::Iperf3 {
            let command =
                ["iperf3", "-s", "-1", "-B", &target.to_string()].map(str::to_owned).to_vec();
            let order = lab.order(&flow.to, &format!("iperf3-{}", flow.name), command);
            transfer.server = Some(order.start()?);
            thread::sleep(SERVER_WAIT);
        }
        if flow.program == Program::Variety {
            let order =
                lab.order(&flow.to, &format!("variety-{}", flow.name), variety_server(lab, flow));
            let mut server = order.start()?;
            server.wait_ready(&|| lab.interrupted())?;
            transfer.server = Some(server);
        }
        let order =
            lab.order(&flow.from, &format!("flow-{}", flow.name), command(lab, flow, target));
        let mut running = order.start_piped()?;
        let output = running.take_output().context("it was started with a pipe")?;
        let reader = Reader { log: Arc::clone(&transfer.log), origin };
        let program = flow.program;
        thread::spawn(move || reader.read(program, output));
        transfer.running = Some(running);
        Ok(transfer)
    }

    /// A copy of what was seen so far.
    pub fn log(&self) -> FlowLog {
        self.log.lock().map(|log| log.clone()).unwrap_or_default()
    }

    /// Ends the programs; the flow's time is over or the story is.
    pub fn stop(&mut self, origin: Instant) {
        let over = origin.elapsed() + END_SLACK >= self.flow.end;
        let log = self.log();
        if log.end.is_none() && over {
            self.update(|log| log.end = Some(FlowEnd::Lived));
        }
        for process in [&mut self.running, &mut self.server].into_iter().flatten() {
            process.signal(Signal::SIGTERM);
            if !process.wait_gone(Instant::now() + END_SLACK) {
                process.signal(Signal::SIGKILL);
            }
        }
    }

    fn update(&self, change: impl FnOnce(&mut FlowLog)) {
        if let Ok(mut log) = self.log.lock() {
            change(&mut log);
        }
    }
}

/// Why the program cannot run here; the lab's own always can.
fn missing(program: Program) -> Option<String> {
    let name = match program {
        Program::Http | Program::Variety => return None,
        Program::Curl => "curl",
        Program::Iperf3 => "iperf3",
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    (!found).then(|| format!("{name} is not installed"))
}

fn command(lab: &Lab, flow: &Flow, target: IpAddr) -> Vec<String> {
    let server = SocketAddr::new(target, WEB_PORT).to_string();
    let time = (flow.end - flow.start).as_secs_f64();
    let pace = flow.limit.map(|rate| Duration::from_micros(rate.bits_per_second()).as_secs_f64());
    match flow.program {
        Program::Http => {
            let mut words = vec![lab.program(), "lab".into(), "fetch".into(), server];
            words.extend(["--seconds".into(), time.to_string()]);
            words.extend(["--interval-ms".into(), SAMPLE_INTERVAL.as_millis().to_string()]);
            words.extend(pace.into_iter().flat_map(|mbps| ["--mbps".into(), mbps.to_string()]));
            words.extend((flow.bulk == Bulk::Upload).then(|| "--upload".to_owned()));
            words
        }
        Program::Curl => {
            let pace = pace.map_or(String::new(), |mbps| format!("?mbps={mbps}"));
            let url = format!("http://{server}/stream{pace}");
            // More than the flow's time: the lab ends it, and a timeout of curl's own is a failure.
            let most = (time + 30.0).to_string();
            ["curl", "-sS", "-N", "--max-time", &most, &url].map(str::to_owned).to_vec()
        }
        Program::Iperf3 => {
            let mut words: Vec<String> = ["iperf3", "-c"].map(str::to_owned).to_vec();
            words.extend([target.to_string(), "-t".into(), time.to_string()]);
            words.extend(["-i", "1", "-f", "m", "--forceflush"].map(str::to_owned));
            words.extend(pace.into_iter().flat_map(|mbps| ["-b".into(), format!("{mbps}M")]));
            words.extend((flow.bulk == Bulk::Download).then(|| "-R".to_owned()));
            words
        }
        Program::Variety => variety(lab, flow),
    }
}

fn variety_server(lab: &Lab, flow: &Flow) -> Vec<String> {
    let addresses = lab.plan().addresses(&flow.to).iter().map(ToString::to_string);
    let verb = [&lab.program(), "lab", "serve-variety"].map(str::to_owned);
    verb.into_iter().chain(addresses).collect()
}

/// Over every family; it ends a little before its time, so that its counts are read.
fn variety(lab: &Lab, flow: &Flow) -> Vec<String> {
    let (own, theirs) = (lab.plan().addresses(&flow.from), lab.plan().addresses(&flow.to));
    let pairs = own.iter().zip(theirs).map(|(own, theirs)| format!("{own},{theirs}"));
    let time = (flow.end - flow.start).saturating_sub(VARIETY_END).as_secs_f64();
    let mtu = lab.plan().scenario.mtu;
    let verb = [lab.program(), "lab".into(), "variety".into()].into_iter();
    let figures = ["--seconds".into(), time.to_string(), "--mtu".into(), mtu.to_string()];
    verb.chain(figures).chain(pairs.flat_map(|pair| ["--pair".to_owned(), pair])).collect()
}

/// Turns a program's output into the log of its flow.
struct Reader {
    log: Arc<Mutex<FlowLog>>,
    origin: Instant,
}

impl Reader {
    fn read(&self, program: Program, output: ChildStdout) {
        match program {
            Program::Http | Program::Variety => {
                self.lines(output, |line, reader| reader.http(line));
            }
            Program::Curl => self.bytes(output),
            Program::Iperf3 => self.lines(output, |line, reader| reader.iperf3(line)),
        }
        let end = FlowEnd::Broke { why: "the program ended early".to_owned() };
        self.update(|log| log.end = Some(log.end.take().unwrap_or(end)));
    }

    fn lines(&self, output: ChildStdout, each: impl Fn(&str, &Self)) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            each(&line, self);
        }
    }

    fn http(&self, line: &str) {
        let now = self.origin.elapsed();
        match serde_json::from_str(line) {
            Ok(Line::Progress { bytes, rtt_ms, .. }) => self.update(|log| {
                log.bytes.push((now, bytes));
                log.rtt_ms.extend(rtt_ms.into_iter().map(|rtt| (now, rtt)));
            }),
            Ok(Line::Kind { kind, sent, intact, damaged }) => self.update(|log| {
                log.kinds.insert(kind, KindCount { sent, intact, damaged });
            }),
            Ok(Line::End { bytes, error, .. }) => self.update(|log| {
                log.bytes.push((now, bytes));
                log.end = Some(error.map_or(FlowEnd::Lived, |why| FlowEnd::Broke { why }));
            }),
            Err(_) => {}
        }
    }

    /// Counts what curl writes.
    fn bytes(&self, mut output: ChildStdout) {
        let (mut buffer, mut total) = (vec![0; 65_536], 0);
        while let Ok(octets) = output.read(&mut buffer) {
            if octets == 0 {
                return;
            }
            total += u64::try_from(octets).unwrap_or(0);
            let now = self.origin.elapsed();
            self.update(|log| sample(log, now, total));
        }
    }

    /// `[  5]   1.00-2.00   sec  2.38 MBytes  20.0 Mbits/sec ...`, summed up to bytes.
    fn iperf3(&self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let unit = words.iter().position(|word| *word == "Mbits/sec");
        let mbps = unit.and_then(|at| words.get(at.checked_sub(1)?)?.parse::<f64>().ok());
        let summary = line.contains("sender") || line.contains("receiver");
        if summary {
            self.update(|log| log.end = Some(FlowEnd::Lived));
        } else if let Some(mbps) = mbps {
            let octets = Duration::try_from_secs_f64(mbps / 8.0).unwrap_or_default().as_micros();
            let now = self.origin.elapsed();
            self.update(|log| {
                let total = log.bytes.last().map_or(0, |(_, bytes)| *bytes);
                log.bytes.push((now, total + u64::try_from(octets).unwrap_or(0)));
            });
        }
    }

    fn update(&self, change: impl FnOnce(&mut FlowLog)) {
        if let Ok(mut log) = self.log.lock() {
            change(&mut log);
        }
    }
}

/// One sample per interval is enough for every figure; the last one is replaced until then.
fn sample(log: &mut FlowLog, now: Duration, total: u64) {
    let crowded = log.bytes.len() >= 2 && now - log.bytes[log.bytes.len() - 2].0 < SAMPLE_INTERVAL;
    if crowded {
        log.bytes.pop();
    }
    log.bytes.push((now, total));
}

const SAMPLE_INTERVAL: Duration = Duration::from_millis(50);
/// A flow that lives this close to its end has lived.
const END_SLACK: Duration = Duration::from_millis(500);
/// The longest a round of all kinds takes when half of them are lost.
const VARIETY_END: Duration = Duration::from_secs(8);
/// iperf3 says nothing when it listens.
const SERVER_WAIT: Duration = Duration::from_millis(300);
