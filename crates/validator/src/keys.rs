//! The validator's signing key: 64 hexadecimal digits in a file that only its owner can read.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use srwan_api::http::ApiError;
use srwan_wire::id::{AccountKey, ValidatorKey};
use srwan_wire::sign::AccountSecret;

use crate::fault::{self, code};

/// Mode bits that give anyone but the owner access.
const OTHERS: u32 = 0o077;

/// A validator's key: it votes with it, and signs transactions of the account of the same name.
#[derive(Clone)]
pub struct ValidatorSecret {
    seed: [u8; 32],
}

impl ValidatorSecret {
    /// The public half, as the name of a validator.
    #[must_use]
    pub fn validator(&self) -> ValidatorKey {
        ValidatorKey(self.account().public().0)
    }

    /// The key as that of an account.
    #[must_use]
    pub fn account(&self) -> AccountSecret {
        AccountSecret::from_seed(&self.seed)
    }

    /// The seed, for the engine.
    #[must_use]
    pub const fn seed(&self) -> [u8; 32] {
        self.seed
    }
}

/// Reads the key at `path`, and makes one if there is none.
///
/// **Errors:** the file is damaged, readable by others, or cannot be made. It is never replaced:
/// another key would be another validator.
pub fn load_or_create(path: &Path) -> Result<ValidatorSecret, ApiError> {
    match std::fs::read_to_string(path) {
        Ok(text) => read(path, &text),
        Err(error) if error.kind() == ErrorKind::NotFound => create(path),
        Err(error) => Err(fault::storage(path, &error)),
    }
}

fn read(path: &Path, text: &str) -> Result<ValidatorSecret, ApiError> {
    let metadata = std::fs::metadata(path).map_err(|error| fault::storage(path, &error))?;
    if metadata.permissions().mode() & OTHERS != 0 {
        return Err(fault::at(path, code::BAD_KEY, "others can read this key file")
            .why("who reads it can vote in this validator's name")
            .fix(format!("chmod 600 {}", path.display())));
    }
    // A seed has the form of any 32-byte key: 64 hexadecimal digits.
    let seed = AccountKey::from_hex(text).ok_or_else(|| {
        fault::at(path, code::BAD_KEY, "not a key file")
            .why("a key file has 64 hexadecimal digits and a newline")
            .fix("restore it from a backup; without it this validator is another one")
    })?;
    Ok(ValidatorSecret { seed: seed.0 })
}

fn create(path: &Path) -> Result<ValidatorSecret, ApiError> {
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        fault::at(path, code::BAD_KEY, "cannot draw a key").why(error.to_string())
    })?;
    write(path, &seed).map_err(|error| fault::storage(path, &error))?;
    Ok(ValidatorSecret { seed })
}

fn write(path: &Path, seed: &[u8; 32]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", hex::encode(seed))?;
    file.sync_all()?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
