//! One seed, from its first second to its last.

use super::Report;
use super::draw::{Character, Dice, Fault, PHASE_1, Plan};
use crate::attack::stranger;
use crate::builder::{host, number};
use crate::datagram::Taint;
use crate::judge::{Judge, Promise};
use crate::net::Harm;
use crate::packet;
use crate::world::World;
use srwan_wire::sid::{EndpointBehavior, Sid};
use srwan_wire::time::Instant;
use std::time::Duration;

/// Until the matrix is known, a lane is open and the better path is engaged.
const WARM_UP: Duration = Duration::from_secs(24);

/// After everything is mended: sessions of dead peers are called again after five seconds at most, a pulse of the lost
/// rows takes three intervals.
const RECOVERY: Duration = Duration::from_secs(25);

/// How long the mended world is watched.
const CALM: Duration = Duration::from_secs(4);

/// From the last packet to the last ticket: the end of lanes, two patiences and some blocks.
const WINDING_UP: Duration = Duration::from_secs(9);

/// Between two packets of each direction, and between two looks at everything.
const PACKET_EVERY: Duration = Duration::from_millis(25);
const LOOK_EVERY: u32 = 20;

/// A failover takes no longer (I29).
const FAILOVER_MAX: Duration = Duration::from_secs(2);

/// Between two sightings of which a packet that is sent counts as lost.
const LATE: Duration = Duration::from_secs(1);

/// Datagrams that are replayed at once: more than a replay window is wide.
const DEEP: u32 = 8_500;

/// Moves of traffic that are not flapping within half a minute: one late return.
const MOVES_MAX: u32 = 1;

/// A seed that runs.
pub(super) struct Course {
    plan: Plan,
    world: World,
    dice: Dice,
    steps: u32,
    down: Vec<(usize, i64)>,
}

impl Course {
    pub(super) fn new(plan: Plan) -> Self {
        let mut world = World::new(&plan.world, plan.seed);
        let mut judge = Judge::default();
        (0..world.routers()).for_each(|router| judge.started(router, Instant::ZERO));
        world.judge = Some(Box::new(judge));
        for (a, b, ms) in &plan.delays {
            world.link(*a, *b, plan.link(*ms));
        }
        let dice = Dice::new(plan.seed.rotate_left(17) ^ 0xd1ce);
        Self { plan, world, dice, steps: 0, down: Vec::new() }
    }

    pub(super) fn run(mut self) -> Report {
        self.prepare();
        self.pass(WARM_UP);
        self.phase_1();
        self.mend();
        self.pass(RECOVERY);
        self.watch_calm();
        self.wind_up();
        self.report()
    }

    fn prepare(&mut self) {
        let relay = 1 + self.dice.below(self.world.routers() - 2);
        match self.plan.character {
            Character::Insider => self.world.turn_insider(relay),
            Character::Flood | Character::Replay => {
                let last = self.world.routers() - 1;
                self.world.catch(last, usize::try_from(DEEP).unwrap_or(0) + 500);
            }
            Character::Storm => self.world.catch(relay, 200),
            // Receipts that are not stored are not acknowledged, and so sent again and again.
            Character::Ledger => self.world.set_disk_broken(relay, true),
            Character::Death | Character::Equal | Character::Clocks => {}
        }
    }

    /// Lets time pass, with traffic.
    fn pass(&mut self, length: Duration) {
        let end = self.world.now() + length;
        while self.world.now() < end {
            self.steps += 1;
            self.send_both();
            self.world.run(PACKET_EVERY);
            if self.steps.is_multiple_of(LOOK_EVERY) {
                self.look();
            }
        }
    }

    fn ends(&self) -> (usize, usize) {
        (0, self.world.routers() - 1)
    }

    fn send_both(&mut self) {
        let (a, b) = self.ends();
        let len = self.plan.payload;
        self.send(a, b, len);
        self.send(b, a, len);
    }

    fn send(&mut self, from: usize, to: usize, len: usize) -> bool {
        let now = self.world.now();
        let payload = self.judge().host_sends(from, to, len, now);
        self.world.host_sends(from, to, &payload)
    }

    fn judge(&mut self) -> &mut Judge {
        self.world.judge.as_mut().expect("a seed is judged")
    }

    fn look(&mut self) {
        let Some(mut judge) = self.world.judge.take() else { return };
        judge.look(&self.world);
        self.world.judge = Some(judge);
    }

