//! Exit codes. They are frozen: scripts depend on them (docs/operations.md).

use crate::problem;
use srwan_api::http::ApiError;
use std::process::ExitCode;

/// What the exit code of a command says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Ok,
    /// It failed.
    Failed,
    /// The arguments are wrong.
    Usage,
    /// The daemon does not run.
    NotRunning,
    /// What was named does not exist.
    NotFound,
    /// Not permitted.
    NotPermitted,
    /// The configuration is wrong.
    BadConfig,
    /// It worked, and found something (`doctor`; `ping` over a threshold).
    Findings,
    /// Out of time.
    Timeout,
    /// Not enough coins.
    InsufficientFunds,
}

/// Ledger codes that say that coins are missing (docs/ledger.md).
const FUNDS: [&str; 3] = ["SRW-L108", "SRW-L202", "SRW-L203"];

/// Codes that say that the system refuses something to this user.
const PERMISSION: [&str; 3] = ["SRW-R001", "SRW-D001", problem::code::NOT_PERMITTED];

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::NotFound => 4,
            Self::NotPermitted => 5,
            Self::BadConfig => 6,
            Self::Findings => 7,
            Self::Timeout => 8,
            Self::InsufficientFunds => 9,
        }
    }

    /// The code that fits a failure.
    pub fn of(error: &anyhow::Error) -> Self {
        Self::of_problem(&problem::of(error))
    }

    /// The code that fits an error object: by its code where that says enough, else by its status.
    pub fn of_problem(error: &ApiError) -> Self {
        let code = error.code.as_str();
        let is_config = code == problem::code::ROLE || code == problem::code::BAD_SCENARIO;
        if code.starts_with("SRW-K") || is_config {
            return Self::BadConfig;
        }
        if FUNDS.contains(&code) {
            return Self::InsufficientFunds;
        }
        if PERMISSION.contains(&code) {
            return Self::NotPermitted;
        }
        if error.is_unreachable() {
            return Self::NotRunning;
        }
        if error.is_timeout() {
            return Self::Timeout;
        }
        Self::of_status(error.status)
    }

    const fn of_status(status: u16) -> Self {
        match status {
            400 | 422 => Self::Usage,
            401 | 403 => Self::NotPermitted,
            402 => Self::InsufficientFunds,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(status: u16, code: &str) -> u8 {
        Exit::of_problem(&ApiError::new(status, code, "w")).code()
    }

    #[test]
    fn each_kind_of_error_has_its_frozen_code() {
        let table = [
            (500, "SRW-R008", 1),
            (422, "SRW-C143", 2),
            (0, "SRW-D101", 3),
            (404, "SRW-P001", 4),
            (0, "SRW-R001", 5),
            (403, "SRW-C140", 5),
            (0, "SRW-K303", 6),
            (0, "SRW-D102", 8),
            (422, "SRW-L203", 9),
        ];
        for (status, code, expected) in table {
            assert_eq!(exit(status, code), expected, "{code}");
        }
    }
}
