//! The engine's thread and what others hold of it.

use std::sync::Arc;

use crate::Config;
use crate::seam::{Application, Certificate, FinalBlock};

/// Starts engines.
pub struct Engine;

impl Engine {
    /// Runs an engine in a thread of its own, with a runtime of its own, until [`Handle::stop`].
    ///
    /// Returns at once: whatever goes wrong later is what [`Handle::ended`] says. Committees, blocks and
    /// votes are recovered from the directory. Votes are durable before they leave the host: the
    /// engine's journal is synced before a vote is sent, so that kill -9 at any point cannot make this
    /// validator contradict itself.
    ///
    /// # Panics
    /// If the thread cannot be created.
    pub fn start(config: Config, application: Arc<dyn Application>) -> Handle {
        let _ = (config, application);
        unimplemented!("the wiring follows")
    }
}

/// What the rest of the process holds of a running engine. Cheap to clone; every clone is the same.
///
/// The `async` calls may be awaited on any runtime. All answer as if nothing were known once the engine
/// has ended.
#[derive(Clone)]
pub struct Handle {}

impl Handle {
    /// The final block at a height, if it is known here.
    pub async fn block(&self, height: u64) -> Option<FinalBlock> {
        let _ = height;
        unimplemented!("the wiring follows")
    }

    /// The certificate of the lowest block at or above `height` that has one of its own. Blocks between
    /// are final because that block is.
    pub async fn certificate(&self, height: u64) -> Option<Certificate> {
        let _ = height;
        unimplemented!("the wiring follows")
    }

    /// Sends bytes to every connected validator, best effort: full queues and limits drop them, and so
    /// does a length above [`crate::Limits::gossip_octets_max`]. Never blocks.
    pub fn gossip(&self, bytes: Vec<u8>) {
        let _ = bytes;
    }

    /// Tells a waiting proposer to ask [`Application::pause`] again. Never blocks.
    pub fn wake(&self) {}

    /// Where the engine is. Never blocks.
    pub fn status(&self) -> Status {
        Status::default()
    }

    /// Ends the engine in good order and waits until its thread is gone. May be called from any clone,
    /// and again.
    pub async fn stop(&self) -> End {
        End::Stopped
    }

    /// Waits until the engine has ended, and says why. [`End::Fault`] means that the process should exit
    /// with an error: a storage error, for instance, must not be carried on from (fail-stop).
    pub async fn ended(&self) -> End {
        End::Stopped
    }
}

/// Where an engine is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Of the newest block that was given to [`Application::finalize`] and that it returned from.
    pub height: u64,
    /// Of the newest block known to be final; above `height` while catching up.
    pub height_known: u64,
    /// The epoch whose committee this engine follows.
    pub epoch: u64,
    /// The view inside the epoch that the newest finalization known here was made in.
    pub view: u64,
    /// Whether this validator votes in the epoch.
    pub voting: bool,
    /// Peers that spoke to this engine within the last half minute, ascending by key.
    pub peers: Vec<[u8; 32]>,
}

/// Why an engine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// [`Handle::stop`] was called.
    Stopped,
    /// It cannot go on. The text says why.
    Fault(String),
}