    fn phase_1(&mut self) {
        let start = self.world.now();
        let before = self.moves();
        let faults = std::mem::take(&mut self.plan.faults);
        for (at, fault) in faults {
            let wait = (start + at).since(self.world.now());
            self.pass(wait);
            self.strike(fault);
        }
        match self.plan.character {
            Character::Death => self.kill_active(),
            Character::Flood => self.flood(),
            Character::Replay => self.replay_deep(),
            Character::Insider => self.send_in_circles(),
            Character::Storm | Character::Equal | Character::Clocks | Character::Ledger => {}
        }
        let rest = (start + PHASE_1).since(self.world.now());
        self.pass(rest);
        self.check_phase_1(start, before);
    }

    fn moves(&mut self) -> u32 {
        let (a, b) = self.ends();
        self.judge().moves(a, b) + self.judge().moves(b, a)
    }

    fn check_phase_1(&mut self, start: Instant, before: u32) {
        let moved = self.moves() - before;
        match self.plan.character {
            Character::Equal if moved > 2 * MOVES_MAX => {
                let what = format!("{moved} moves of traffic between equal paths");
                self.accuse(Promise::Flapping, what);
            }
            Character::Ledger | Character::Flood | Character::Equal | Character::Replay => {
                let until = Instant::from_nanos(self.world.now().as_nanos() - 1_000_000_000);
                self.expect_arrivals(start, until);
            }
            _ => {}
        }
    }

    /// Everything that was sent between two moments must have come.
    fn expect_arrivals(&mut self, since: Instant, until: Instant) {
        let (a, b) = self.ends();
        for ends in [(a, b), (b, a)] {
            let (sent, arrived) = self.judge().arrived(ends, since, until);
            if sent == 0 || arrived < sent {
                let what = format!("{arrived} of {sent} packets {ends:?} arrived");
                self.accuse(Promise::Liveness, what);
            }
        }
    }

    fn accuse(&mut self, promise: Promise, what: String) {
        let now = self.world.now();
        self.judge().accuse(now, 0, promise, what);
    }

    // ---- what goes wrong -----------------------------------------

    fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Harm { from, to, loss, harm, jitter } => {
                self.world.change_link(from, to, |link| {
                    (link.loss_per_10k, link.harm, link.jitter) = (loss, harm, jitter);
                });
            }
            Fault::Cut { from, to, is_both } => {
                self.world.change_link(from, to, |link| link.up = false);
                if is_both {
                    self.world.change_link(to, from, |link| link.up = false);
                }
            }
            Fault::Partition { from, is_half } => self.partition(from, is_half),
            Fault::Kill(router, shift) => {
                if self.world.is_running(router) {
                    self.world.kill(router);
                    self.down.push((router, shift));
                }
            }
            Fault::Stall(router, length) => self.world.stall(router, length),
            Fault::Rebind(router) => self.world.rebind(router),
            Fault::Disk(router) => self.world.set_disk_broken(router, true),
            Fault::Away(router) => self.world.set_ledger_cut(router, true),
            Fault::Halt => self.world.bank.halted = true,
            Fault::Replay => {
                self.world.replay(Duration::from_millis(500));
            }
            Fault::Forge(router) => self.forge(router),
            Fault::Mend => self.mend(),
        }
    }

    fn partition(&mut self, from: usize, is_half: bool) {
        let routers = self.world.routers();
        for a in 0..from {
            for b in from..routers {
                self.world.change_link(b, a, |link| link.up = false);
                if !is_half {
                    self.world.change_link(a, b, |link| link.up = false);
                }
            }
        }
    }

    fn mend(&mut self) {
        let jitter = self.plan.jitter;
        for (a, b, _) in self.plan.delays.clone() {
            for (from, to) in [(a, b), (b, a)] {
                self.world.change_link(from, to, |link| {
                    (link.up, link.loss_per_10k) = (true, 0);
                    (link.harm, link.jitter) = (Harm::default(), jitter);
                });
            }
        }
        for (router, shift) in std::mem::take(&mut self.down) {
            self.world.start_again(router, shift);
            self.judge().tally.restarts += 1;
        }
        self.world.bank.halted = false;
        for router in 0..self.world.routers() {
            self.world.set_disk_broken(router, false);
            self.world.set_ledger_cut(router, false);
        }
    }

    /// Random octets, and what was caught with a bit of its header turned.
    fn forge(&mut self, router: usize) {
        let (to, at) = (router, Duration::from_millis(1));
        for number in 0..20 {
            let len = 1 + self.dice.below(300);
            let mut bytes = self.dice.octets(len);
            bytes[0] = [0x89, 0x99, 0xa1, 0x81][self.dice.below(4)];
            self.world.inject(to, stranger(number), bytes, (Taint::Forged, at));
        }
        let caught: Vec<_> = self.world.caught().iter().rev().take(20).cloned().collect();
        let to = self.world.caught_at();
        for one in caught {
            let mut bytes = one.bytes;
            let place = self.dice.below(bytes.len().min(24));
            bytes[place] ^= 1 << self.dice.below(8);
            self.world.inject(to, one.source, bytes, (Taint::Forged, at));
        }
    }

    fn flood(&mut self) {
        for _ in 0..3 {
            self.pass(Duration::from_secs(2));
            self.world.flood(400);
        }
    }

    /// More packets than a replay window holds, and then all of them again.
    fn replay_deep(&mut self) {
        let (a, b) = self.ends();
        for _ in 0..DEEP {
            self.send(a, b, 12);
            self.world.run(Duration::from_micros(400));
        }
        self.world.run(Duration::from_secs(1));
        self.world.replay(Duration::from_millis(400));
        self.world.run(Duration::from_secs(1));
    }

    /// An insider lists nodes twice, and a site's router lets its host send as another.
    fn send_in_circles(&mut self) {
        let routers = self.world.routers();
        let end = |router| Sid::new(number(router), EndpointBehavior::End).bits();
        let dt46 = |router| Sid::new(number(router), EndpointBehavior::EndDt46).bits();
        for _ in 0..40 {
            let [first, a, b] = [0; 3].map(|_| self.dice.below(routers));
            for list in [vec![dt46(a), end(b), end(b)], vec![dt46(b), end(a), end(b)]] {
                self.world.insider_lists(number(first), &list);
            }
            self.pass(Duration::from_millis(50));
        }
        let mut roster = self.world.roster().clone();
        roster.seq += 1;
        roster.members[0].prefixes = vec!["10.0.0.0/8".parse().expect("a prefix")];
        self.world.give_roster(0, &roster);
        let last = routers - 1;
        for _ in 0..40 {
            let packet = packet::udp(host(routers), host(last), &[0; 40]);
            self.world.host_hands_in(0, &packet);
            self.pass(Duration::from_millis(50));
        }
    }

    /// The first relay of the path in use dies; two seconds later traffic must flow.
    fn kill_active(&mut self) {
        let (a, b) = self.ends();
        let view = self.world.view(a);
        let paths = view.endpoints.iter().filter_map(|e| e.engaged.as_ref());
        let relay = paths.flat_map(|engaged| engaged.relays().first().copied()).next();
        let Some(relay) = relay.and_then(|n| usize::try_from(n.get()).ok()) else { return };
        self.pass(Duration::from_secs(3));
        self.world.kill(relay - 1);
        self.down.push((relay - 1, 0));
        let since = self.world.now() + FAILOVER_MAX;
        self.pass(FAILOVER_MAX + Duration::from_secs(4));
        let until = Instant::from_nanos(self.world.now().as_nanos().saturating_sub(ns(LATE)));
        self.judge().tally.measured_failovers += 1;
        for ends in [(a, b), (b, a)] {
            let (sent, arrived) = self.judge().arrived(ends, since, until);
            if arrived < sent {
                let what = format!("{arrived} of {sent} packets {ends:?} came 2 s after a death");
                self.accuse(Promise::Failover, what);
            }
        }
    }

    // ---- phase 2 -----------------------------------------

    fn watch_calm(&mut self) {
        let start = self.world.now();
        self.pass(CALM);
        self.world.run(LATE);
        self.expect_arrivals(start, start + CALM);
        for router in 0..self.world.routers() {
            let view = self.world.view(router);
            let up = view.peers.iter().filter(|peer| peer.is_up).count();
            let known = view.matrix.known();
            let all = self.world.routers() - 1;
            if up < all || known < all * (all + 1) {
                let what = format!("r{router}: {up} of {all} peers, {known} cells in the end");
                self.accuse(Promise::Liveness, what);
            }
        }
    }

    fn wind_up(&mut self) {
        for router in 0..self.world.routers() {
            let now = self.world.local_now(router);
            self.world.router(router).drain(now);
        }
        self.world.run(WINDING_UP);
        self.look();
        for router in 0..self.world.routers() {
            let view = self.world.view(router);
            let open = |lane: &&srwan_node::pay::payee::ServedView| {
                lane.receipt.min(lane.delivered) > lane.settled
            };
            let open: Vec<_> = view.served.iter().filter(open).cloned().collect();
            if let Some(lane) = open.first() {
                let what = format!("r{router} has unsettled evidence in the end: {lane:?}");
                self.accuse(Promise::Liveness, what);
            }
        }
    }

    fn report(mut self) -> Report {
        let (settled, ups) = (self.world.bank.settled, self.world.sessions_regained());
        let judge = self.judge();
        (judge.tally.settled, judge.tally.recoveries) = (settled, ups);
        let (tally, violations) = (judge.tally, judge.violations().to_vec());
        Report {
            seed: self.plan.seed,
            character: self.plan.character,
            audit: self.world.audit.hash(),
            events: self.world.audit.events(),
            tally,
            violations,
        }
    }
}

fn ns(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
