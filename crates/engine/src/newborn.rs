//! Whether a validator that has no memory may vote.
//!
//! Votes are remembered on disk, and two that contradict each other cost the bond. A validator whose disk
//! is empty is new, or has forgotten what it signed. So before its first vote it hears from a quorum how
//! far the chain is. It votes in no epoch that others have left, and it does not vote in the epoch at hand
//! if a certificate there has its signature. Then it notes on disk that it remembers, and starts from
//! there ever after.
//!
//! What this cannot see is a vote of the epoch at hand that went into no certificate. A validator that
//! loses its disk counts as faulty for the rest of the epoch.

use std::sync::Arc;
use std::time::Duration;

use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_cryptography::certificate::Scheme as _;
use commonware_cryptography::ed25519::PublicKey;
use commonware_macros::select;
use commonware_runtime::Blob as _;
use commonware_utils::N3f1;
use commonware_utils::ordered::{Quorum, Set};

use crate::block::usize_of;
use crate::certificates::{self, Store};
use crate::committees::Committees;
use crate::keys;
use crate::shared::Shared;
use crate::wiring::Environment;

/// What is known about this validator's memory.
pub(crate) struct Memory<E> {
    pub(crate) context: E,
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Store,
    pub(crate) committees: Committees,
    pub(crate) prefix: String,
}

/// What a member of an epoch's committee may do in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Vote.
    Vote,
    /// Follow without a vote.
    Observe,
    /// Nothing: the epoch was over before this was decided.
    Over,
}

impl<E: Environment> Memory<E> {
    /// Decides what to do in an epoch. Waits if others must be heard first.
    pub(crate) async fn decide(&self, epoch: u64, scheme: &Scheme) -> Part {
        if scheme.me().is_none() {
            return Part::Observe;
        }
        if self.remembers().await {
            return Part::Vote;
        }
        let part = self.hear(epoch, scheme.participants()).await;
        if part == Part::Vote {
            self.remember().await;
        }
        part
    }

    async fn hear(&self, epoch: u64, committee: &Set<PublicKey>) -> Part {
        let last = self.shared.epochs.last_height(epoch);
        let mut delivered = self.shared.delivered.subscribe();
        loop {
            if *delivered.borrow() >= last {
                return Part::Over;
            }
            match self.chain_height(committee) {
                Some(height) if height >= last => return Part::Observe,
                Some(height) if *delivered.borrow() >= height => {
                    return self.unless_signed(epoch, height).await;
                }
                Some(_) | None => {}
            }
            select! {
                _ = delivered.changed() => {},
                _ = self.context.sleep(LISTEN) => {},
            }
        }
    }

    /// How far the chain is, once a quorum is heard: no fewer than a third and one say at least this.
    fn chain_height(&self, committee: &Set<PublicKey>) -> Option<u64> {
        let me = self.shared.config.public_key();
        let others = committee.iter().map(keys::bytes).filter(|key| *key != me);
        let mut heard: Vec<u64> = others.filter_map(|key| self.shared.tip_of(&key)).collect();
        if heard.len() + 1 < usize_of(committee.quorum::<N3f1>()) {
            return None;
        }
        heard.sort_unstable_by(|a, b| b.cmp(a));
        let liars = usize_of(committee.max_faults::<N3f1>());
        Some(heard.get(liars).copied().unwrap_or(0))
    }

    async fn unless_signed(&self, epoch: u64, height: u64) -> Part {
        let me = self.shared.config.public_key();
        for height in self.shared.epochs.height_before(epoch) + 1..=height {
            let certificate = certificates::at(&self.store, &self.committees, height).await;
            if certificate.is_some_and(|it| it.signers.contains(&me)) {
                tracing::warn!(epoch, "this validator forgot its votes, so it casts none");
                return Part::Observe;
            }
        }
        Part::Vote
    }

    async fn remembers(&self) -> bool {
        let scan = self.context.scan(&self.partition()).await;
        scan.is_ok_and(|names| !names.is_empty())
    }

    async fn remember(&self) {
        let (blob, _) = self
            .context
            .open(&self.partition(), b"votes")
            .await
            .expect("the mark of the first vote cannot be made");
        blob.sync().await.expect("the mark of the first vote cannot be kept");
    }

    fn partition(&self) -> String {
        format!("{}memory", self.prefix)
    }
}

/// How often heartbeats are counted.
const LISTEN: Duration = Duration::from_millis(100);
