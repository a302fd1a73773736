//! Processes of the lab: started inside a namespace, watched by their log, ended by their number.
//!
//! A child is the lab's own program, told to enter the namespace and become the real command (`lab enter`).
//! So the daemons under test are started as on any machine, and the kernel ends them if the lab dies.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::netns;
use crate::place::ProcessId;
use crate::problem::{Code, Problem};

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Order {
    /// Name in messages.
    pub name: String,
    /// The program that knows `lab enter`.
    pub lab: PathBuf,
    /// Namespace; `None` = the caller's.
    pub netns: Option<PathBuf>,
    pub command: Vec<String>,
    /// Where standard error goes, and standard output unless it is read.
    pub log: PathBuf,
    /// Whether it outlives the lab's driver.
    pub kept: bool,
}

/// A process that runs.
#[derive(Debug)]
pub struct Running {
    pub order: Order,
    child: Child,
}

impl Order {
    /// Starts the process with its output in the log.
    pub fn start(&self) -> Result<Running> {
        let log = self.open_log()?;
        let output = log.try_clone()?;
        self.spawn(Stdio::from(output), log)
    }

    /// Starts the process with its output in a pipe.
    pub fn start_piped(&self) -> Result<Running> {
        let log = self.open_log()?;
        self.spawn(Stdio::piped(), log)
    }

    fn open_log(&self) -> Result<File> {
        let mut options = File::options();
        let opened = options.create(true).append(true).open(&self.log);
        opened.with_context(|| format!("cannot open {}", self.log.display()))
    }

    fn spawn(&self, output: Stdio, log: File) -> Result<Running> {
        let mut command = Command::new(&self.lab);
        command.args(["lab", "enter"]);
        if let Some(netns) = &self.netns {
            command.arg("--netns").arg(netns);
        }
        if !self.kept {
            command.arg("--with-parent").arg(std::process::id().to_string());
        }
        command.arg("--").args(&self.command);
        command.stdin(Stdio::null()).stdout(output).stderr(log);
        // Its own group: Ctrl-C is for the driver, which ends the others in order.
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        Ok(Running { order: self.clone(), child })
    }
}

impl Running {
    pub fn id(&self) -> ProcessId {
        let pid = i32::try_from(self.child.id()).unwrap_or(0);
        ProcessId::of(pid).unwrap_or(ProcessId { pid, started: 0 })
    }

    /// The pipe of a process that was started piped; gives it away.
    pub fn take_output(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal; a process that is gone is not an error.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let _gone = kill(Pid::from_raw(self.id().pid), signal);
        }
    }

    /// Waits until the log has a line with the word `ready`, and returns that line.
    ///
    /// **Errors** with [`Code::DaemonFailed`] if the process ends or takes too long.
    pub fn wait_ready(&mut self, stop: &dyn Fn() -> bool) -> Result<String> {
        let deadline = Instant::now() + READY_WAIT;
        loop {
            let log = fs::read_to_string(&self.order.log).unwrap_or_default();
            if let Some(line) = log.lines().find(|line| says_ready(line)) {
                return Ok(line.to_owned());
            }
            if let Some(status) = self.ended() {
                return Err(self.failed(format!("it ended with {status}"), &log).into());
            }
            if Instant::now() > deadline {
                return Err(self.failed(format!("not ready after {READY_WAIT:?}"), &log).into());
            }
            anyhow::ensure!(!stop(), "interrupted");
            thread::sleep(POLL);
        }
    }

    /// Waits until it is gone or the time is over; `true` = gone.
    pub fn wait_gone(&mut self, deadline: Instant) -> bool {
        while self.ended().is_none() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    fn failed(&self, why: String, log: &str) -> Problem {
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n       ");
        Problem {
            code: Code::DaemonFailed,
            what: format!("{} did not start", self.order.name),
            why: if tail.is_empty() { why } else { format!("{why}\n       {tail}") },
            fix: format!("read {}", self.order.log.display()),
        }
    }
}

/// Ends processes: asks, waits, then insists.
pub fn end_all(running: &mut [Running], grace: Duration) {
    running.iter_mut().for_each(|process| process.signal(Signal::SIGTERM));
    // A frozen process takes no signal until it goes on.
    running.iter_mut().for_each(|process| process.signal(Signal::SIGCONT));
    let deadline = Instant::now() + grace;
    for process in running {
        if !process.wait_gone(deadline) {
            process.signal(Signal::SIGKILL);
            process.wait_gone(Instant::now() + KILL_WAIT);
        }
    }
}

/// Ends processes of another driver by their numbers.
pub fn end_noted(processes: &[ProcessId], grace: Duration) {
    let send = |signal| {
        for process in processes.iter().filter(|process| process.is_alive()) {
            let _gone = kill(Pid::from_raw(process.pid), signal);
        }
    };
    send(Signal::SIGTERM);
    send(Signal::SIGCONT);
    wait_noted(processes, grace);
    send(Signal::SIGKILL);
    wait_noted(processes, KILL_WAIT);
}

/// Waits until none is left or the time is over.
pub fn wait_noted(processes: &[ProcessId], time: Duration) {
    let deadline = Instant::now() + time;
    while processes.iter().any(|process| process.is_alive()) && Instant::now() < deadline {
        thread::sleep(POLL);
    }
}

/// Becomes another command inside a namespace: the body of `lab enter`. Returns only on failure.
pub fn become_command(
    netns: Option<&Path>,
    parent: Option<i32>,
    environment: &[(&str, OsString)],
    command: &[String],
) -> Result<()> {
    if let Some(parent) = parent {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("cannot tie itself to the lab")?;
        anyhow::ensure!(nix::unistd::getppid().as_raw() == parent, "the lab is gone");
    }
    if let Some(netns) = netns {
        netns::enter(netns)?;
    }
    let (program, arguments) = command.split_first().context("no command")?;
    let variables = environment.iter().map(|(name, value)| (name, value));
    let error = Command::new(program).args(arguments).envs(variables).exec();
    Err(error).with_context(|| format!("cannot run {program}"))
}

/// The line by which a daemon says that it serves: `ready ...`, after time, level and target if it has them.
///
/// Other lines may have the word too ("portal ready"): it must be the first one of the message.
fn says_ready(line: &str) -> bool {
    let plain = without_colours(line);
    let mut words = plain.split_whitespace().peekable();
    if words.peek() == Some(&"ready") {
        return true;
    }
    let mut after_level = words.skip_while(|word| *word != "INFO").skip(1);
    after_level.find(|word| !word.ends_with(':')) == Some("ready")
}

/// Drops ANSI escape sequences: ESC up to the letter that ends one.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once('m').map_or("", |(_, text)| text));
    std::iter::once(first.as_str()).chain(rest).collect()
}

/// A cold start on a slow machine reads a big binary from disk for every process.
const READY_WAIT: Duration = Duration::from_secs(20);
/// The kernel ends a killed process at its next instruction.
const KILL_WAIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);
/// Lines of a log that an error shows.
const LOG_TAIL: usize = 8;
