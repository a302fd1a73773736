//! The handle's questions, answered from the block store.

use std::sync::Arc;

use commonware_consensus::types::Height;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::certificates::{self, Store};
use crate::committees::Committees;
use crate::seam::{Certificate, FinalBlock};
use crate::shared::Shared;

/// A question with the way back.
pub(crate) enum Request {
    /// The final block at a height.
    Block(u64, oneshot::Sender<Option<FinalBlock>>),
    /// The certificate at or above a height.
    Certificate(u64, oneshot::Sender<Option<Certificate>>),
}

/// Answers one question after the other.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    store: Store,
    committees: Committees,
    requests: Arc<Mutex<mpsc::Receiver<Request>>>,
) {
    let mut requests = requests.lock().await;
    while let Some(request) = requests.recv().await {
        match request {
            Request::Block(height, reply) => {
                let block = store.get_block(Height::new(height)).await;
                let _ = reply.send(block.map(|block| block.inner().to_final()));
            }
            Request::Certificate(height, reply) => {
                let tip = *shared.tip.borrow();
                let found = certificates::at_or_above(&store, &committees, height, tip).await;
                let _ = reply.send(found);
            }
        }
    }
}
