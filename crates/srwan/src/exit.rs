//! Exit codes. They are frozen: scripts depend on them (docs/operations.md).

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

    /// The code that fits an error.
    pub fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<ApiError>() {
            Some(api) if api.code.starts_with("SRW-K") => Self::BadConfig,
            Some(api) if api.is_unreachable() => Self::NotRunning,
            Some(api) if api.is_timeout() => Self::Timeout,
            Some(api) if api.status == 404 => Self::NotFound,
            Some(api) if matches!(api.status, 401 | 403) => Self::NotPermitted,
            Some(api) if matches!(api.status, 400 | 422) => Self::Usage,
            Some(api) if api.status == 402 => Self::InsufficientFunds,
            Some(_) | None => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
