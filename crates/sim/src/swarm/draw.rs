//! The plan of a seed: everything that chance decides before the run begins.

use crate::clock::DRIFT_PPB_MAX;
use crate::net::{Harm, Link};
use crate::world::WorldConfig;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use srwan_node::KeyLife;
use srwan_wire::receipt::Price;
use std::time::Duration;

/// What a seed is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Character {
    /// Everything goes wrong at once; an outsider replays and makes up datagrams.
    Storm,
    /// The path in use dies on a clean network.
    Death,
    /// Two paths are equally good, with jitter.
    Equal,
    /// Wall clocks are set by hours and years.
    Clocks,
    /// The ledger is away.
    Ledger,
    /// Handshakes flood a router.
    Flood,
    /// Thousands of datagrams are replayed.
    Replay,
    /// A member sends paths that lead in circles, and packets from addresses that are not its own.
    Insider,
}

impl Character {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Storm,
        Self::Death,
        Self::Equal,
        Self::Clocks,
        Self::Ledger,
        Self::Flood,
        Self::Replay,
        Self::Insider,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Storm => "storm",
            Self::Death => "death",
            Self::Equal => "equal",
            Self::Clocks => "clocks",
            Self::Ledger => "ledger",
            Self::Flood => "flood",
            Self::Replay => "replay",
            Self::Insider => "insider",
        }
    }

    /// One of them: storms are half of all, since they have the most that can differ.
    fn draw(dice: &mut Dice) -> Self {
        if dice.one_in(2) {
            return Self::Storm;
        }
        Self::ALL[dice.below(Self::ALL.len())]
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A link does harm; the other direction as well or not.
    Harm {
        /// From.
        from: usize,
        /// To.
        to: usize,
        /// Loss per 10,000.
        loss: u32,
        /// The rest.
        harm: Harm,
        /// Variation of the delay.
        jitter: Duration,
    },
    /// A link carries nothing; the other direction as well or not.
    Cut {
        /// From.
        from: usize,
        /// To.
        to: usize,
        /// Whether in both directions.
        is_both: bool,
    },
    /// The routers below this index and those from it on do not reach each other.
    Partition {
        /// First router of the second part.
        from: usize,
        /// Whether the first part still reaches the second.
        is_half: bool,
    },
    /// A router is killed, to be started again later with a clock that is off by so many nanoseconds.
    Kill(usize, i64),
    /// A router stands still.
    Stall(usize, Duration),
    /// A NAT forgets a router.
    Rebind(usize),
    /// A router's disk takes nothing.
    Disk(usize),
    /// A router does not reach the ledger.
    Away(usize),
    /// No block is made.
    Halt,
    /// An outsider replays what it caught at a router.
    Replay,
    /// An outsider makes datagrams up.
    Forge(usize),
    /// Everything is mended that is not mended by itself.
    Mend,
}

/// The plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed it was drawn from.
    pub seed: u64,
    /// What it is about.
    pub character: Character,
    /// What the world starts from.
    pub world: WorldConfig,
    /// Delay of each link. **Units:** milliseconds.
    pub delays: Vec<(usize, usize, u64)>,
    /// Variation of every delay.
    pub jitter: Duration,
    /// What goes wrong, in order of time; from the start of phase 1.
    pub faults: Vec<(Duration, Fault)>,
    /// Octets of a packet's payload.
    pub payload: usize,
}

/// How long faults come and go.
pub const PHASE_1: Duration = Duration::from_secs(30);

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let character = Character::draw(&mut Dice::new(seed ^ CHARACTER_SALT));
        Self::draw_as(seed, character)
    }

    /// The plan of a seed with this character.
    #[must_use]
    pub fn draw_as(seed: u64, character: Character) -> Self {
        let mut dice = Dice::new(seed);
        let routers = 4 + dice.below(3);
        let world = world(&mut dice, routers, character);
        let delays = delays(&mut dice, routers, character);
        let jitter = match character {
            Character::Equal => Duration::from_millis(4 + dice.wide(6)),
            Character::Storm => Duration::from_millis(dice.wide(3)),
            _ => Duration::ZERO,
        };
        let faults = faults(&mut dice, routers, character);
        let payload = 40 + dice.below(1_100);
        Self { seed, character, world, delays, jitter, faults, payload }
    }

    /// The link between two routers while nothing is wrong with it.
    #[must_use]
    pub fn link(&self, ms: u64) -> Link {
        Link { jitter: self.jitter, ..Link::with_owd_ms(ms) }
    }
}

/// A minute: longer than a router is cut off from the ledger, and than it takes a payee to look again at a lane whose
/// payer started anew. The product's default is most of a day.
const CLAIM_WINDOW_BLOCKS: u64 = 300;

/// Keeps the draw of the character apart from that of the rest, so that it may be given.
const CHARACTER_SALT: u64 = 0x5157_4152_4d00_0001;

