//! The machine's parts, and what comes in.

use crate::class;
use crate::config::NodeConfig;
use crate::destination::OutsideFlows;
use crate::event::{LedgerFact, NodeEvent, Transmit};
use crate::pay::payee::Payee;
use crate::pay::payer::Payer;
use crate::ping::{PingOrder, Pings};
use crate::settle::Settling;
use crate::statement::StatementBook;
use crate::steering::Steering;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use srwan_control::{Control, ControlConfig, LivenessConfig, PinError};
use srwan_dataplane::{Dataplane, Delivery, Frame, Identity, PeerConfig, Reach, Verdict};
use srwan_wire::id::{ChainId, NodeId};
use srwan_wire::receipt::Price;
use srwan_wire::roster::{Member, Roster};
use srwan_wire::time::{Instant, Timestamp};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One router.
pub struct Node {
    pub(crate) config: NodeConfig,
    pub(crate) dataplane: Dataplane,
    pub(crate) control: Control,
    pub(crate) payer: Payer,
    pub(crate) payee: Payee,
    pub(crate) statements: StatementBook,
    pub(crate) steering: Steering,
    pub(crate) outside: OutsideFlows,
    pub(crate) pings: Pings,
    pub(crate) settling: Settling,
    pub(crate) members: BTreeMap<NodeId, Member>,
    pub(crate) roster_seq: u64,
    pub(crate) rng: ChaCha20Rng,
}

impl Node {
    /// A router that knows nobody yet. `seed` must be fresh and secret: session keys are drawn from it.
    #[must_use]
    pub fn new(config: NodeConfig, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let me = config.node;
        let identity = Identity {
            node: me,
            secret: config.secret.clone(),
            clock: config.clock,
            last_stamp: config.last_stamp,
        };
        let control = ControlConfig {
            pulse_interval: config.pulse_interval,
            liveness: LivenessConfig { inner_mtu: config.inner_mtu, ..config.liveness },
            policy: config.policy,
            classes: class::preferences(&config.classes),
            ..ControlConfig::new(config.account.clone(), config.clock_estimate)
        };
        let chain = config.chain.unwrap_or_default();
        let mut dataplane = Dataplane::new(identity, draw(&mut rng), now);
        dataplane.set_inner_mtu(config.inner_mtu);
        dataplane.set_key_life(config.key_life);
        Self {
            dataplane,
            control: Control::new(control, me, config.clock, draw(&mut rng), now),
            payer: Payer::new(me, config.account.clone(), chain),
            payee: Payee::new(me, config.account.clone(), chain, config.price),
            statements: StatementBook::new(config.account.clone(), config.boot, chain),
            steering: Steering::new(config.inner_mtu, class::code_points(&config.classes)),
            outside: OutsideFlows::default(),
            pings: Pings::default(),
            settling: Settling::new(now),
            members: BTreeMap::new(),
            roster_seq: 0,
            rng,
            config,
        }
    }

    /// A datagram from the network. Its buffer is rewritten in place; the verdict's ranges count from its start.
    pub fn handle_datagram(
        &mut self,
        from: SocketAddr,
        buffer: &mut [u8],
        tos: u8,
        now: Instant,
    ) -> Verdict {
        let verdict = self.dataplane.receive(from, buffer, tos, now);
        match verdict {
            Verdict::Punt(oam) => {
                self.dispatch(oam.from, oam.relayed, &buffer[oam.range], now);
                self.settle(now);
                Verdict::Consumed
            }
            Verdict::Consumed => {
                self.settle(now);
                Verdict::Consumed
            }
            Verdict::Deliver { .. }
            | Verdict::Withheld
            | Verdict::Forward(_)
            | Verdict::Drop(_) => verdict,
        }
    }

    /// The kernel refused to send a datagram of so many octets, because it is longer than the interface takes
    /// (EMSGSIZE): paths over that neighbour carry less from here on.
    pub fn handle_refused(&mut self, to: SocketAddr, octets: usize, now: Instant) {
        if let Some(neighbour) = self.dataplane.neighbour_at(to) {
            self.control.handle_refused(neighbour, octets, now);
            self.settle(now);
        }
    }

    /// A packet from the host, taken from the TUN device.
    pub fn handle_host_packet(&mut self, frame: &mut Frame<'_>, now: Instant) -> Verdict {
        let verdict = self.dataplane.headend(frame, now);
        self.settling.host_octets += frame.packet().len();
        if self.settling.host_octets >= SIGN_EVERY_OCTETS {
            self.settling.hurry(now);
            self.tick(now);
            self.settle(now);
        }
        verdict
    }

    /// A roster that the controller signed; the shell checked the signature. An older one than known is ignored.
    pub fn handle_roster(&mut self, roster: &Roster, now: Instant) {
        if roster.seq <= self.roster_seq {
            return;
        }
        self.roster_seq = roster.seq;
        let me = self.config.node;
        let gone: Vec<_> =
            self.members.keys().filter(|n| roster.member(**n).is_none()).copied().collect();
        gone.into_iter().for_each(|node| self.dataplane.remove_peer(node));
        self.members = roster.members.iter().map(|m| (m.node, m.clone())).collect();
        for member in &roster.members {
            self.meet(member, roster.psk, now);
        }
        self.control.set_roster(roster, now);
        let released = self.steering.set_roster(roster, me, &mut self.dataplane);
        for (endpoint, prefixes) in released {
            self.settling.event(NodeEvent::Release { endpoint, prefixes });
        }
        self.watch_endpoints(now);
        self.apply_rules(now);
        self.settle(now);
    }

