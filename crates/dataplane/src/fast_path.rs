//! An executor beside the data plane that relays paid packets: what it shares, and what it did.
//!
//! The data plane stays the authority: it opens, raises and ends lanes, knows who is alive and signs nothing that it
//! did not count. The executor gets copies of the FIB ([`crate::fib`]) and works on the same credit and windows
//! ([`crate::shared_lane`]); `fold` adds what it carried to the meters and takes it as proof of life.

use crate::dataplane::Dataplane;
use crate::lane::Folded;
use crate::shared_lane::FastPathMemory;
use srwan_wire::id::NodeId;
use srwan_wire::time::Instant;

/// What other executors carried, in sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastPathTotals {
    /// Datagrams relayed.
    pub packets: u64,
    /// Octets of their inner packets.
    pub octets: u64,
    /// Datagrams dropped: replays, and those beyond a lane's credit.
    pub dropped: u64,
}

impl Dataplane {
    /// From here on relayed lanes that are installed live in `memory`, as far as there is room, and
    /// [`Dataplane::poll_fib_change`] tells what an executor must know. To be called once, before the first lane.
    pub fn enable_fast_path(&mut self, memory: FastPathMemory) {
        self.lanes.share_in(memory);
        self.export_fib();
    }

    /// Adds what the executor did since the last call to meters and drops. To be called at least every few seconds:
    /// only then is a neighbour with nothing but relayed traffic known to be alive.
    pub fn fold_fast_path(&mut self, now: Instant) {
        let folded: Vec<_> = self.lanes.fold().filter(|(_, carried)| carried.packets > 0).collect();
        folded.iter().for_each(|one| self.take_folded(one, now));
        for (reason, packets) in self.lanes.fold_refused() {
            self.drops.add(reason, packets);
            self.fast_path.dropped = self.fast_path.dropped.saturating_add(packets);
        }
    }

    /// What other executors carried, as far as it was folded; `None` if there are none.
    #[must_use]
    pub fn fast_path(&self) -> Option<FastPathTotals> {
        self.lanes.can_share().then_some(self.fast_path)
    }

    fn take_folded(&mut self, (entry, carried): &Folded, now: Instant) {
        let (packets, wire) = (carried.packets, carried.wire);
        self.totals.link_in.add_many(packets, wire);
        self.totals.link_out.add_many(packets, wire);
        self.fast_path.packets = self.fast_path.packets.saturating_add(packets);
        self.fast_path.octets = self.fast_path.octets.saturating_add(carried.octets);
        self.note_folded_in(entry.previous, carried, now);
        let next = entry.next.and_then(|next| self.peers.slot(next));
        if let Some(peer) = next.and_then(|slot| self.peers.get_mut(slot)) {
            peer.meter.link_out.add_many(packets, wire);
            (peer.sent, peer.spoken) = (now, now);
        }
    }

    fn note_folded_in(
        &mut self,
        previous: NodeId,
        carried: &crate::shared_lane::Carried,
        now: Instant,
    ) {
        let slot = self.peers.slot(previous);
        if let Some(peer) = slot.and_then(|slot| self.peers.get_mut(slot)) {
            peer.meter.link_in.add_many(carried.packets, carried.wire);
            peer.meter.relayed.add_many(carried.packets, carried.octets);
            (peer.received, peer.heard) = (now, now);
        }
    }
}
