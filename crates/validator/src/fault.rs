//! Errors that a person reads: a code, what, why, and what to do.

use srwan_api::http::ApiError;
use std::path::Path;

/// Stable codes of what can go wrong with a validator. The letter says where: K configuration, L
/// ledger.
pub mod code {
    /// A configuration or genesis file that cannot be read.
    pub const UNREADABLE: &str = "SRW-K301";
    /// A configuration file that says something impossible or unknown.
    pub const BAD_CONFIG: &str = "SRW-K302";
    /// A genesis file that says something impossible or unknown.
    pub const BAD_GENESIS: &str = "SRW-K303";
    /// A key file that is damaged or that others can read.
    pub const BAD_KEY: &str = "SRW-K304";
    /// The state directory belongs to another ledger.
    pub const OTHER_LEDGER: &str = "SRW-K305";
    /// Another process uses the state directory.
    pub const IN_USE: &str = "SRW-L801";
    /// The disk failed; nothing more is acknowledged.
    pub const STORAGE: &str = "SRW-L802";
    /// A file on disk is damaged, and not just at its end.
    pub const DAMAGED: &str = "SRW-L803";
    /// The address cannot be listened on.
    pub const LISTEN: &str = "SRW-L804";
}

/// A fault at `path`.
pub fn at(path: &Path, code: &str, what: &str) -> ApiError {
    ApiError::new(0, code, format!("{what}: {}", path.display()))
}

/// The disk failed at `path`.
pub fn storage(path: &Path, error: &std::io::Error) -> ApiError {
    at(path, code::STORAGE, "cannot read or write")
        .why(error.to_string())
        .fix("free or replace the disk, then start the validator again: no final block is lost")
}
