//! From a policy's paths to the one that takes a packet, or to those that each take a copy.
//!
//! A path that cannot take the packet (no session with its first hop, no credit on its lane) passes
//! it on to the next one. Who takes it is billed for it.

use crate::dataplane::Dataplane;
use crate::drop_reason::DropReason;
use crate::ip::Inner;
use crate::policy::Spread;
use crate::seal::Sealing;
use crate::steering::{Pick, Way};
use core::net::IpAddr;
use srwan_wire::id::LaneLabel;
use srwan_wire::time::Instant;

impl Dataplane {
    /// Where `packet` goes. Copies for further paths are sent on the way; what is returned is left
    /// to the caller.
    pub(crate) fn choose_path(
        &mut self,
        packet: &[u8],
        inner: &Inner,
        pick: &Pick,
        now: Instant,
    ) -> Result<Sealing, DropReason> {
        match pick.spread {
            Spread::Flows | Spread::Packets => {
                self.admit_any(pick, inner.destination, packet.len(), now)
            }
            Spread::Copies => self.send_copies(packet, inner, pick, now),
        }
    }

    /// The picked path, or the first one after it that takes the packet.
    fn admit_any(
        &mut self,
        pick: &Pick,
        destination: IpAddr,
        len: usize,
        now: Instant,
    ) -> Result<Sealing, DropReason> {
        let first = self.admit(&pick.way, len, now);
        let Err(reason) = first else { return first };
        for step in 1..pick.count {
            let place = (pick.place + step) % pick.count;
            let way = self.policies.lookup(destination).and_then(|steering| steering.way(place));
            if let Some(Ok(sealing)) = way.map(|way| self.admit(&way, len, now)) {
                return Ok(sealing);
            }
        }
        Err(reason)
    }

    /// Sends a copy over each path that takes one, all with the same counter; the last one is left
    /// to the caller.
    fn send_copies(
        &mut self,
        packet: &[u8],
        inner: &Inner,
        pick: &Pick,
        now: Instant,
    ) -> Result<Sealing, DropReason> {
        let (mut counter, mut last) = (None, Err(DropReason::NoPolicy));
        for place in 0..pick.count {
            let steering = self.policies.lookup(inner.destination);
            let Some(way) = steering.and_then(|steering| steering.way(place)) else { continue };
            let mut sealing = match self.admit(&way, packet.len(), now) {
                Ok(sealing) => sealing,
                Err(reason) => {
                    last = last.or(Err(reason));
                    continue;
                }
            };
            let taken = counter.map_or_else(|| self.take_counter(&sealing), Ok)?;
            counter = Some(taken);
            sealing.counter = counter;
            if let Ok(before) = core::mem::replace(&mut last, Ok(sealing)) {
                self.send_apart(packet, &before, inner.tos, now)?;
            }
        }
        last
    }

    fn take_counter(&mut self, sealing: &Sealing) -> Result<u64, DropReason> {
        let session = sealing.endpoint.and_then(|index| self.sessions.get_mut(index));
        let session = session.ok_or(DropReason::NoSession)?;
        session.take_counter(sealing.path).map_err(|_| DropReason::Expired)
    }

    /// Finds the way and bills `len` octets to its lane.
    fn admit(&mut self, way: &Way, len: usize, now: Instant) -> Result<Sealing, DropReason> {
        let sealing = self.sealing(way, now)?;
        let octets = u64::try_from(len).unwrap_or(u64::MAX);
        if way.lane != LaneLabel(0) {
            let hops = (self.me.node, Some(way.first_hop));
            self.lanes.admit(way.lane, hops, octets)?.count(octets);
        }
        Ok(sealing)
    }

    fn sealing(&self, way: &Way, now: Instant) -> Result<Sealing, DropReason> {
        let endpoint = self.peers.slot(way.endpoint).ok_or(DropReason::NoSession)?;
        let (_, index, _) = self.current(endpoint, now).ok_or(DropReason::NoSession)?;
        let first = self.peers.slot(way.first_hop).ok_or(DropReason::NoAdjacency)?;
        Ok(Sealing {
            oam: false,
            first: self.adjacency(first, now)?,
            endpoint: Some(index),
            path: way.path_id,
            counter: None,
            lane: way.lane,
            segments: way.segments,
        })
    }
}
