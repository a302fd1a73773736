//! Proofs of equivocation: taken from consensus, checked, and handed to the application.

use std::sync::Arc;

use commonware_actor::Feedback;
use commonware_consensus::Reporter;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Activity, Attributable};
use commonware_cryptography::ed25519::PublicKey;
use commonware_utils::Participant;
use commonware_utils::ordered::{Quorum, Set};
use tokio::sync::mpsc;

use crate::block::Digest;
use crate::seam::Equivocation;
use crate::shared::Shared;
use crate::{keys, light};

/// Listens to one epoch's consensus.
#[derive(Clone)]
pub(crate) struct Witness {
    committee: Set<PublicKey>,
    proofs: mpsc::Sender<Equivocation>,
}

impl Witness {
    pub(crate) fn new(committee: Set<PublicKey>, proofs: mpsc::Sender<Equivocation>) -> Self {
        Self { committee, proofs }
    }

    fn proof(&self, signer: Participant, bytes: Vec<u8>) -> Option<Equivocation> {
        let key = keys::bytes(self.committee.key(signer)?);
        Some(Equivocation { key, bytes })
    }

    fn contradiction(&self, activity: &Activity<Scheme, Digest>) -> Option<Equivocation> {
        match activity {
            Activity::ConflictingNotarize(votes) => {
                let bytes = light::encode_votes(light::TAG_NOTARIZE, votes);
                self.proof(votes.signer(), bytes)
            }
            Activity::ConflictingFinalize(votes) => {
                let bytes = light::encode_votes(light::TAG_FINALIZE, votes);
                self.proof(votes.signer(), bytes)
            }
            Activity::NullifyFinalize(votes) => {
                let bytes = light::encode_votes(light::TAG_NULLIFY_FINALIZE, votes);
                self.proof(votes.signer(), bytes)
            }
            Activity::Notarize(_)
            | Activity::Notarization(_)
            | Activity::Certification(_)
            | Activity::Nullify(_)
            | Activity::Nullification(_)
            | Activity::Finalize(_)
            | Activity::Finalization(_) => None,
        }
    }
}

impl Reporter for Witness {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Some(proof) = self.contradiction(&activity) {
            // A full queue means that hundreds of proofs wait already: one suffices to slash.
            let _ = self.proofs.try_send(proof);
        }
        Feedback::Ok
    }
}

/// Hands proofs to the application. Consensus reports votes that it has not checked, so they are
/// checked here.
pub(crate) async fn hand_over(shared: Arc<Shared>, mut proofs: mpsc::Receiver<Equivocation>) {
    while let Some(proof) = proofs.recv().await {
        let namespace = &shared.config.namespace;
        if light::verify_equivocation(namespace, &proof.key, &proof.bytes).is_ok() {
            tracing::warn!(key = %hex(&proof.key), "a validator equivocated");
            shared.application.equivocation(&proof);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Proofs that may wait for the application.
pub(crate) const PROOFS_MAX: usize = 256;
