//! Messages that are decided on but not stamped: their timestamps and sequence numbers are taken
//! when they leave.

use srwan_wire::id::{NodeId, PathId};
use srwan_wire::oam::{
    DestinationProbe, Oam, PaddedProbe, Probe, ProbePurpose, Reflection, Relays,
};
use srwan_wire::time::{Instant, Timestamp};

use crate::control::Control;
use crate::event::ControlTransmit;
use crate::path_mtu::SizedProbe;

/// A message that waits for `poll_transmit`.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    /// The own row, to one member.
    Pulse { to: NodeId, via: Vec<NodeId>, seq: u32 },
    /// A probe of one path to a watched endpoint.
    Probe { endpoint: NodeId, path: PathId },
    /// A probe of one hop of the active path: the one behind `via`.
    HopSample { hop: NodeId, via: Vec<NodeId>, path: PathId },
    /// A probe as long as an inner packet that is asked about.
    MtuProbe { to: NodeId, via: Relays, path: PathId, sized: SizedProbe },
    /// Asks an egress to measure a destination, or answers.
    Destination { to: NodeId, probe: DestinationProbe },
    /// The answer to a probe, over one of the two ways back.
    Reflection { to: NodeId, via: Vec<NodeId>, probe: Probe, received: Timestamp, throughput: u64 },
}

impl Control {
    /// Takes the timestamps; `None` if what the message is about is gone by now.
    pub(crate) fn stamp(&mut self, outgoing: Outgoing, now: Instant) -> Option<ControlTransmit> {
        let sent = self.clock.at(now);
        match outgoing {
            Outgoing::Destination { to, probe } => {
                let via =
                    self.endpoints.get(&to).map_or(Vec::new(), |w| w.active_relays().to_vec());
                Some(ControlTransmit { to, via, oam: Oam::Destination(probe) })
            }
            Outgoing::Pulse { to, via, seq } => {
                let oam = Oam::Pulse(self.pulse_for(to, seq, now)?);
                Some(ControlTransmit { to, via, oam })
            }
            Outgoing::Probe { endpoint, path } => self.stamp_probe(endpoint, path, now),
            Outgoing::MtuProbe { to, via, path, sized } => {
                let (purpose, relays) = (ProbePurpose::PathMtu, via.clone());
                let probe = Probe { purpose, path, seq: sized.seq, sent, relays };
                let oam = Oam::PaddedProbe(PaddedProbe::with_len(probe, sized.size)?);
                Some(ControlTransmit { to, via: via.as_slice().to_vec(), oam })
            }
            Outgoing::HopSample { hop, via, path } => {
                let relays = Relays::new(via.clone())?;
                let probe = Probe { purpose: ProbePurpose::HopSample, path, seq: 0, sent, relays };
                Some(ControlTransmit { to: hop, via, oam: Oam::Probe(probe) })
            }
            Outgoing::Reflection { to, via, probe, received, throughput } => {
                let oam = Oam::Reflection(Reflection {
                    purpose: probe.purpose,
                    path: probe.path,
                    seq: probe.seq,
                    sent: probe.sent,
                    received,
                    reflected: sent,
                    throughput,
                });
                Some(ControlTransmit { to, via, oam })
            }
        }
    }

    fn stamp_probe(&mut self, to: NodeId, path: PathId, now: Instant) -> Option<ControlTransmit> {
        let sent = self.clock.at(now);
        let track = self.endpoints.get_mut(&to)?.tracks.get_mut(&path)?;
        let purpose = if track.meter.is_confirmed() || track.is_default() {
            ProbePurpose::Liveness
        } else {
            ProbePurpose::Confirmation
        };
        let relays = track.relays.clone();
        let via = relays.as_slice().to_vec();
        let probe = Probe { purpose, path, seq: track.meter.send(now), sent, relays };
        Some(ControlTransmit { to, via, oam: Oam::Probe(probe) })
    }
}
