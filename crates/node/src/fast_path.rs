//! The node's side of an executor that relays paid packets below it.

use crate::node::Node;
use srwan_dataplane::{FastPathMemory, FastPathTotals, FibChange};
use srwan_wire::id::NodeId;

impl Node {
    /// This router's number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.config.node
    }

    /// Shares lanes with an executor; to be called once, before the first input.
    pub fn enable_fast_path(&mut self, memory: FastPathMemory) {
        self.dataplane.enable_fast_path(memory);
    }

    /// The next change that the executor must know of: drain after every input.
    pub fn poll_fib_change(&mut self) -> Option<FibChange> {
        self.dataplane.poll_fib_change()
    }

    /// What the executor has carried, up to 0.1 s ago; `None` if there is none.
    #[must_use]
    pub fn fast_path(&self) -> Option<FastPathTotals> {
        self.dataplane.fast_path()
    }
}
