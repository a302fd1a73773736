//! Where a lab lives on disk: its run directory, its namespaces, and the note that finds it again.
//!
//! Everything of a lab is below one directory in the system's run directory, never in a project folder.
//! Namespaces of root are bound in /run/netns, where `ip netns` shows them; those of other users below the
//! run directory, in the mount namespace of the lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use crate::netns;
use crate::plan::Plan;
use crate::problem::{Code, Problem};
use crate::scenario::{NodeName, Scenario};

/// The directories of one lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    id: NodeName,
    folder: PathBuf,
    rootless: bool,
}

/// What another terminal needs to know of a running lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    /// The process that runs the story, and whose end ends the lab unless it is kept.
    pub driver: ProcessId,
    /// A process inside the lab's user namespace, if it has one.
    pub inside: Option<ProcessId>,
    pub kept: bool,
    pub processes: Vec<NotedProcess>,
}

/// A process of the lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NotedProcess {
    pub node: String,
    /// What runs: `fabric`, `router`, `web`, ...
    pub role: String,
    pub process: ProcessId,
}

/// A process that cannot be mistaken for a later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: i32,
    /// Start time in clock ticks since boot, from /proc; differs for every user of a number.
    pub started: u64,
}

impl Place {
    /// The place of a lab of that name, which need not exist. `rootless` = in a user namespace.
    pub fn new(id: NodeName, rootless: bool) -> Self {
        let folder = base(rootless).join(id.as_str());
        Self { id, folder, rootless }
    }

    /// All labs there are notes of, this user's.
    pub fn all() -> Vec<Self> {
        let rootless = !geteuid().is_root();
        let entries = fs::read_dir(base(rootless)).into_iter().flatten().flatten();
        let names =
            entries.filter_map(|entry| NodeName::new(&entry.file_name().to_string_lossy()).ok());
        let places = names.map(|name| Self::new(name, rootless));
        places.filter(|place| place.note_file().exists()).collect()
    }

    /// The lab of that name, or the only one there is.
    ///
    /// **Errors** with [`Code::NotRunning`] if there is none or the choice is not clear.
    pub fn find(id: Option<&NodeName>) -> Result<Self> {
        let mut all = Self::all();
        all.retain(|place| id.is_none_or(|id| place.id == *id));
        match (all.len(), all.pop()) {
            (1, Some(place)) => Ok(place),
            (0, _) => Err(not_running(id).into()),
            (count, _) => Err(unclear(count).into()),
        }
    }

    pub fn id(&self) -> &NodeName {
        &self.id
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn is_rootless(&self) -> bool {
        self.rootless
    }

    /// Directory of one node: state, configuration, log.
    pub fn node(&self, name: &NodeName) -> PathBuf {
        self.folder.join("node").join(name.as_str())
    }

    /// State directory of a node's daemon.
    pub fn state(&self, name: &NodeName) -> PathBuf {
        self.node(name).join("state")
    }

    /// Namespace file of a node.
    pub fn netns(&self, name: &NodeName) -> PathBuf {
        self.netns_folder().join(format!("{}{name}", self.netns_prefix()))
    }

    pub fn fabric_socket(&self) -> PathBuf {
        self.folder.join("fabric.sock")
    }

    /// Namespace files that exist.
    pub fn namespaces(&self) -> Vec<PathBuf> {
        netns::list(&self.netns_folder(), &self.netns_prefix())
    }

    /// Makes the directories, with the scenario inside.
    ///
    /// **Errors** with [`Code::AlreadyRunning`] if the lab runs; what a dead one left is removed.
    pub fn claim(&self, scenario: &str) -> Result<()> {
        if let Some(note) =
            self.read_note()?.filter(|note| note.driver.is_alive() || note.outlives_driver())
        {
            return Err(self.already_running(&note).into());
        }
        self.clear()?;
        fs::create_dir_all(self.folder.join("node"))
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        fs::write(self.folder.join("scenario.toml"), scenario).context("cannot write the scenario")
    }

    /// The scenario the lab was started with.
    pub fn plan(&self) -> Result<Plan> {
        let file = self.folder.join("scenario.toml");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Plan::new(Scenario::parse(&text)?))
    }

