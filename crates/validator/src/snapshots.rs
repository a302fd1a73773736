//! Writing snapshots beside the engine's thread: one at a time, and one more at the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use srwan_wire::id::Height;
use tracing::warn;

use crate::ledger::Ledger;
use crate::store::{Store, encode_view};

/// Writes snapshots.
#[derive(Debug)]
pub struct Snapshotter {
    store: Arc<Store>,
    blocks: u64,
    is_busy: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Snapshotter {
    /// One that writes after every `blocks` blocks.
    #[must_use]
    pub fn new(store: Arc<Store>, blocks: u64) -> Self {
        Self { store, blocks, is_busy: Arc::default(), thread: Mutex::default() }
    }

    /// Begins a snapshot if one is due after `height`, and none is being written.
    pub fn after(&self, ledger: &Arc<Ledger>, height: Height) {
        if !height.0.is_multiple_of(self.blocks) || self.is_busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (store, ledger) = (Arc::clone(&self.store), Arc::clone(ledger));
        let is_busy = Arc::clone(&self.is_busy);
        let write = move || {
            write(&store, &ledger);
            is_busy.store(false, Ordering::Release);
        };
        match std::thread::Builder::new().name("ledger snapshot".to_owned()).spawn(write) {
            Ok(thread) => *self.lock() = Some(thread),
            Err(error) => {
                self.is_busy.store(false, Ordering::Release);
                warn!(%height, %error, "no snapshot written");
            }
        }
    }

    /// Waits for the snapshot that is being written, and writes one of what is final.
    pub fn last(&self, ledger: &Ledger) {
        if let Some(thread) = self.lock().take() {
            let _ = thread.join();
        }
        write(&self.store, ledger);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The view is held while it is encoded, so that execution waits for as long, but not for the disk.
fn write(store: &Store, ledger: &Ledger) {
    let (height, content) = {
        let view = ledger.view();
        (view.state.height(), encode_view(&view))
    };
    store.snapshot(height, &content);
}
