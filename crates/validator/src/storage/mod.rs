//! What a validator writes itself: snapshots, which save time. The blocks are the engine's to keep.

mod snapshot;

pub use self::snapshot::{Snapshots, write_atomically};
