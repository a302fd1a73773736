//! Where a validator stands among its peers: in step, or catching up.

use srwan_engine::Status;
use srwan_ledger::state::State;
use srwan_wire::id::Height;

use crate::committee;

/// Blocks by which a validator in step may be behind: what finality and execution take under load.
const IN_STEP_BLOCKS: u64 = 8;

/// What a validator had when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The newest block that the engine had; `None` until it has said so.
    pub stored: Option<Height>,
}

/// Where a validator stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The epoch of the next block.
    pub epoch: u64,
    /// Consensus keys of its committee, ascending.
    pub committee: Vec<[u8; 32]>,
    /// Consensus keys of the other validators that are heard.
    pub peers: Vec<[u8; 32]>,
    /// Blocks that are known to be final but not executed here.
    pub behind: u64,
    /// Whether the state here is, or may be, older than what its peers have.
    pub syncing: bool,
    /// Whether blocks that were final here before the start are still to be executed again.
    pub replaying: bool,
    /// The view that the newest finalization was made in.
    pub view: u64,
}

impl Standing {
    /// A validator that has executed up to `state`, and started as `start` says.
    #[must_use]
    pub fn new(state: &State, status: &Status, start: Start) -> Self {
        let height = state.height();
        let epoch = committee::epoch_of(state, state.next_height());
        let members = committee::members(state, epoch).unwrap_or_default();
        let behind = status.height_known.saturating_sub(height.0);
        let has_peers = members.len() > 1;
        let replaying = start.stored.is_none_or(|stored| height < stored);
        // How old its state is, it cannot know before that.
        let is_unseen = has_peers && start.stored.is_none_or(|stored| height <= stored);
        Self {
            epoch,
            committee: members.iter().map(|member| member.key.0).collect(),
            peers: status.peers.clone(),
            behind,
            syncing: behind > IN_STEP_BLOCKS || replaying || is_unseen,
            replaying,
            view: status.view,
        }
    }
}
