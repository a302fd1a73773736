//! Runs the binary: to its end, or as a daemon.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

/// Columns that no line may pass.
pub const COLUMNS: usize = 100;

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        let value: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let schema = value["schema"].as_str().unwrap_or_default();
        assert!(schema.starts_with("srwan."), "no schema: {self:?}");
        value
    }

    /// Asserts the exit code, and that an error is said in full on stderr alone.
    pub fn fails(&self, code: i32, name: &str) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
        assert!(self.stderr.starts_with(&format!("error[{name}]: ")), "{self:?}");
        fits(&self.stderr);
        self
    }

    /// Asserts exit code 0, an answer on stdout that fits, and nothing on stderr.
    pub fn answers(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        assert!(!self.stdout.trim().is_empty(), "{self:?}");
        fits(&self.stdout);
        &self.stdout
    }
}

/// Asserts that no line is too long and nothing in it steers a terminal.
pub fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= COLUMNS, "too long: {line}\nin:\n{text}");
        assert!(!line.contains('\u{1b}'), "escape: {line:?}");
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_srwan"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SRWAN_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs to the end.
pub fn srwan(arguments: &[&str]) -> Ran {
    let output = command(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    Ran { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A daemon that said that it is ready; killed when dropped.
pub struct Daemon {
    child: Child,
    pub url: String,
    log: Option<JoinHandle<String>>,
}

impl Daemon {
    /// Starts a daemon and waits for its ready line, which names where it listens.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let url = loop {
            let Some(line) = lines.next() else { panic!("no ready line:\n{said}") };
            let line = line.unwrap();
            said.push_str(&line);
            if line.contains("ready ") {
                let listen = line.split("listen=").nth(1).unwrap().split_whitespace().next();
                break format!("http://{}", listen.unwrap().trim_start_matches("http://"));
            }
        };
        let log = std::thread::spawn(move || {
            let rest: String = lines.map_while(Result::ok).collect();
            said + &rest
        });
        Self { child, url, log: Some(log) }
    }

    /// Asks it to stop; returns how it ended and what it logged.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        let status = self.child.wait().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }

    pub fn kill_9(self) {
        drop(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of this repository.
pub fn page(name: &str) -> String {
    let mut text = String::new();
    let mut file = std::fs::File::open(root().join(name)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Where the repository is.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The fenced blocks of a page that are marked as `language`.
pub fn fences(page: &str, language: &str) -> Vec<String> {
    let blocks = page.split("\n```").skip(1).step_by(2);
    let marked = blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    marked.map(str::to_owned).collect()
}