    /// What the ledger or the journal says.
    pub fn handle_ledger(&mut self, fact: LedgerFact, now: Instant) {
        match fact {
            LedgerFact::Chain(chain) => self.set_chain(chain),
            LedgerFact::Opened { label, lane, fact } => {
                self.payer.handle_opened(label, lane, &fact, now);
            }
            LedgerFact::OpenFailed { label } => self.payer.handle_open_failed(label, now),
            LedgerFact::Lane { lane, fact } => self.payee.handle_fact(lane, fact.as_ref(), now),
            LedgerFact::Stored { lane, octets } => self.payee.handle_stored(lane, octets),
            LedgerFact::Settled { lane, octets } => self.payee.handle_settled(lane, octets),
        }
        self.settle(now);
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.dataplane.handle_timeout(now);
        self.control.handle_timeout(now);
        self.tick(now);
        self.settle(now);
    }

    /// Forces the path to an endpoint.
    ///
    /// # Errors
    /// [`PinError`] if the endpoint is not watched or the relays are no path to it.
    pub fn pin(
        &mut self,
        endpoint: NodeId,
        relays: &[NodeId],
        now: Instant,
    ) -> Result<(), PinError> {
        let pinned = self.control.pin(endpoint, relays, now);
        self.settle(now);
        pinned
    }

    /// Lets the router choose again.
    pub fn unpin(&mut self, endpoint: NodeId, now: Instant) {
        self.control.unpin(endpoint, now);
        self.settle(now);
    }

    /// Starts a ping; the answer comes as [`NodeEvent::Pinged`]. Returns whether there was room.
    pub fn ping(&mut self, order: PingOrder, now: Instant) -> bool {
        let is_started = self.pings.start(order, now);
        self.tick(now);
        is_started
    }

    /// Takes no more lanes, ends its own and settles those it serves.
    pub fn drain(&mut self, now: Instant) {
        self.payer.end_all(now);
        self.payee.drain(now);
        self.settle(now);
    }

    /// The timestamp of the newest handshake that this router started: the shell keeps a later one on disk for
    /// [`NodeConfig::last_stamp`].
    #[must_use]
    pub fn handshake_stamp(&self) -> Timestamp {
        self.dataplane.handshake_stamp()
    }

    /// The next packet for the host that had to wait for others: drain after [`Node::handle_datagram`], behind what its
    /// verdict delivers, and after [`Node::handle_timeout`].
    pub fn poll_delivery(&mut self) -> Option<Delivery> {
        self.dataplane.poll_delivery()
    }

    /// The next datagram to send. `now` becomes the time that probes and pulses carry.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if let Some(transmit) = self.dataplane.poll_transmit() {
            let srwan_dataplane::Transmit { to, tos, bytes: payload } = transmit;
            return Some(Transmit { to, tos, payload });
        }
        self.next_message(now)
    }

    /// The next thing to do for the shell.
    pub fn poll_event(&mut self) -> Option<NodeEvent> {
        self.settling.poll_event()
    }

    /// When to call [`Node::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let parts = [
            self.dataplane.poll_timeout(),
            Some(self.control.poll_timeout()),
            self.pings.poll_timeout(),
            Some(self.settling.next_tick()),
        ];
        parts.into_iter().flatten().min()
    }

    fn meet(&mut self, member: &Member, psk: [u8; 32], now: Instant) {
        let node = member.node;
        if node != self.config.node {
            let mut peer = PeerConfig::new(member.node_key, member.endpoints.clone(), psk);
            peer.relay_unbilled = self.config.price == Some(Price(0));
            self.dataplane.set_peer(node, peer, now);
            self.dataplane.connect(node, Reach::Direct, now);
        }
        let sources = self.sources_of(member);
        let allowed = self.dataplane.allow_source(node, sources);
        debug_assert!(allowed.is_ok(), "a roster lists fewer prefixes than the data plane takes");
    }

    /// Inner sources that a member may use: its prefixes; and any outside address if it is an egress, because answers
    /// of one-ended flows come back through it.
    fn sources_of(&self, member: &Member) -> Vec<ipnet::IpNet> {
        let mut sources = member.prefixes.clone();
        if member.egress {
            sources.push(ipnet::Ipv4Net::default().into());
            sources.push(ipnet::Ipv6Net::default().into());
        }
        sources
    }

    /// Every member with prefixes is a destination of interest, up to what control watches. A router with no prefix of
    /// its own has no hosts to send for: it watches nothing, and opens no lanes.
    fn watch_endpoints(&mut self, now: Instant) {
        let me = self.config.node;
        if self.members.get(&me).is_none_or(|own| own.prefixes.is_empty()) {
            return;
        }
        let endpoints: Vec<_> = self
            .members
            .values()
            .filter(|m| m.node != me && !m.prefixes.is_empty())
            .map(|m| m.node)
            .take(INTERESTS_MAX)
            .collect();
        for endpoint in endpoints {
            self.control.set_interest(endpoint, true, now);
        }
    }

    fn set_chain(&mut self, chain: ChainId) {
        self.config.chain = Some(chain);
        self.payer.set_chain(chain);
        self.payee.set_chain(chain);
        self.statements.set_chain(chain);
    }
}

/// The payer looks at its lanes at least once for so much traffic from the host: a quarter of a stranger's receipt
/// step, so that receipts stay ahead of the traffic at any rate.
const SIGN_EVERY_OCTETS: usize = 256 << 10;

/// Endpoints watched at 10 Hz: 16 of them cost 16 x 2 paths x 10 probes and 20 reflections a second, about 0.7 Mbit/s.
const INTERESTS_MAX: usize = 16;

fn draw(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut octets = [0; 32];
    rng.fill_bytes(&mut octets);
    octets
}
