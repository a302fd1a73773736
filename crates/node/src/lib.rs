//! One router as one state machine: the data plane, the control plane, and the money between them.
//!
//! The shell and the simulator both run this. Drain order after every `handle_*`: [`Node::poll_delivery`],
//! [`Node::poll_transmit`] and [`Node::poll_event`] until `None`, then sleep until [`Node::poll_timeout`].
//!
//! - `node`: the machine's parts and what comes in
//! - `dispatch`: control messages to whom they concern
//! - `engage`: a decision of control as traffic on one path or several
//! - `class`: traffic that wants other paths than the rest
//! - `multipath`: rules of the operator for several paths at once
//! - `settle`: what the parts say to one another, and what goes out
//! - `steering`: decisions of control as policies of the data plane
//! - `destination`: flows to where no router is, over an egress
//! - `pay`: paying and being paid
//! - `statement`: signed counters of links
//! - `ping`: probes that a person asked for
//! - `fast_path`: an executor that relays below the node
//! - `view`: everything as people may see it
#![forbid(unsafe_code)]

pub mod class;
pub mod config;
pub mod destination;
mod dispatch;
mod engage;
pub mod event;
mod fast_path;
pub mod multipath;
mod node;
pub mod pay;
pub mod ping;
mod settle;
pub mod statement;
pub mod steering;
pub mod view;

pub use class::ForwardingClass;
pub use config::{Boot, NodeConfig};
pub use event::{LedgerFact, NodeEvent, PathChange, PathShares, Transmit};
pub use node::Node;
pub use srwan_dataplane::{DSCP_COUNT, Delivery, DscpSet, Frame, KeyLife, Spread, Verdict};