    /// The note, or `None` if there is none.
    pub fn read_note(&self) -> Result<Option<Note>> {
        match fs::read(self.note_file()) {
            Ok(text) => {
                Ok(Some(serde_json::from_slice(&text).context("the lab's note is damaged")?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("cannot read the lab's note"),
        }
    }

    /// Replaces the note in one step.
    pub fn write_note(&self, note: &Note) -> Result<()> {
        let fresh = self.folder.join("note.json.new");
        fs::write(&fresh, serde_json::to_vec_pretty(note)?)
            .context("cannot write the lab's note")?;
        fs::rename(&fresh, self.note_file()).context("cannot write the lab's note")
    }

    /// Removes namespaces and directory; the processes must be gone.
    pub fn clear(&self) -> Result<()> {
        for file in self.namespaces() {
            netns::remove(&file)?;
        }
        self.remove_folder()
    }

    /// Removes namespaces, and of the directory all but the logs.
    pub fn clear_but_logs(&self) -> Result<()> {
        for file in self.namespaces() {
            netns::remove(&file)?;
        }
        match fs::remove_file(self.note_file()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("the note")
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn remove_folder(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.folder.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn netns_folder(&self) -> PathBuf {
        if self.rootless { self.folder.join("netns") } else { PathBuf::from("/run/netns") }
    }

    fn netns_prefix(&self) -> String {
        // Two dashes end the name of the lab, so that lab `a` does not own the namespaces of lab `a-b`.
        format!("srwan-lab-{}--", self.id)
    }

    fn note_file(&self) -> PathBuf {
        self.folder.join("note.json")
    }

    fn already_running(&self, note: &Note) -> Problem {
        Problem {
            code: Code::AlreadyRunning,
            what: format!("lab `{}` runs already", self.id),
            why: format!("its driver is process {}", note.driver.pid),
            fix: format!("srwan lab down --id {}, or choose another --id", self.id),
        }
    }
}

impl Note {
    /// Whether any process of the lab is left.
    pub fn any_alive(&self) -> bool {
        self.processes.iter().any(|noted| noted.process.is_alive())
    }

    /// Whether any process of the lab is left after a dead driver's children had time to end.
    fn outlives_driver(&self) -> bool {
        let since = Instant::now();
        while self.any_alive() && since.elapsed() < ORPHANS_END {
            std::thread::sleep(ORPHANS_POLL);
        }
        self.any_alive()
    }
}

impl ProcessId {
    /// The process of that number, if there is one that is not a zombie.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold spaces; the fields after it do not. State is field 3, start 22.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (state != "Z").then_some(Self { pid, started })
    }

    /// The calling process.
    pub fn own() -> Self {
        let pid = nix::unistd::getpid().as_raw();
        Self::of(pid).unwrap_or(Self { pid, started: 0 })
    }

    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// The kernel kills a driver's children when it dies (`PR_SET_PDEATHSIG`); their end was seen to take
/// longer than the start of the next driver.
const ORPHANS_END: Duration = Duration::from_secs(2);

/// Far below what a person notices.
const ORPHANS_POLL: Duration = Duration::from_millis(10);

/// Below /run for root; for others where the system gives them a run directory.
fn base(rootless: bool) -> PathBuf {
    let run = if rootless { std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) } else { None };
    match (rootless, run) {
        (false, _) => PathBuf::from("/run/srwan-lab"),
        (true, Some(run)) => run.join("srwan-lab"),
        (true, None) => std::env::temp_dir().join(format!("srwan-lab-{}", own_user())),
    }
}

/// The user that runs this, as those outside see it: inside the lab's user namespace everyone is root.
fn own_user() -> u32 {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let numbers: Vec<u32> = map.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match (geteuid().as_raw(), numbers.as_slice()) {
        (0, [0, outside, 1]) => *outside,
        (user, _) => user,
    }
}

fn not_running(id: Option<&NodeName>) -> Problem {
    let which = id.map_or("no lab".to_owned(), |id| format!("no lab `{id}`"));
    Problem {
        code: Code::NotRunning,
        what: format!("{which} is running"),
        why: "there is no note of one in the run directory".to_owned(),
        fix: "srwan lab up --keep".to_owned(),
    }
}

fn unclear(count: usize) -> Problem {
    Problem {
        code: Code::NotRunning,
        what: "which lab?".to_owned(),
        why: format!("{count} labs are running"),
        fix: "say which with --id".to_owned(),
    }
}
