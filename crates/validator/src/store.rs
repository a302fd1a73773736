//! The state directory: opening it, bringing the ledger back, and keeping it.
//!
//! ```text
//! lock              held while a validator runs
//! genesis.bin       borsh(Genesis): what this ledger is
//! genesis.name      its chain id, for people
//! validator.key     unless the configuration names another place
//! engine/           blocks, certificates and votes, as the engine keeps them; the truth
//! snapshot-N.bin    the state and index after block N
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use srwan_api::http::ApiError;
use srwan_ledger::genesis::Genesis;
use srwan_ledger::state::State;
use srwan_wire::id::Height;
use srwan_wire::time::Timestamp;
use tracing::{info, warn};

use crate::fault::{self, code};
use crate::index::Index;
use crate::ledger::View;
use crate::storage::{Snapshots, write_atomically};

/// File names in the state directory.
const LOCK_FILE: &str = "lock";
const GENESIS_FILE: &str = "genesis.bin";
const GENESIS_NAME_FILE: &str = "genesis.name";
const ENGINE_DIRECTORY: &str = "engine";

/// An open state directory. While it lives no other process can open it.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    snapshots: Snapshots,
    _lock: File,
}

impl Store {
    /// Writes down what ledger the directory is for; `genesis` must be the same if it says so
    /// already.
    ///
    /// **Errors:** the directory cannot be written, or belongs to another ledger.
    pub fn init(directory: &Path, genesis: &Genesis) -> Result<(), ApiError> {
        fs::create_dir_all(directory).map_err(|error| fault::storage(directory, &error))?;
        let path = directory.join(GENESIS_FILE);
        if path.exists() {
            let found = read_genesis(directory)?;
            return if found == *genesis { Ok(()) } else { Err(other_ledger(directory, &found)) };
        }
        let bytes = borsh::to_vec(genesis).expect("writing to a Vec does not fail");
        let name = format!("{} {}\n", genesis.chain, genesis.chain_id());
        let named = write_atomically(&directory.join(GENESIS_NAME_FILE), name.as_bytes());
        named
            .and_then(|()| write_atomically(&path, &bytes))
            .map_err(|error| fault::storage(directory, &error))
    }

    /// Whether the directory says what ledger it is for.
    pub fn is_initialised(directory: &Path) -> bool {
        directory.join(GENESIS_FILE).exists()
    }

    /// Opens the directory and brings the ledger back to its newest whole snapshot, or to its
    /// beginning. The engine hands over the blocks after that.
    ///
    /// **Errors:** another process has it, the disk failed, or its files do not fit together.
    pub fn open(directory: &Path) -> Result<(Self, Genesis, View), ApiError> {
        let lock = lock(directory)?;
        let genesis = read_genesis(directory)?;
        let snapshots = Snapshots::new(directory);
        let store = Self { directory: directory.to_owned(), snapshots, _lock: lock };
        let view = store.recover(&genesis)?;
        Ok((store, genesis, view))
    }

    /// Where the engine keeps its files.
    pub fn engine_directory(&self) -> PathBuf {
        self.directory.join(ENGINE_DIRECTORY)
    }

    /// Writes a snapshot. A failure is named and costs only time at the next start.
    pub fn snapshot(&self, height: Height, content: &[u8]) {
        match self.snapshots.write(height, content) {
            Ok(()) => info!(%height, octets = content.len(), "snapshot written"),
            Err(error) => warn!(%height, %error, "no snapshot written"),
        }
    }

    fn recover(&self, genesis: &Genesis) -> Result<View, ApiError> {
        let view = match self.newest_snapshot(genesis)? {
            Some(view) => view,
            None => first_view(genesis, &self.directory)?,
        };
        let (height, root) = (view.state.height(), view.state.root());
        // With peers the blocks can be had again; alone, what was final is gone.
        if height.0 > 0 && genesis.validators.len() == 1 && !self.engine_directory().exists() {
            let why = format!("there is a snapshot of block {height}, but no blocks");
            return Err(self.damaged(&why));
        }
        info!(%height, %root, "ledger recovered");
        Ok(view)
    }

    fn newest_snapshot(&self, genesis: &Genesis) -> Result<Option<View>, ApiError> {
        let heights = self.snapshots.heights();
        for height in heights.map_err(|error| fault::storage(&self.directory, &error))? {
            let path = self.snapshots.path(height);
            let content = self.snapshots.read(height);
            let content = content.map_err(|error| fault::storage(&path, &error))?;
            match content.and_then(|content| decode_view(&content)) {
                Some(view) if view.state.chain() == genesis.chain_id() => return Ok(Some(view)),
                Some(_) | None => warn!(file = %path.display(), "damaged snapshot passed over"),
            }
        }
        Ok(None)
    }

    fn damaged(&self, why: &str) -> ApiError {
        fault::at(&self.directory, code::DAMAGED, "the ledger's files do not fit together")
            .why(why)
            .fix("restore the directory from a backup that was made while the validator was down")
    }
}

/// The bytes of a snapshot of `view`.
pub fn encode_view(view: &View) -> Vec<u8> {
    let content = (view.state.to_snapshot(), &view.index, view.time);
    borsh::to_vec(&content).expect("writing to a Vec does not fail")
}

fn decode_view(content: &[u8]) -> Option<View> {
    let (state, index, time): (Vec<u8>, Index, Timestamp) = borsh::from_slice(content).ok()?;
    let state = State::from_snapshot(&state).ok()?;
    Some(View { state, index, time })
}

fn first_view(genesis: &Genesis, directory: &Path) -> Result<View, ApiError> {
    let state = State::genesis(genesis).map_err(|error| {
        fault::at(directory, code::BAD_GENESIS, "no ledger can begin here").why(error.to_string())
    })?;
    Ok(View { state, index: Index::default(), time: Timestamp::default() })
}

fn lock(directory: &Path) -> Result<File, ApiError> {
    let path = directory.join(LOCK_FILE);
    let file = File::create(&path).map_err(|error| fault::storage(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(fault::at(directory, code::IN_USE, "another validator uses the state directory")
                .fix("stop it, or give this one a state_dir of its own"))
        }
        Err(TryLockError::Error(error)) => Err(fault::storage(&path, &error)),
    }
}

fn read_genesis(directory: &Path) -> Result<Genesis, ApiError> {
    let path = directory.join(GENESIS_FILE);
    let bytes = fs::read(&path).map_err(|error| fault::storage(&path, &error))?;
    borsh::from_slice(&bytes).map_err(|_| {
        fault::at(&path, code::DAMAGED, "the genesis is damaged").fix("restore it from a backup")
    })
}

fn other_ledger(directory: &Path, found: &Genesis) -> ApiError {
    let found = format!("it is for `{}`, {}", found.chain, found.chain_id());
    fault::at(directory, code::OTHER_LEDGER, "the state directory belongs to another ledger")
        .why(found)
        .fix("use another state_dir, or the genesis file that this one began with")
}
