//! The application's bytes between validators, and heartbeats that tell how far their sender is.
//!
//! ```text
//! heartbeat: 0 | newest final height u64 little-endian      application's bytes: 1 | bytes
//! ```
//!
//! A peer that says it is ahead is asked for the certificate that closes this epoch, or for its newest
//! one: so a validator that missed everything learns how far there is to go. What it answers is
//! checked against the committee, so a lie costs a request and its teller's connection.

use std::sync::Arc;
use std::time::Duration;

use commonware_consensus::types::Height;
use commonware_cryptography::ed25519::PublicKey;
use commonware_macros::select;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::{Clock, IoBuf};
use commonware_utils::vec::NonEmptyVec;
use tokio::sync::{Mutex, mpsc};

use crate::block::usize_of;
use crate::certificates::Store;
use crate::keys;
use crate::shared::Shared;

/// The application's bytes on their way out; outlives a restart of the engine.
pub(crate) type Outgoing = Arc<Mutex<mpsc::Receiver<Vec<u8>>>>;

/// Sends heartbeats and what the application gives.
pub(crate) async fn send<S: Sender<PublicKey = PublicKey>>(
    clock: impl Clock,
    shared: Arc<Shared>,
    mut sender: S,
    outgoing: Outgoing,
) {
    let mut outgoing = outgoing.lock().await;
    let mut due = clock.current();
    loop {
        let message = select! {
            _ = clock.sleep_until(due) => {
                due = clock.current() + HEARTBEAT;
                heartbeat(*shared.tip.borrow())
            },
            bytes = outgoing.recv() => match bytes {
                Some(bytes) => wrap(&bytes),
                None => return,
            },
        };
        let _ = sender.send(Recipients::All, IoBuf::from(message), false);
    }
}

/// Takes heartbeats and the application's bytes from others.
pub(crate) async fn receive<R: Receiver<PublicKey = PublicKey>>(
    clock: impl Clock,
    shared: Arc<Shared>,
    store: Store,
    mut receiver: R,
) {
    let octets_max = usize_of(shared.config.limits.gossip_octets_max);
    while let Ok((from, message)) = receiver.recv().await {
        shared.note_peer(keys::bytes(&from), clock.current());
        match parse(message.as_ref()) {
            Some(Message::Heartbeat(tip)) => {
                shared.note_tip_of(keys::bytes(&from), tip);
                ask(&shared, &store, from, tip);
            }
            Some(Message::Bytes(bytes)) if bytes.len() <= octets_max => {
                shared.application.gossip(keys::bytes(&from), bytes);
            }
            Some(Message::Bytes(_)) | None => {}
        }
    }
}

/// Asks a peer that is ahead for the next certificate that this validator can check.
fn ask(shared: &Shared, store: &Store, from: PublicKey, their_tip: u64) {
    let epoch = shared.epochs.of(*shared.delivered.borrow() + 1);
    let goal = their_tip.min(shared.epochs.last_height(epoch));
    if goal > *shared.tip.borrow() {
        store.hint_finalized(Height::new(goal), NonEmptyVec::new(from));
    }
}

enum Message<'a> {
    Heartbeat(u64),
    Bytes(&'a [u8]),
}

fn parse(message: &[u8]) -> Option<Message<'_>> {
    let (tag, rest) = message.split_first()?;
    match *tag {
        TAG_HEARTBEAT => rest.try_into().ok().map(u64::from_le_bytes).map(Message::Heartbeat),
        TAG_BYTES => Some(Message::Bytes(rest)),
        _ => None,
    }
}

fn heartbeat(tip: u64) -> Vec<u8> {
    let mut message = vec![TAG_HEARTBEAT];
    message.extend_from_slice(&tip.to_le_bytes());
    message
}

fn wrap(bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![TAG_BYTES];
    message.extend_from_slice(bytes);
    message
}

/// What a message has beside the application's bytes, or a heartbeat in all.
pub(crate) const OVERHEAD_OCTETS: usize = 9;

const TAG_HEARTBEAT: u8 = 0;
const TAG_BYTES: u8 = 1;

/// Rare enough to cost nothing, often enough that who is behind notices before a person does.
const HEARTBEAT: Duration = Duration::from_secs(1);
