//! What the engine asks of whoever it orders blocks for, in bytes alone.
//!
//! The engine decides *which* block comes *when*; what a block means is the [`Application`]'s. A
//! block is executed only after it is final, so the application has one state and never takes
//! anything back.

use std::net::SocketAddr;
use std::time::Duration;

/// A validator as its peers find it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Its ed25519 consensus key.
    pub key: [u8; 32],
    /// Where its peers reach it.
    pub address: SocketAddr,
}

/// A block as the application made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// What the block's digest covers directly: small, so that a light client can hold it.
    pub header: Vec<u8>,
    /// What the header must commit to.
    pub body: Vec<u8>,
}

/// Where a proposal would stand.
#[derive(Clone, Debug)]
pub struct Position<'a> {
    /// The height of the proposal: one above its parent.
    pub height: u64,
    /// Blocks between the last final one that the application was given and the proposal, oldest
    /// first. The last one is the parent; empty if the parent is final and delivered.
    pub pending: &'a [Payload],
    /// The newest finalization that is known here.
    pub certificate: Option<&'a Certificate>,
}

/// What a validator thinks of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may become final.
    Valid,
    /// It can never become final, whatever happens.
    Invalid,
    /// It cannot be judged before more blocks are final here.
    Later,
}

/// Proof that a block, and every block before it, is final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Of the block that it names.
    pub height: u64,
    /// That block's digest.
    pub digest: [u8; 32],
    /// The encoded finalization: what [`crate::light::verify`] takes.
    pub bytes: Vec<u8>,
    /// Consensus keys of those who signed it, ascending.
    pub signers: Vec<[u8; 32]>,
}

/// A block that will never be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalBlock {
    /// One above the block before.
    pub height: u64,
    /// The engine's name of the block: a digest of `context` and `payload.header`.
    pub digest: [u8; 32],
    /// The engine's part of what the digest covers.
    pub context: Vec<u8>,
    /// The application's part.
    pub payload: Payload,
}

/// Two votes of one validator that an honest one never casts both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equivocation {
    /// The validator's consensus key.
    pub key: [u8; 32],
    /// The signed votes: what [`crate::light::verify_equivocation`] takes.
    pub bytes: Vec<u8>,
}

/// Whoever the engine orders blocks for. Called from the engine's own threads; a call may block.
pub trait Application: Send + Sync + 'static {
    /// A payload for a block at `position`; `None` passes the turn on.
    fn propose(&self, position: &Position<'_>) -> Option<Payload>;

    /// Judges someone's payload. [`Verdict::Later`] is asked again after the next final block.
    fn verify(&self, position: &Position<'_>, payload: &Payload) -> Verdict;

    /// Takes the next final block. Called once per height and in order, from
    /// [`Application::executed`] + 1 on. When it returns, the block counts as executed.
    fn finalize(&self, block: &FinalBlock);

    /// The height that the application's state is at.
    fn executed(&self) -> u64;

    /// The validators of an epoch, ascending by key; known one epoch ahead.
    fn committee(&self, epoch: u64) -> Option<Vec<Peer>>;

    /// Peers beyond the committees of this epoch and its neighbours that may connect and follow: those
    /// who wait for a seat, for instance. Asked once per epoch.
    fn followers(&self) -> Vec<Peer> {
        Vec::new()
    }

    /// How long a proposer waits before it asks for a proposal, counted from the parent's arrival.
    /// Called again whenever [`crate::Handle::wake`] was, so that waiting can be cut short. Three quarters
    /// of [`crate::Timeouts::leader`] is the longest that is waited.
    fn pause(&self) -> Duration;

    /// Takes a proof that a validator equivocated.
    fn equivocation(&self, proof: &Equivocation);

    /// Takes bytes that another validator sent with [`crate::Handle::gossip`].
    fn gossip(&self, from: [u8; 32], bytes: &[u8]);
}
