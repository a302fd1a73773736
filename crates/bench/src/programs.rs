//! Programs of others: where they are, which version, and how to get those that are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use srwan_lab::problem::{Code, Problem};

/// A program, and the command that installs it on Debian with rustup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    pub name: &'static str,
    pub install: &'static str,
}

/// Where programs are looked for.
#[derive(Clone, Debug)]
pub struct Programs {
    folders: Vec<PathBuf>,
}

impl Programs {
    /// The search path, the folders that are only on root's, and `extra` in front.
    pub fn new(extra: Option<&Path>) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let extra = extra.into_iter().flat_map(|folder| [folder.join("bin"), folder.to_owned()]);
        let path = std::env::split_paths(&path).collect::<Vec<_>>();
        let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        Self { folders: extra.chain(path).chain(system).collect() }
    }

    /// The program's file, if it is installed.
    pub fn find(&self, program: Program) -> Option<PathBuf> {
        let files = self.folders.iter().map(|folder| folder.join(program.name));
        files.into_iter().find(|file| file.is_file())
    }

    /// The program's file as the first word of a command.
    ///
    /// **Errors** with [`Code::ProgramMissing`].
    pub fn need(&self, program: Program) -> Result<String, Problem> {
        let found = self.find(program).map(|file| file.to_string_lossy().into_owned());
        found.ok_or_else(|| Problem {
            code: Code::ProgramMissing,
            what: format!("{} is not installed", program.name),
            why: "it is in no folder of the search path".to_owned(),
            fix: program.install.to_owned(),
        })
    }

    /// The first line with a digit that the program says of itself when asked with `flag`.
    pub fn version(&self, program: Program, flag: &str) -> Option<String> {
        let output = Command::new(self.find(program)?).arg(flag).output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let line = said.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()))?;
        let words = line.split_whitespace().take(VERSION_WORDS_MAX).collect::<Vec<_>>();
        Some(words.join(" "))
    }
}

/// Addresses, links and routes.
pub const IP: Program = Program { name: "ip", install: "apt-get install iproute2" };
/// Offloads of network devices.
pub const ETHTOOL: Program = Program { name: "ethtool", install: "apt-get install ethtool" };
/// TCP streams.
pub const IPERF3: Program = Program { name: "iperf3", install: "apt-get install iperf3" };

/// Name, number, and what else fits a table.
const VERSION_WORDS_MAX: usize = 3;
