//! Final blocks to the application: in order, each once, from where its state is.

use std::sync::Arc;

use commonware_actor::Feedback;
use commonware_consensus::marshal::Update;
use commonware_consensus::types::Height;
use commonware_consensus::{Heightable, Reporter};
use commonware_cryptography::Digested;
use commonware_utils::Acknowledgement as _;
use commonware_utils::acknowledgement::Exact;
use tokio::sync::mpsc;

use crate::block::Block;
use crate::certificates::Store;
use crate::committees::Committees;
use crate::shared::Shared;

/// A final block, and how to say that it was executed.
pub(crate) type Delivery = (Digested<Block>, Exact);

/// Takes what the block store reports.
#[derive(Clone)]
pub(crate) struct Inbox {
    shared: Arc<Shared>,
    deliveries: mpsc::UnboundedSender<Delivery>,
}

impl Inbox {
    /// The store keeps at most `PENDING_ACKS` blocks unacknowledged, which bounds the queue.
    pub(crate) fn new(shared: Arc<Shared>) -> (Self, mpsc::UnboundedReceiver<Delivery>) {
        let (deliveries, receiver) = mpsc::unbounded_channel();
        (Self { shared, deliveries }, receiver)
    }
}

impl Reporter for Inbox {
    type Activity = Update<Block>;

    fn report(&mut self, update: Update<Block>) -> Feedback {
        match update {
            Update::Tip(round, height, _) => self.shared.note_tip(height.get(), round.view().get()),
            Update::Block(block, done) => {
                if self.deliveries.send((block, done)).is_err() {
                    return Feedback::Closed;
                }
            }
        }
        Feedback::Ok
    }
}

/// Executes final blocks on its own thread, after those that the store delivered in an earlier life and
/// the application does not have.
pub(crate) async fn run(
    shared: Arc<Shared>,
    store: Store,
    committees: Committees,
    mut deliveries: mpsc::UnboundedReceiver<Delivery>,
    delivered: u64,
) {
    catch_up(&shared, &store, delivered).await;
    shared.delivered.send_replace(delivered);
    while let Some((block, done)) = deliveries.recv().await {
        let height = block.height().get();
        catch_up(&shared, &store, height.saturating_sub(1)).await;
        shared.execute(block.inner());
        // Asked here, where waiting for the application's lock delays nobody.
        let _ = committees.voter(shared.epochs.of(height + 1) + 1);
        shared.delivered.send_replace(height);
        done.acknowledge();
    }
}

/// Executes stored blocks until the application is at `height`.
async fn catch_up(shared: &Shared, store: &Store, height: u64) {
    while shared.executed() < height {
        let next = shared.executed() + 1;
        let block = store.get_block(Height::new(next)).await;
        let block = block.unwrap_or_else(|| panic!("final block {next} is not in the store"));
        shared.execute(block.inner());
    }
}
