//! Committees by epoch, as the engine's signing schemes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::types::Epoch;
use commonware_cryptography::certificate::{Provider, Scoped};
use commonware_cryptography::ed25519::PublicKey;
use commonware_utils::ordered::Set;

use crate::keys;
use crate::shared::Shared;

/// Asks the application for committees, once per epoch.
#[derive(Clone)]
pub struct Committees {
    shared: Arc<Shared>,
    cache: Arc<Mutex<BTreeMap<u64, Arc<Scheme>>>>,
}

impl Committees {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, cache: Arc::default() }
    }

    /// The keys of an epoch's committee, if the application knows them.
    pub(crate) fn keys(&self, epoch: u64) -> Option<Set<PublicKey>> {
        let peers = self.shared.application.committee(epoch)?;
        let keys: Vec<[u8; 32]> = peers.iter().map(|peer| peer.key).collect();
        keys::committee(&keys)
    }

    /// What checks an epoch's certificates. It signs too if this validator is in the committee.
    pub(crate) fn voter(&self, epoch: u64) -> Option<Arc<Scheme>> {
        if let Some(known) = self.cached(epoch) {
            return Some(known);
        }
        let keys = self.keys(epoch)?;
        let config = &self.shared.config;
        let private = keys::private(&config.key_seed);
        let scheme = Scheme::signer(&config.namespace, keys.clone(), private)
            .unwrap_or_else(|| Scheme::verifier(&config.namespace, keys));
        Some(self.remember(epoch, scheme))
    }

    /// What checks an epoch's certificates and never signs.
    pub(crate) fn observer(&self, epoch: u64) -> Option<Scheme> {
        let keys = self.keys(epoch)?;
        Some(Scheme::verifier(&self.shared.config.namespace, keys))
    }

    fn cached(&self, epoch: u64) -> Option<Arc<Scheme>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(&epoch).cloned()
    }

    fn remember(&self, epoch: u64, scheme: Scheme) -> Arc<Scheme> {
        let scheme = Arc::new(scheme);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(epoch, scheme.clone());
        while cache.len() > EPOCHS_CACHED {
            cache.pop_first();
        }
        scheme
    }
}

impl Provider for Committees {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        self.voter(epoch.get()).map(Scoped::scheme)
    }
}

/// The last epoch, this one, the next and some slack for catching up.
const EPOCHS_CACHED: usize = 8;
