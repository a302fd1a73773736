//! Certificates out of the block store.

use commonware_codec::Encode;
use commonware_consensus::marshal::core::Mailbox;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::types::Height;

use crate::block::{Block, digest_bytes};
use crate::committees::Committees;
use crate::seam::Certificate;
use crate::{keys, light};

/// Asks the block store.
pub(crate) type Store = Mailbox<Scheme, Standard<Block>>;

/// The certificate of exactly this height, if the block has one of its own and its committee is known.
pub(crate) async fn at(store: &Store, committees: &Committees, height: u64) -> Option<Certificate> {
    let finalization = store.get_finalization(Height::new(height)).await?;
    let epoch = finalization.proposal.round.epoch().get();
    let committee = committees.keys(epoch)?;
    let signers = light::signers(&committee, &finalization)?;
    Some(Certificate {
        height,
        digest: digest_bytes(&finalization.proposal.payload),
        bytes: finalization.encode().to_vec(),
        signers: signers.iter().map(keys::bytes).collect(),
    })
}

/// The certificate of the lowest block from `height` up to `tip` that has one.
pub(crate) async fn at_or_above(
    store: &Store,
    committees: &Committees,
    height: u64,
    tip: u64,
) -> Option<Certificate> {
    for height in height.max(1)..=tip {
        if store.get_finalization(Height::new(height)).await.is_some() {
            return at(store, committees, height).await;
        }
    }
    None
}
