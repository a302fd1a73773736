//! `srwan bench ledger`: validators under load beside the bare engine, one core, memory, catching up.
//!
//! Everything runs as separate processes of this program on loopback, one part after the other, and needs no root.
//! Processor time is shared with the load itself, which is one thread of this process; tickets are signed before
//! the clock runs.

mod catch_up;
mod ceiling;
mod cluster;
mod core;
pub mod empty;
mod load;
mod machine;
mod tickets;
mod weight;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use srwan_ledger::genesis::Params;
use srwan_ledger::tx::size_octets;
use srwan_wire::id::{ChainId, Height};

use load::Pace;
use tickets::Market;

/// What to measure.
#[derive(Clone, Debug, Args)]
pub struct LedgerArgs {
    /// How many validators run together, one figure after the other
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [1, 4],
          value_parser = clap::value_parser!(u8).range(1..=7))]
    validators: Vec<u8>,
    /// Seconds of each load
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Accounts that pay a lane each
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u16).range(200..=2_000))]
    payers: u16,
    /// Least milliseconds between two blocks; the product's own unless given
    #[arg(long, default_value_t = 200)]
    block_ms: u32,
    /// Accounts of the large ledger
    #[arg(long, default_value_t = 1_000_000)]
    accounts: u32,
    /// Also: let four validators make so many blocks, wipe one, and wait until it has caught up
    #[arg(long, value_name = "BLOCKS")]
    catch_up: Option<u64>,
    /// Only that which --catch-up names
    #[arg(long, requires = "catch_up")]
    only_catch_up: bool,
    /// Directory for states and logs; by default one that is removed at the end
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub ticket: Reference,
    pub core: Vec<core::Core>,
    pub weight: Option<weight::Weight>,
    pub committees: Vec<Committee>,
    pub catch_up: Option<catch_up::CaughtUp>,
}

/// The ticket that everything is counted in.
#[derive(Clone, Debug, Serialize)]
pub struct Reference {
    /// Of the signed transaction.
    pub octets: usize,
    /// The transaction's own, the receipt's and the delivery's.
    pub signatures: u32,
    /// Opening a lane, one ticket for 1 GB, and closing it, as a share of what 1 GB costs. **Units:** per cent.
    pub fees_percent_of_1_gb: f64,
}

/// One number of validators.
#[derive(Clone, Debug, Serialize)]
pub struct Committee {
    pub validators: u8,
    /// The engine by itself.
    pub engine: Vec<ceiling::Ceiling>,
    pub ledger: Vec<cluster::Loaded>,
}

/// What all parts are told.
#[derive(Clone, Copy, Debug)]
struct Plan {
    block_ms: u32,
    idle_block_ms: u32,
    payers: usize,
    seconds: f64,
    ticket_octets: usize,
}

impl Plan {
    fn paces(&self) -> [Pace; 3] {
        [Pace::PerSecond(LIGHT), Pace::PerSecond(AIM), Pace::InFlight(IN_FLIGHT)]
    }

    fn tickets_of_a_flood(&self) -> usize {
        (FLOOD * self.seconds) as usize
    }

    fn ticket_octets(&self) -> usize {
        self.ticket_octets
    }
}

/// Measures what `args` ask for; `say` is told what is going on.
///
/// # Errors
/// A part could not be set up, or what it did was wrong: then there is no figure.
pub fn run(args: &LedgerArgs, say: &dyn Fn(&str)) -> Result<Report> {
    let folder = args.dir.clone().unwrap_or_else(own_folder);
    srwan_lab::cluster::make_folder(&folder)?;
    let report = measure(args, &folder, say);
    if args.dir.is_none() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} stays", folder.display()))?;
    }
    report
}

fn measure(args: &LedgerArgs, folder: &Path, say: &dyn Fn(&str)) -> Result<Report> {
    let ticket = reference();
    let plan = Plan {
        block_ms: args.block_ms,
        idle_block_ms: IDLE_BLOCK_MS.max(args.block_ms),
        payers: args.payers.into(),
        seconds: args.seconds,
        ticket_octets: ticket.octets,
    };
    let mut report = Report {
        schema: "srwan.bench-ledger/1",
        ticket,
        core: Vec::new(),
        weight: None,
        committees: Vec::new(),
        catch_up: None,
    };
    if !args.only_catch_up {
        measure_all(args, &plan, folder, &mut report, say)?;
    }
    if let Some(blocks) = args.catch_up {
        say(&format!("four validators make {blocks} blocks, then one is wiped"));
        report.catch_up = Some(catch_up::measure(&plan, blocks, &folder.join("catch-up"))?);
    }
    Ok(report)
}

