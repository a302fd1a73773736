//! The world in which strategies are played, and the figures that come of it.
//!
//! Five sites are 200 ms apart. Over relay 5, which cheats, it takes 60 ms; over relay 6 it takes 72, over relay 7 it
//! takes 90. Everybody is honest for half a minute, then the strategy is played for a minute and a half.

use super::{Behaviour, Desk, Reporting, Strategy};
use crate::builder::number;
use crate::judge::Judge;
use crate::net::Link;
use crate::world::{World, WorldConfig};
use srwan_node::NodeEvent;
use srwan_wire::id::{NodeId, Octets};
use srwan_wire::receipt::{DeliveryBody, ReceiptBody, Signed};
use srwan_wire::roster::Member;
use srwan_wire::time::Instant;
use std::time::Duration;

const SITES: usize = 5;
const CHEAT: usize = 5;
const RIVAL: usize = 6;
const ROUTERS: u8 = 8;

const HONEST_FOR: Duration = Duration::from_secs(30);
const PLAYED_FOR: Duration = Duration::from_secs(90);
const WINDING_UP: Duration = Duration::from_secs(25);

/// Between two packets of each pair of sites that talks.
const PACKET_EVERY: Duration = Duration::from_millis(20);
const PAYLOAD: usize = 800;

/// The most that a payer who stops signing may gain: what two payees of each of its lanes let a stranger have, and the
/// receipts that it signed ahead. **Units:** base; 4 MiB a lane at 10 base an octet.
const STRANGER_MAX: i64 = 4 * (4 << 20) * 10;

/// What came of a strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// Which.
    pub strategy: Strategy,
    /// From the first false step to the quarantine.
    pub quarantined_after: Option<Duration>,
    /// From the first false step until traffic first left a path over the cheat.
    pub left_after: Option<Duration>,
    /// Honest routers that were quarantined.
    pub false_quarantines: usize,
    /// Coins of who cheats, beyond what they have without it. **Units:** base.
    pub profit: i64,
    /// Packets of all hosts that arrived while it was played, of 1,000.
    pub arrived_permille: u32,
    /// What else is worth knowing.
    pub note: String,
}

impl Played {
    /// Whether nobody honest was quarantined and nobody who cheated gained more than is bounded.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        let allowed = if self.strategy == Strategy::StopSigning { STRANGER_MAX } else { 0 };
        self.false_quarantines == 0 && self.profit <= allowed
    }
}

/// Plays every strategy.
#[must_use]
pub fn play_all(seed: u64) -> Vec<Played> {
    let mut stages: Vec<Stage> = Vec::new();
    for strategy in Strategy::ALL {
        let mut stage = Stage::new(*strategy, seed);
        stage.run();
        stages.push(stage);
    }
    let honest = stages.first().map(Stage::coins).unwrap_or_default();
    stages.iter().map(|stage| stage.played(&honest)).collect()
}

/// Plays one strategy, and nobody's for comparison.
#[must_use]
pub fn play(strategy: Strategy, seed: u64) -> Played {
    let mut honest = Stage::new(Strategy::Honest, seed);
    honest.run();
    let mut stage = Stage::new(strategy, seed);
    stage.run();
    stage.played(&honest.coins())
}

impl Strategy {
    /// The router that cheats, if it is one.
    fn cheat(self) -> Option<usize> {
        match self {
            Self::Honest | Self::Sybil | Self::ControllerPartition | Self::ControllerVictim => None,
            Self::ForgeMatrix | Self::OmitRow | Self::StopSigning => Some(0),
            Self::DropHalf
            | Self::DropAll
            | Self::Delay
            | Self::ClockShift
            | Self::ClockEquivocation
            | Self::Inflate => Some(CHEAT),
        }
    }
}

/// One world, played.
struct Stage {
    strategy: Strategy,
    world: World,
    desk: Desk,
    began: Instant,
    quarantined: Option<Instant>,
    note: String,
}

impl Stage {
    fn new(strategy: Strategy, seed: u64) -> Self {
        let sites = (0..SITES).collect();
        let config = WorldConfig { sites, ..WorldConfig::new(ROUTERS) };
        let mut world = World::new(&config, seed);
        world.judge = Some(Box::default());
        let routers = usize::from(ROUTERS);
        for a in 0..routers {
            for b in a + 1..routers {
                world.link(a, b, Link::with_owd_ms(delay_ms(a, b)));
            }
        }
        let desk = Desk::new(&mut world);
        let began = Instant::ZERO + HONEST_FOR;
        Self { strategy, world, desk, began, quarantined: None, note: String::new() }
    }