fn world(dice: &mut Dice, routers: usize, character: Character) -> WorldConfig {
    let mut config = WorldConfig::new(u8::try_from(routers).unwrap_or(u8::MAX));
    let is_free = dice.one_in(5) && matches!(character, Character::Storm | Character::Death);
    if is_free {
        config.price = Price(0);
    }
    let drift = |dice: &mut Dice| {
        let span = u64::try_from(2 * DRIFT_PPB_MAX + 1).unwrap_or(1);
        i64::try_from(dice.wide(span)).unwrap_or(0) - DRIFT_PPB_MAX
    };
    config.clock_drifts = (0..routers).map(|_| drift(dice)).collect();
    config.clock_offsets = (0..routers).map(|_| clock_shift(dice)).collect();
    let seconds = match character {
        Character::Flood => 4 + dice.wide(4),
        Character::Storm if dice.one_in(2) => 5 + dice.wide(60),
        _ => 120,
    };
    config.claim_window_blocks = CLAIM_WINDOW_BLOCKS;
    config.key_life = KeyLife::new(Duration::from_secs(seconds)).unwrap_or_default();
    config
}

/// Hours, or now and then years. **Units:** nanoseconds.
fn clock_shift(dice: &mut Dice) -> i64 {
    let hour = 3_600_000_000_000_i64;
    let hours = i64::try_from(dice.wide(9)).unwrap_or(0) - 4;
    if dice.one_in(6) { hours * hour * 24 * 200 } else { hours * hour }
}

/// The first and the last router are sites; the way over others is usually faster than the direct one.
fn delays(dice: &mut Dice, routers: usize, character: Character) -> Vec<(usize, usize, u64)> {
    let last = routers - 1;
    let mut delays = Vec::new();
    for a in 0..routers {
        for b in a + 1..routers {
            let ms = match (a, b) {
                (0, b) if b == last && dice.one_in(4) && character == Character::Storm => 60,
                (0, b) if b == last => 150 + dice.wide(100),
                (_, _) if character == Character::Equal => 30,
                _ => 15 + dice.wide(45),
            };
            delays.push((a, b, ms));
        }
    }
    delays
}

fn faults(dice: &mut Dice, routers: usize, character: Character) -> Vec<(Duration, Fault)> {
    let at = |dice: &mut Dice| {
        let millis = u64::try_from(PHASE_1.as_millis()).unwrap_or(1) * 4 / 5;
        Duration::from_millis(dice.wide(millis))
    };
    let mut faults = Vec::new();
    match character {
        Character::Storm => {
            for _ in 0..6 + dice.below(14) {
                faults.push((at(dice), storm_fault(dice, routers)));
            }
            for _ in 0..dice.below(3) {
                faults.push((at(dice), Fault::Mend));
            }
        }
        Character::Clocks => {
            let relay = 1 + dice.below(routers - 2);
            faults.push((at(dice), Fault::Kill(relay, clock_shift(dice))));
        }
        Character::Ledger => {
            let router = dice.below(routers);
            let fault = if dice.one_in(2) { Fault::Halt } else { Fault::Away(router) };
            faults.push((at(dice) / 4, fault));
        }
        Character::Death
        | Character::Equal
        | Character::Flood
        | Character::Replay
        | Character::Insider => {}
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn storm_fault(dice: &mut Dice, routers: usize) -> Fault {
    let from = dice.below(routers);
    let to = (from + 1 + dice.below(routers - 1)) % routers;
    let some = |dice: &mut Dice, most: u64| u32::try_from(dice.wide(most)).unwrap_or(0);
    match dice.below(14) {
        0..=3 => Fault::Harm {
            from,
            to,
            loss: some(dice, 3_000),
            harm: Harm {
                twice_per_10k: some(dice, 5_000),
                late_per_10k: some(dice, 3_000),
                changed_per_10k: some(dice, 500),
                cut_per_10k: some(dice, 200),
            },
            jitter: Duration::from_millis(dice.wide(30)),
        },
        4 | 5 => Fault::Cut { from, to, is_both: dice.one_in(2) },
        6 => Fault::Partition { from: 1 + dice.below(routers - 1), is_half: dice.one_in(2) },
        7 => Fault::Kill(from, clock_shift(dice)),
        8 => Fault::Stall(from, Duration::from_millis(100 + dice.wide(4_900))),
        9 => Fault::Rebind(from),
        10 => Fault::Disk(from),
        11 => Fault::Away(from),
        12 => Fault::Replay,
        _ => Fault::Forge(from),
    }
}

/// Draws of a plan.
pub struct Dice(ChaCha20Rng);

impl Dice {
    /// The dice of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// A number below `most`.
    pub fn wide(&mut self, most: u64) -> u64 {
        self.0.next_u64() % most.max(1)
    }

    /// An index below `most`.
    pub fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        usize::try_from(self.wide(most)).unwrap_or(0)
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.wide(times) == 0
    }

    /// Octets.
    pub fn octets(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
