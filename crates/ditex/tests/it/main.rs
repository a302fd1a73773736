//! The exchange through its public interface.

mod joins;
mod network;
mod quarantine;
mod regroup;
mod reports;