    fn run(&mut self) {
        self.pass(HONEST_FOR);
        self.begin();
        self.pass(PLAYED_FOR);
        self.finish();
    }

    fn pass(&mut self, length: Duration) {
        let end = self.world.now() + length;
        let mut steps = 0_u32;
        while self.world.now() < end {
            (0..SITES).for_each(|from| {
                self.send(from, (from + 1) % SITES);
                self.send(from, (from + 2) % SITES);
            });
            self.world.run(PACKET_EVERY);
            steps += 1;
            if steps.is_multiple_of(50) {
                self.round();
            }
        }
    }

    fn round(&mut self) {
        if self.strategy != Strategy::ControllerPartition
            && self.strategy != Strategy::ControllerVictim
        {
            self.desk.round(&mut self.world);
        }
        if self.strategy == Strategy::Inflate && self.world.now() >= self.began {
            self.inflate();
        }
        let cheat = self.strategy.cheat();
        let is_out = cheat.is_some_and(|one| self.desk.is_quarantined(one, &self.world));
        let is_new = self.quarantined.is_none() && is_out;
        self.quarantined = self.quarantined.or(is_new.then(|| self.world.now()));
    }

    fn send(&mut self, from: usize, to: usize) {
        let now = self.world.now();
        let payload = self.judge().host_sends(from, to, PAYLOAD, now);
        self.world.host_sends(from, to, &payload);
    }

    fn judge(&mut self) -> &mut Judge {
        self.world.judge.as_mut().expect("the stage has a judge")
    }

    /// The first false step.
    fn begin(&mut self) {
        let mut behaviour = Behaviour::new(CHEAT);
        match self.strategy {
            Strategy::Honest | Strategy::Inflate | Strategy::Sybil => return,
            Strategy::DropHalf => behaviour.drops_data_per_10k = 5_000,
            Strategy::DropAll => behaviour.drops_data_per_10k = 10_000,
            Strategy::Delay => behaviour.holds = Duration::from_millis(40),
            Strategy::ClockShift => {
                self.world.kill(CHEAT);
                self.world.start_again(CHEAT, 3_600_000_000_000);
            }
            Strategy::ClockEquivocation => {
                let some = (0..usize::from(ROUTERS)).step_by(2);
                behaviour.early_from = some.map(|n| (n, Duration::from_millis(25))).collect();
            }
            Strategy::StopSigning => {
                behaviour.router = 0;
                behaviour.mutes_receipts = true;
            }
            Strategy::ForgeMatrix => self.desk.reporting = Reporting::Forges,
            Strategy::OmitRow => self.desk.reporting = Reporting::Omits(number(RIVAL)),
            Strategy::ControllerPartition => self.partition(),
            Strategy::ControllerVictim => self.list_victim(),
        }
        self.world.behaviour = Some(behaviour);
    }

    /// Tickets for ten times as many octets as the payer's receipt says, with the endpoint's word made up; this shell
    /// does not wait until one would settle.
    fn inflate(&mut self) {
        for mut evidence in self.world.shell(CHEAT).disk.owed() {
            let ReceiptBody { chain, lane, path, octets, .. } = evidence.receipt.body;
            let octets = Octets(octets.0.saturating_mul(10));
            let body = DeliveryBody { chain, lane, path, octets };
            evidence.delivery = Some(Signed::new(body, self.world.account_secret(CHEAT)));
            self.world.bank.hand_in(CHEAT, &evidence);
        }
    }

    fn partition(&mut self) {
        let mut roster = self.world.view_roster();
        roster.seq += 1_000;
        for half in [[0, 1, 5].as_slice(), &[2, 3, 4, 6, 7]] {
            let mut part = roster.clone();
            part.members.retain(|member| half.iter().any(|router| number(*router) == member.node));
            half.iter().for_each(|router| self.world.give_roster(*router, &part));
        }
    }

