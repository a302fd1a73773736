//! The run's own place on this machine: machines, processes, files; everything is gone when it is dropped.
//!
//! It uses the lab's place with the name `bench`, so that a run that was killed is cleared by the next one, and
//! `srwan lab down --id bench` ends a run from another terminal. All of it happens on the main thread: the kernel ends
//! the processes when the thread that started them ends.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use srwan_lab::interrupt::stop_on_signals;
use srwan_lab::netns;
use srwan_lab::place::{Note, NotedProcess, Place, ProcessId};
use srwan_lab::problem::{Code, Problem};
use srwan_lab::process::{Order, Running, end_all};
use srwan_lab::scenario::NodeName;
use srwan_lab::{privilege, wiring};

use crate::programs::{IP, Programs};
use crate::topology;

/// Machines and processes of one run.
pub struct TestBed {
    place: Place,
    program: PathBuf,
    programs: Programs,
    ip: String,
    stop: Arc<AtomicBool>,
    keep_logs: bool,
    processes: Vec<Running>,
    /// Files outside the place that products leave when they are killed.
    leftovers: Vec<PathBuf>,
}

impl TestBed {
    /// Claims the place.
    ///
    /// **Errors** with [`Code::NotPermitted`], [`Code::AlreadyRunning`] or [`Code::ProgramMissing`].
    pub fn claim(scenario: &str, programs: Programs, keep_logs: bool) -> Result<Self> {
        if !privilege::may_administer() {
            return Err(not_permitted().into());
        }
        let ip = programs.need(IP)?;
        let stop = stop_on_signals()?;
        let place = Place::new(NodeName::new(ID)?, false);
        place.claim(scenario)?;
        let program = std::env::current_exe().context("this program has no file")?;
        let (processes, leftovers) = (Vec::new(), Vec::new());
        let bed = Self { place, program, programs, ip, stop, keep_logs, processes, leftovers };
        bed.note()?;
        Ok(bed)
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// This program, as the first word of a command.
    pub fn program(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// Whether somebody wants the run to end.
    pub fn is_interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Makes a namespace and a folder.
    pub fn make_machine(&mut self, name: &NodeName) -> Result<()> {
        let folder = self.place.state(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        topology::make_namespace(self, name)
    }

    /// Starts a process that lasts; its output is in the machine's folder. Returns its number.
    pub fn start(&mut self, node: &NodeName, name: &str, command: Vec<String>) -> Result<i32> {
        let running = self.order(node, name, command).start()?;
        let pid = running.id().pid;
        self.processes.push(running);
        self.note()?;
        Ok(pid)
    }

    /// Starts one of srwan's own daemons and waits until it says that it is ready.
    pub fn start_daemon(
        &mut self,
        node: &NodeName,
        name: &str,
        command: Vec<String>,
    ) -> Result<i32> {
        let pid = self.start(node, name, command)?;
        let stop = Arc::clone(&self.stop);
        let process = self.processes.last_mut().expect("it was pushed by `start`");
        process.wait_ready(&move || stop.load(Ordering::Relaxed))?;
        Ok(pid)
    }

    /// Starts a process that will end by itself; the caller waits for it.
    pub fn begin(&self, node: &NodeName, name: &str, command: Vec<String>) -> Result<Running> {
        self.order(node, name, command).start()
    }

    /// Waits until the log of a process holds `word`.
    ///
    /// **Errors** with [`Code::DaemonFailed`] if the process ends or takes too long.
    pub fn wait_log(&mut self, pid: i32, word: &str) -> Result<()> {
        let (log, name) = self
            .processes
            .iter()
            .find(|process| process.id().pid == pid)
            .map(|process| (process.order.log.clone(), process.order.name.clone()))
            .with_context(|| format!("process {pid} ended at once"))?;
        let said = || fs::read_to_string(&log).is_ok_and(|text| text.contains(word));
        self.wait_until(said).map_err(|error| failed(&name, &log, &error).into())
    }

    /// Looks until `holds` does.
    ///
    /// **Errors:** it did not within a few seconds, or the run was interrupted.
    pub fn wait_until(&self, mut holds: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + READY_WAIT;
        while !holds() {
            anyhow::ensure!(!self.is_interrupted(), "interrupted");
            anyhow::ensure!(Instant::now() < deadline, "not within {READY_WAIT:?}");
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Runs a command on a machine to its end and returns what it printed.
    pub fn run<S: AsRef<str>>(&self, node: &NodeName, command: &[S]) -> Result<String> {
        self.run_told(node, command, "")
    }

    /// The same for a command that reads its standard input.
    pub fn run_told<S: AsRef<str>>(
        &self,
        node: &NodeName,
        command: &[S],
        input: &str,
    ) -> Result<String> {
        let words: Vec<&str> = command.iter().map(AsRef::as_ref).collect();
        netns::within(&self.place.netns(node), || run(&words, input))?
            .with_context(|| format!("{} on {node}", words.join(" ")))
    }

    /// Tells `ip` on a machine to do these lines.
    pub fn ip(&self, node: &NodeName, lines: &str) -> Result<()> {
        self.run_told(node, &[&self.ip, "-batch", "-"], lines).map(drop)
    }

    /// Sets a switch of the kernel on a machine, by its path below /proc/sys.
    pub fn set(&self, node: &NodeName, key: &str, value: &str) -> Result<()> {
        netns::within(&self.place.netns(node), || wiring::set(key, value))?
    }

    /// Writes a file into the machine's folder, for its owner alone, and returns its path.
    pub fn write(&self, node: &NodeName, name: &str, text: &str) -> Result<String> {
        let file = self.folder(node).join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file.to_string_lossy().into_owned())
    }

    /// The machine's folder.
    pub fn folder(&self, node: &NodeName) -> PathBuf {
        self.place.node(node)
    }

    /// A file outside the place that goes at the end.
    pub fn forget_at_end(&mut self, file: PathBuf) {
        self.leftovers.push(file);
    }

    fn order(&self, node: &NodeName, name: &str, command: Vec<String>) -> Order {
        Order {
            name: name.to_owned(),
            lab: self.program.clone(),
            netns: Some(self.place.netns(node)),
            command,
            log: self.folder(node).join(format!("{name}.log")),
            kept: false,
        }
    }

    fn note(&self) -> Result<()> {
        let noted = |process: &Running| NotedProcess {
            node: process.order.name.clone(),
            role: "bench".to_owned(),
            process: process.id(),
        };
        let processes = self.processes.iter().map(noted).collect();
        let note = Note { driver: ProcessId::own(), inside: None, kept: false, processes };
        self.place.write_note(&note)
    }
}

impl Drop for TestBed {
    fn drop(&mut self) {
        let processes = std::mem::take(&mut self.processes);
        let (mut first, mut others): (Vec<_>, Vec<_>) =
            processes.into_iter().partition(|process| process.order.name == ROUTER);
        end_all(&mut first, SETTLE_WAIT);
        end_all(&mut others, END_WAIT);
        for file in &self.leftovers {
            // Products that end in order remove it themselves.
            let _gone = fs::remove_file(file);
        }
        let cleared = if self.keep_logs { self.place.clear_but_logs() } else { self.place.clear() };
        if let Err(error) = cleared {
            // The next run clears it; what led here is the error to show.
            eprintln!("not everything could be removed: {error:#}");
        }
    }
}

/// Runs a command in the calling thread's namespace.
fn run(words: &[&str], input: &str) -> Result<String> {
    let (program, arguments) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("it cannot be started")?;
    let mut pipe = child.stdin.take().context("it was started with a pipe")?;
    // A command that does not read ends with the pipe, and its own words say why.
    let _unread = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    anyhow::ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn failed(name: &str, log: &Path, error: &anyhow::Error) -> Problem {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("; ");
    Problem {
        code: Code::DaemonFailed,
        what: format!("{name} did not start"),
        why: format!("{error}; its last words: {tail}"),
        fix: "add --keep-logs and read its log".to_owned(),
    }
}

fn not_permitted() -> Problem {
    Problem {
        code: Code::NotPermitted,
        what: "the benchmark may not make network namespaces".to_owned(),
        why: "it takes the capabilities NET_ADMIN and SYS_ADMIN, and all products run as root"
            .to_owned(),
        fix: "sudo srwan bench net".to_owned(),
    }
}

/// Name of the run's place; one run at a time, because a second one would spoil the figures of both.
const ID: &str = "bench";
/// Sessions of all products are up within 2 s here; a machine five times slower is still waited for.
const READY_WAIT: Duration = Duration::from_secs(15);
/// Name of a process that ends before all others, because the ledger must hear its last words.
pub const ROUTER: &str = "router";
/// Routers settle their lanes when they are told to stop: a few blocks of the ledger.
const SETTLE_WAIT: Duration = Duration::from_secs(6);
/// Everything else has nothing to wait for.
const END_WAIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);
/// Lines of a log that an error shows.
const LOG_TAIL: usize = 3;