fn measure_all(
    args: &LedgerArgs,
    plan: &Plan,
    folder: &Path,
    report: &mut Report,
    say: &dyn Fn(&str),
) -> Result<()> {
    // First, as long as this process has nothing to hide a state's weight in.
    for accounts in [SMALL, args.accounts] {
        say(&format!("one core, accounts: {accounts}"));
        report.core.push(core::measure(accounts)?);
    }
    for validators in args.validators.iter().copied() {
        say(&format!("the engine alone, validators: {validators}"));
        let engine =
            ceiling::measure(plan, validators, &folder.join(format!("engine-{validators}")))?;
        say(&format!("the ledger, validators: {validators}"));
        let place = folder.join(format!("ledger-{validators}"));
        let ledger = cluster::measure(plan, validators, &place)?;
        report.committees.push(Committee { validators, engine, ledger });
    }
    say(&format!("a validator with {} accounts", args.accounts));
    report.weight = Some(weight::measure(args.accounts, &folder.join("weight"))?);
    Ok(())
}

/// The ticket of the measurements, and what 1 GB costs in fees.
fn reference() -> Reference {
    let fees = Params::DEFAULT.fees;
    let mut market = Market::new(ChainId([1; 32]), fees, 200, Height(0));
    let opening = market.open();
    let ticket = market.tickets(1).remove(0);
    // A lane is closed by a transaction that is smaller than the one that opened it.
    let paid = 2 * opening[1].body.fee.base() + ticket.body.fee.base();
    Reference {
        octets: usize::try_from(size_octets(&ticket)).unwrap_or(usize::MAX),
        signatures: 3,
        fees_percent_of_1_gb: 100.0 * paid as f64 / GB_BASE as f64,
    }
}

/// To a hundredth: more digits are noise.
fn milliseconds(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

fn own_folder() -> PathBuf {
    std::env::temp_dir().join(format!("srwan-bench-{}", std::process::id()))
}

impl Report {
    /// Tables for people.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "a ticket: {} octets, {} signatures; fees of opening, 1 GB and closing: {:.3} %",
            self.ticket.octets, self.ticket.signatures, self.ticket.fees_percent_of_1_gb
        )];
        self.committees.iter().for_each(|committee| committee.tell(&mut lines));
        self.core.iter().for_each(|core| lines.push(core.text()));
        lines.extend(self.weight.as_ref().map(weight::Weight::text));
        lines.extend(self.catch_up.as_ref().map(catch_up::CaughtUp::text));
        lines.join("\n")
    }
}

impl Committee {
    fn tell(&self, lines: &mut Vec<String>) {
        lines.push(format!("\nvalidators: {}", self.validators));
        lines.push(ENGINE_HEAD.into());
        lines.extend(self.engine.iter().map(ceiling::Ceiling::text));
        lines.push(LEDGER_HEAD.into());
        lines.extend(self.ledger.iter().map(cluster::Loaded::text));
        if let (Some(ceiling), Some(flood)) = (self.engine.last(), self.ledger.last()) {
            let share = 100.0 * flood.settled_per_second / ceiling.tickets_per_second;
            lines.push(format!("the ledger settles {share:.1} % of what the engine alone carries"));
        }
    }
}

const ENGINE_HEAD: &str =
    "  engine alone: pause ms    blocks/s  tickets' octets/s as tickets   finality p50   p99 ms";
const LEDGER_HEAD: &str =
    "  ledger: offered/s   settled/s  per block   finality p50   p99 ms  CPU us/ticket  MB  octets";

/// A ledger that is busy with other things.
const LIGHT: f64 = 500.0;
/// What four validators should settle on two cores.
const AIM: f64 = 5_000.0;
/// Tickets on their way when as many are handed in as become final: two full blocks.
const IN_FLIGHT: u64 = 3_000;
/// Tickets of a flood for each second that it should last.
const FLOOD: f64 = 6_000.0;
/// The product's own.
const IDLE_BLOCK_MS: u32 = 2_000;
/// A small ledger.
const SMALL: u32 = 1_000;
/// 10 coins. **Source:** the reference price.
const GB_BASE: u64 = 10_000_000_000;