    fn list_victim(&mut self) {
        let mut roster = self.world.view_roster();
        roster.seq += 1_000;
        let victim = roster.members.last().map(|last| Member {
            node: NodeId::new(99).expect("99 is a number"),
            node_key: srwan_wire::id::NodeKey([3; 32]),
            endpoints: vec![crate::attack::stranger(1)],
            prefixes: Vec::new(),
            name: "victim".to_owned(),
            ..last.clone()
        });
        roster.members.extend(victim);
        (0..usize::from(ROUTERS)).for_each(|router| self.world.give_roster(router, &roster));
    }

    fn finish(&mut self) {
        let victims = self.judge().octets_to_strangers();
        for router in 0..usize::from(ROUTERS) {
            let now = self.world.local_now(router);
            self.world.router(router).drain(now);
        }
        self.world.run(WINDING_UP);
        let (strikes, of) = self.desk.strikes(CHEAT, &self.world);
        let refused = self.world.bank.refused;
        self.note = match self.strategy {
            Strategy::ControllerVictim => {
                format!("{victims} octets to the victim from 8 routers in 90 s")
            }
            Strategy::Inflate => format!("{refused} tickets refused"),
            Strategy::ForgeMatrix => format!("{} forged rows refused", self.desk.refused),
            Strategy::OmitRow => format!("{} rows taken in all", self.desk.rows_taken),
            _ => format!("{strikes} of {of} comparisons against it"),
        };
    }

    /// Coins of every router, with what is in its escrow. **Units:** base.
    fn coins(&self) -> Vec<i64> {
        let one = |router| {
            let account = self.world.account(router);
            let state = self.world.bank.state();
            let coins = state.account(&account).balance.base() + state.escrow(&account).free.base();
            i64::try_from(coins).unwrap_or(i64::MAX)
        };
        (0..usize::from(ROUTERS)).map(one).collect()
    }

    fn played(&self, honest: &[i64]) -> Played {
        let coins = self.coins();
        let gain = |router: usize| coins[router] - honest.get(router).copied().unwrap_or(0);
        let endowment = i64::try_from(crate::bank::ENDOWMENT).unwrap_or(i64::MAX);
        let profit = match self.strategy {
            Strategy::StopSigning | Strategy::ForgeMatrix | Strategy::OmitRow => gain(0),
            Strategy::Sybil => coins.iter().map(|coins| coins - endowment).sum(),
            Strategy::ControllerPartition | Strategy::ControllerVictim => 0,
            _ => gain(CHEAT),
        };
        let is_cheat = |router: usize| self.strategy.cheat() == Some(router);
        let all = 0..usize::from(ROUTERS);
        let wrongly =
            all.filter(|r| !is_cheat(*r) && self.desk.is_quarantined(*r, &self.world)).count();
        let since = |at: Instant| at.since(self.began);
        Played {
            strategy: self.strategy,
            quarantined_after: self.quarantined.map(since),
            left_after: self.first_left().map(since),
            false_quarantines: wrongly,
            profit,
            arrived_permille: self.arrived_permille(),
            note: self.note.clone(),
        }
    }

    fn first_left(&self) -> Option<Instant> {
        let left = |event: &NodeEvent| match event {
            NodeEvent::PathChanged(change) => {
                change.from.as_ref().is_some_and(|from| from.contains(&number(CHEAT)))
            }
            _ => false,
        };
        let played = self.began..self.began + PLAYED_FOR;
        let found = self.world.log.iter().filter(|logged| played.contains(&logged.at));
        found.filter(|logged| left(&logged.event)).map(|logged| logged.at).next()
    }

    fn arrived_permille(&self) -> u32 {
        let Some(judge) = &self.world.judge else { return 0 };
        let (mut sent, mut arrived) = (0, 0);
        for from in 0..SITES {
            for to in [(from + 1) % SITES, (from + 2) % SITES] {
                let (s, a) = judge.arrived((from, to), self.began, self.began + PLAYED_FOR);
                (sent, arrived) = (sent + s, arrived + a);
            }
        }
        u32::try_from((arrived * 1_000).checked_div(sent).unwrap_or(0)).unwrap_or(0)
    }
}

/// One-way delays: sites are far from one another and near to relays.
fn delay_ms(a: usize, b: usize) -> u64 {
    match (a.min(b), a.max(b)) {
        (_, b) if b < SITES => 200,
        (a, 5) if a < SITES => 30,
        (a, 6) if a < SITES => 36,
        (a, 7) if a < SITES => 45,
        (_, _) => 30,
    }
}
