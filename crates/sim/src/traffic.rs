//! What hosts send: into a router's TUN device while a path is engaged, else over the Internet's default path.

use crate::builder::host;
use crate::datagram::Trail;
use crate::packet;
use crate::world::{Past, World};
use srwan_dataplane::{HEADROOM, TAILROOM};
use srwan_node::{Frame, Verdict};
use std::net::{IpAddr, Ipv4Addr};

impl World {
    /// A host behind router `from` sends a packet to a host behind router `to`: over the engaged path if there is one,
    /// else over the default path of the Internet. Returns whether a path was engaged.
    pub fn host_sends(&mut self, from: usize, to: usize, payload: &[u8]) -> bool {
        self.host_sends_marked(from, to, 0, payload)
    }

    /// The same with a code point (RFC 2474).
    pub fn host_sends_marked(&mut self, from: usize, to: usize, dscp: u8, payload: &[u8]) -> bool {
        let packet = packet::marked(packet::udp(host(from), host(to), payload), dscp);
        let is_engaged = self.shells[from].is_routed(IpAddr::V4(host(to)));
        if is_engaged {
            self.host_hands_in(from, &packet);
        } else {
            let octets = packet.len();
            let mut datagram = self.datagram(from, to, packet, Trail::from(from));
            datagram.is_bare = true;
            self.net.send(datagram, octets, self.now);
        }
        is_engaged
    }

    /// A host behind router `from` sends the first packet of a flow to where no router is, while an egress takes it.
    pub fn host_sends_outside(&mut self, from: usize, to: Ipv4Addr, payload: &[u8]) {
        self.host_hands_in(from, &packet::udp(host(from), to, payload));
    }

    /// A packet comes out of the TUN device of router `from`.
    pub fn host_hands_in(&mut self, from: usize, packet: &[u8]) {
        let shell = &mut self.shells[from];
        if shell.stalled_until > self.now {
            return;
        }
        let Some(node) = &mut shell.node else { return };
        let mut buffer = vec![0; HEADROOM + packet.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + packet.len();
        buffer[range.clone()].copy_from_slice(packet);
        let mut frame = Frame::new(&mut buffer, range).expect("the buffer has the room");
        let verdict = node.handle_host_packet(&mut frame, shell.clock.at(self.now));
        if let (Some(judge), Verdict::Forward(forward)) = (&mut self.judge, &verdict) {
            judge.wrapped(from, &buffer[forward.range.clone()]);
        }
        self.obey(from, verdict, buffer, Past::default());
        self.drain(from);
    }
}
