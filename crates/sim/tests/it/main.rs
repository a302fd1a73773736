//! The main story and its neighbours, with real routers and the real ledger in virtual time.

mod money;
mod paths;
mod rekey;
mod restart;
