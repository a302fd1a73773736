//! What a validator keeps on disk: the block log, which is the truth, and snapshots, which save
//! time.

mod file;
mod log;
mod snapshot;

pub use self::file::{DiskFile, LogFile};
pub use self::log::{BlockLog, LogError, OpenReport};
pub use self::snapshot::{Snapshots, write_atomically};
