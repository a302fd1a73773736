//! The state directory: opening it, bringing the ledger back, and keeping it.
//!
//! ```text
//! lock              held while a validator runs
//! genesis.bin       borsh(Genesis): what this ledger is
//! genesis.name      its chain id, for people
//! validator.key     unless the configuration names another place
//! blocks.log        every final block; the truth
//! snapshot-N.bin    the state and index after block N
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use srwan_api::http::ApiError;
use srwan_ledger::block::Block;
use srwan_ledger::genesis::Genesis;
use srwan_ledger::state::State;
use srwan_wire::id::Height;
use srwan_wire::time::Timestamp;
use tracing::{info, warn};

use crate::fault::{self, code};
use crate::index::Index;
use crate::ledger::View;
use crate::storage::{BlockLog, DiskFile, LogError, Snapshots, write_atomically};

/// File names in the state directory.
const LOCK_FILE: &str = "lock";
const GENESIS_FILE: &str = "genesis.bin";
const GENESIS_NAME_FILE: &str = "genesis.name";
const LOG_FILE: &str = "blocks.log";

/// An open state directory. While it lives no other process can open it.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    log: BlockLog<DiskFile>,
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

    /// Opens the directory and brings the ledger back to its last final block.
    ///
    /// **Errors:** another process has it, the disk failed, or a file is damaged beyond its end.
    pub fn open(directory: &Path) -> Result<(Self, Genesis, View), ApiError> {
        let lock = lock(directory)?;
        let genesis = read_genesis(directory)?;
        let path = directory.join(LOG_FILE);
        let file = DiskFile::open(&path).map_err(|error| fault::storage(&path, &error))?;
        let opened = BlockLog::open(file, genesis.chain_id());
        let (log, report) = opened.map_err(|error| log_fault(&path, &error))?;
        if report.torn_octets > 0 {
            let torn_octets = report.torn_octets;
            warn!(torn_octets, file = %path.display(), "cut off an unfinished last record");
        }
        let snapshots = Snapshots::new(directory);
        let store = Self { directory: directory.to_owned(), log, snapshots, _lock: lock };
        let view = store.recover(&genesis)?;
        Ok((store, genesis, view))
    }

    /// Makes a block durable.
    ///
    /// **Errors:** the disk failed; the block must not be acknowledged and the process must stop.
    pub fn append(&mut self, block: &Block) -> Result<(), ApiError> {
        let path = self.directory.join(LOG_FILE);
        self.log.append(block).map_err(|error| log_fault(&path, &error))
    }

    /// Reads a block; `None` if there is none of this height.
    ///
    /// **Errors:** the disk failed, or the record is damaged.
    pub fn read(&self, height: Height) -> Result<Option<Block>, ApiError> {
        let path = self.directory.join(LOG_FILE);
        self.log.read(height).map_err(|error| log_fault(&path, &error))
    }

    /// Writes a snapshot. A failure is named and costs only time at the next start.
    pub fn snapshot(&self, view: &View) {
        let height = view.state.height();
        let content = (view.state.to_snapshot(), &view.index, view.time);
        let content = borsh::to_vec(&content).expect("writing to a Vec does not fail");
        match self.snapshots.write(height, &content) {
            Ok(()) => info!(%height, octets = content.len(), "snapshot written"),
            Err(error) => warn!(%height, %error, "no snapshot written"),
        }
    }

    fn recover(&self, genesis: &Genesis) -> Result<View, ApiError> {
        let mut view = match self.newest_snapshot(genesis)? {
            Some(view) => view,
            None => first_view(genesis, &self.directory)?,
        };
        let from = view.state.height();
        while let Some(block) = self.read(view.state.next_height())? {
            view.execute(&block).map_err(|error| {
                let height = block.header.height;
                self.damaged(&format!("block {height} does not follow: {error}"))
            })?;
        }
        let (height, root) = (view.state.height(), view.state.root());
        info!(%from, %height, %root, "ledger recovered");
        Ok(view)
    }

    fn newest_snapshot(&self, genesis: &Genesis) -> Result<Option<View>, ApiError> {
        let heights = self.snapshots.heights();
        for height in heights.map_err(|error| fault::storage(&self.directory, &error))? {
            if height.0 > self.log.blocks() {
                let blocks = self.log.blocks();
                return Err(self.damaged(&format!(
                    "there is a snapshot of block {height}, but the block log ends at {blocks}"
                )));
            }
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

fn log_fault(path: &Path, error: &LogError) -> ApiError {
    match error {
        LogError::Io(error) => fault::storage(path, error),
        LogError::Poisoned | LogError::OutOfOrder { .. } => {
            fault::at(path, code::STORAGE, "cannot write").why(error.to_string())
        }
        LogError::NotALog | LogError::OtherLedger { .. } | LogError::Damaged { .. } => {
            fault::at(path, code::DAMAGED, "the block log is damaged")
                .why(error.to_string())
                .fix("restore it from a backup; cutting it would lose final blocks")
        }
    }
}
