//! The two secrets of a router: its node key (X25519, who it is in a handshake) and its account key (ed25519 seed, who
//! signs and is paid). Each lives in a file of 64 hexadecimal digits, mode 0600, owned by the user that runs.
//!
//! A file that others can read, that someone else owns, or that is damaged is refused rather than replaced: a new key
//! would be a new router with no coins.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use srwan_wire::sign::AccountSecret;
use zeroize::Zeroizing;

use crate::fault::{self, Fault};

/// File name of the X25519 secret.
pub const NODE_KEY_FILE: &str = "node.key";

/// File name of the ed25519 seed.
pub const ACCOUNT_KEY_FILE: &str = "account.key";

/// Bytes of a key file: 64 digits and a newline.
const KEY_FILE_OCTETS: usize = 65;

/// Both secrets. Zeroed when dropped, never printed.
pub struct Keys {
    /// X25519 static secret.
    pub node: Zeroizing<[u8; 32]>,
    /// Signs rows, receipts and transactions.
    pub account: AccountSecret,
}

impl Keys {
    /// Reads the key files of `state_dir`, and makes the ones that do not exist.
    ///
    /// # Errors
    /// `SRW-R004` for a damaged file, a file that others can read or own, or a directory that cannot be written.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, Fault> {
        let node = load_or_create(&state_dir.join(NODE_KEY_FILE))?;
        let seed = load_or_create(&state_dir.join(ACCOUNT_KEY_FILE))?;
        Ok(Self { node, account: AccountSecret::from_seed(&seed) })
    }
}

/// The secret in the file at `path`, drawn and written first if there is no such file.
///
/// # Errors
/// As [`Keys::load_or_create`].
pub fn load_or_create(path: &Path) -> Result<Zeroizing<[u8; 32]>, Fault> {
    match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(error) => Err(refuse(path, error.to_string())),
    }
}

/// The secret in the file at `path`, which must be there.
///
/// # Errors
/// As [`Keys::load_or_create`], and if there is no such file.
pub fn load(path: &Path) -> Result<Zeroizing<[u8; 32]>, Fault> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path);
    read(path, opened.map_err(|error| refuse(path, error.to_string()))?)
}

fn read(path: &Path, mut file: File) -> Result<Zeroizing<[u8; 32]>, Fault> {
    let metadata = file.metadata().map_err(|error| refuse(path, error.to_string()))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(refuse(
            path,
            format!("others may read it (mode {:o})", metadata.mode() & 0o777),
        ));
    }
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(refuse(path, format!("it belongs to user {}", metadata.uid())));
    }
    let mut text = Zeroizing::new([0_u8; KEY_FILE_OCTETS]);
    let damaged = |_| refuse(path, "it is not 64 hexadecimal digits and a newline".into());
    file.read_exact(text.as_mut_slice()).map_err(damaged)?;
    let mut secret = Zeroizing::new([0_u8; 32]);
    hex::decode_to_slice(&text[..64], secret.as_mut_slice())
        .map_err(|_| refuse(path, "it is not 64 hexadecimal digits and a newline".into()))?;
    Ok(secret)
}

fn create(path: &Path) -> Result<Zeroizing<[u8; 32]>, Fault> {
    let mut secret = Zeroizing::new([0_u8; 32]);
    getrandom::fill(secret.as_mut_slice()).map_err(|error| refuse(path, error.to_string()))?;
    let mut text = Zeroizing::new([b'\n'; KEY_FILE_OCTETS]);
    hex::encode_to_slice(secret.as_slice(), &mut text[..64]).expect("64 digits hold 32 bytes");
    write_new(path, text.as_slice()).map_err(|error| refuse(path, error.to_string()))?;
    Ok(secret)
}

/// Writes the file whole or not at all: a half-written key must never be found at the next start.
fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&part)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    File::open(directory)?.sync_all()
}

fn refuse(path: &Path, why: String) -> Fault {
    Fault::new(
        fault::KEY_FILE,
        format!("cannot use the key file {}", path.display()),
        why,
        format!("restore it from a backup, or: chmod 600 {}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = Keys::load_or_create(dir.path()).unwrap();
        let second = Keys::load_or_create(dir.path()).unwrap();
        assert_eq!(first.node, second.node);
        assert_eq!(first.account.public(), second.account.public());
        assert_ne!(first.node.as_slice(), [0; 32]);
    }

    #[test]
    fn a_new_key_file_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NODE_KEY_FILE);
        load_or_create(&path).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.len()), (0o600, 65));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NODE_KEY_FILE);
        load_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o644] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(load_or_create(&path).unwrap_err().code, fault::KEY_FILE);
        }
    }

    #[test]
    fn a_damaged_or_linked_key_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NODE_KEY_FILE);
        write_new(&path, b"short\n").unwrap();
        assert_eq!(load_or_create(&path).unwrap_err().code, fault::KEY_FILE);
        assert_eq!(std::fs::read(&path).unwrap(), b"short\n");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(load_or_create(&link).unwrap_err().code, fault::KEY_FILE);
    }
}
