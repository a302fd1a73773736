//! Secrets on disk: the controller's key and the operator's token, 64 hexadecimal digits each.
//!
//! Made at the first start, readable by their owner alone, and refused if anybody else can read
//! them (promise I38).

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use srwan_api::http::ApiError;

use crate::problem::code;

/// File name of the controller's key in the state directory.
pub const KEY_FILE: &str = "controller.key";

/// File name of the operator's token in the state directory.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";

/// 32 secret octets.
#[derive(Clone)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// Draws a secret from the operating system.
    pub fn draw() -> Result<Self, ApiError> {
        let mut octets = [0; 32];
        getrandom::fill(&mut octets).map_err(|error| {
            ApiError::new(500, code::STATE_DIR, "the system gives no random numbers")
                .why(error.to_string())
        })?;
        Ok(Self(octets))
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Says whether `text` is this secret, without telling by its time where they differ.
    pub fn is(&self, text: &str) -> bool {
        let mut other = [0; 32];
        let readable = hex::decode_to_slice(text.trim(), &mut other).is_ok();
        let differing = self.0.iter().zip(other).fold(0, |acc, (left, right)| acc | (left ^ right));
        readable && differing == 0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Reads the secret in this file; makes one if there is no such file.
///
/// # Errors
/// `code::KEY_FILE` if others can read it or it holds something else; `code::STATE_DIR` if it
/// cannot be read or written.
pub fn load_or_create(path: &Path) -> Result<Secret, ApiError> {
    match create(path) {
        Ok(secret) => Ok(secret),
        Err(CreateError::Exists) => load(path),
        Err(CreateError::Other(error)) => Err(*error),
    }
}

/// Reads the secret in this file.
///
/// # Errors
/// As [`load_or_create`].
pub fn load(path: &Path) -> Result<Secret, ApiError> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| io_error(path, &error))?;
    let mode = file.metadata().map_err(|error| io_error(path, &error))?.mode();
    if mode & 0o077 != 0 {
        return Err(ApiError::new(500, code::KEY_FILE, format!("{shown} can be read by others"))
            .why(format!("its mode is {:o}, and it holds a secret", mode & 0o777))
            .fix(format!("chmod 600 {shown}, and consider the secret known")));
    }
    let mut text = String::new();
    // A secret has 64 digits; reading a little more is enough to see that this is none.
    let read = file.take(256).read_to_string(&mut text);
    read.map_err(|error| io_error(path, &error))?;
    let mut octets = [0; 32];
    hex::decode_to_slice(text.trim(), &mut octets).map_err(|_| {
        ApiError::new(500, code::KEY_FILE, format!("{shown} does not hold a secret"))
            .why("a secret is 64 hexadecimal digits and a line end")
            .fix("restore the file from a backup; with another key every router has to be told")
    })?;
    Ok(Secret(octets))
}

enum CreateError {
    Exists,
    Other(Box<ApiError>),
}

impl From<ApiError> for CreateError {
    fn from(error: ApiError) -> Self {
        Self::Other(Box::new(error))
    }
}

/// Writes a new secret beside its place and links it there, so that a crash leaves it whole or not
/// at all.
fn create(path: &Path) -> Result<Secret, CreateError> {
    if path.exists() {
        return Err(CreateError::Exists);
    }
    let secret = Secret::draw()?;
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(format!("{}\n", secret.to_hex()).as_bytes())?;
        file.sync_all()?;
        std::fs::hard_link(&draft, path)
    };
    let written = write();
    // The draft holds the secret too; that it cannot be removed is no reason to refuse to start.
    let _ = std::fs::remove_file(&draft);
    match written {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(CreateError::Exists),
        Err(error) => Err(io_error(path, &error).into()),
    }
}

fn io_error(path: &Path, error: &std::io::Error) -> ApiError {
    ApiError::new(500, code::STATE_DIR, format!("cannot use {}", path.display()))
        .why(error.to_string())
        .fix("check that state_dir exists and belongs to the user that runs the controller")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.key");
        let secret = load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap().len(), 65);
        assert!(load_or_create(&path).unwrap().is(&secret.to_hex()));
        assert!(!secret.is("") && !secret.is(&"0".repeat(64)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_secret_that_others_can_read_or_that_is_damaged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.key");
        load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(load_or_create(&path).unwrap_err().code, code::KEY_FILE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "short\n").unwrap();
        assert_eq!(load_or_create(&path).unwrap_err().code, code::KEY_FILE);
        let nowhere = dir.path().join("no/such/dir/x.key");
        assert_eq!(load_or_create(&nowhere).unwrap_err().code, code::STATE_DIR);
    }
}
