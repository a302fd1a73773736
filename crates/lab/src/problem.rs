//! Errors of the lab as the product shows them: a code, what happened, why, and what to do.

use std::fmt;

use serde::Serialize;

/// One cause of failure, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub code: Code,
    pub what: String,
    pub why: String,
    pub fix: String,
}

/// The lab's error codes; frozen, like exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Code {
    /// Neither root nor user namespaces.
    #[serde(rename = "SRW-B001")]
    NotPermitted,
    /// A scenario file is wrong.
    #[serde(rename = "SRW-B002")]
    BadScenario,
    /// No lab of that name runs.
    #[serde(rename = "SRW-B003")]
    NotRunning,
    /// A lab of that name runs already.
    #[serde(rename = "SRW-B004")]
    AlreadyRunning,
    /// A node, link or scenario of that name does not exist.
    #[serde(rename = "SRW-B005")]
    NotFound,
    /// A daemon ended or did not become ready.
    #[serde(rename = "SRW-B006")]
    DaemonFailed,
    /// The kernel lacks something the lab needs.
    #[serde(rename = "SRW-B007")]
    KernelLacks,
    /// A program that measuring takes is not installed.
    #[serde(rename = "SRW-B008")]
    ProgramMissing,
    /// Nothing of that name can be measured.
    #[serde(rename = "SRW-B009")]
    NoSuchContender,
    /// Somebody ended a measurement before it was done.
    #[serde(rename = "SRW-B010")]
    Interrupted,
}

impl Code {
    /// The code as shown.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotPermitted => "SRW-B001",
            Self::BadScenario => "SRW-B002",
            Self::NotRunning => "SRW-B003",
            Self::AlreadyRunning => "SRW-B004",
            Self::NotFound => "SRW-B005",
            Self::DaemonFailed => "SRW-B006",
            Self::KernelLacks => "SRW-B007",
            Self::ProgramMissing => "SRW-B008",
            Self::NoSuchContender => "SRW-B009",
            Self::Interrupted => "SRW-B010",
        }
    }

    /// The process exit code of the product's house rules.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::NotPermitted => 5,
            Self::BadScenario => 6,
            Self::NotRunning => 3,
            Self::NotFound | Self::NoSuchContender => 4,
            Self::AlreadyRunning
            | Self::DaemonFailed
            | Self::KernelLacks
            | Self::ProgramMissing
            | Self::Interrupted => 1,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error[{}]: {}", self.code.text(), self.what)?;
        writeln!(f, "  why: {}", self.why)?;
        write!(f, "  fix: {}", self.fix)
    }
}

impl std::error::Error for Problem {}
