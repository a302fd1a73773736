//! The one-time login token: who can read the router's files may open its page.
//!
//! The token lives in one file, mode 0600, as 64 hex characters. A login consumes it: a fresh token
//! is on disk before the session is granted, so no token opens two sessions, and a full disk
//! refuses the login. This file never logs a token and never puts one in an error.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use subtle::ConstantTimeEq;
use thiserror::Error;

/// Length of a token in octets before it is written as hex: 256 bits cannot be guessed.
pub const TOKEN_OCTETS: usize = 32;

/// Why a token file was not read or not written.
#[derive(Debug, Error)]
pub enum TokenError {
    /// There is no such file, or it cannot be read or written; the router is not running, or not by
    /// this user.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner can read or write it, so it is not a secret any more: restart the
    /// router.
    #[error("{path} has mode {mode:04o}: only its owner may have access (0600)")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user, who may have put it there: run the command as the router's user.
    #[error("{path} belongs to user {owner}, not to the user who asks")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
    },
    /// Its contents are not a token: restart the router.
    #[error("{path} does not hold a token")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
}

/// The token that opens the next session, in memory and on disk.
///
/// The two are equal except while [`TokenFile::exchange`] runs.
pub struct TokenFile {
    path: PathBuf,
    current: Mutex<String>,
}

impl TokenFile {
    /// Writes a fresh token to `path`, which replaces what is there.
    ///
    /// **Errors:** the folder is missing or not writable.
    pub fn create(path: PathBuf) -> Result<Self, TokenError> {
        let current = Mutex::new(write_fresh(&path)?);
        Ok(Self { path, current })
    }

    /// Consumes the token if `given` is equal to it: true exactly once per token.
    ///
    /// **Errors:** the next token could not be written; the login must be refused, the token stays
    /// valid.
    pub fn exchange(&self, given: &str) -> Result<bool, TokenError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !equal(current.as_bytes(), given.as_bytes()) {
            return Ok(false);
        }
        *current = write_fresh(&self.path)?;
        Ok(true)
    }
}

/// Reads the token that a running portal keeps in `path`.
///
/// **Errors:** missing, readable by others, owned by another user (root may read everyone's), or
/// not a token.
pub fn read(path: &Path) -> Result<String, TokenError> {
    let fail = |source| TokenError::Io { path: path.into(), source };
    let about = fs::symlink_metadata(path).map_err(fail)?;
    let asker = fs::metadata("/proc/self").map_err(fail)?.uid();
    if asker != 0 && about.uid() != asker {
        return Err(TokenError::Foreign { path: path.into(), owner: about.uid() });
    }
    if !about.is_file() || about.mode() & 0o077 != 0 {
        return Err(TokenError::Exposed { path: path.into(), mode: about.mode() & 0o7777 });
    }
    let text = fs::read_to_string(path).map_err(fail)?;
    let token = text.trim_end();
    let is_token = token.len() == 2 * TOKEN_OCTETS && token.bytes().all(|b| b.is_ascii_hexdigit());
    if is_token { Ok(token.into()) } else { Err(TokenError::Malformed { path: path.into() }) }
}

/// 256 random bits as hex; also what session ids and CSRF tokens are made of.
pub fn random_hex() -> Result<String, TokenError> {
    let mut octets = [0u8; TOKEN_OCTETS];
    getrandom::fill(&mut octets).map_err(TokenError::Random)?;
    Ok(hex::encode(octets))
}

/// Compares two secrets in a time that depends on their lengths alone.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// Puts a fresh token in place by rename, so that a reader sees the old or the new one and never a
/// wider mode.
fn write_fresh(path: &Path) -> Result<String, TokenError> {
    let token = random_hex()?;
    let draft = path.with_extension("token-draft");
    let written = write_draft(&draft, &token).and_then(|()| fs::rename(&draft, path));
    written.map(|()| token).map_err(|source| TokenError::Io { path: path.into(), source })
}

fn write_draft(draft: &Path, token: &str) -> io::Result<()> {
    // A draft that a crash left behind may have another owner or mode: it is never opened, only
    // replaced.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    writeln!(file, "{token}")
}
