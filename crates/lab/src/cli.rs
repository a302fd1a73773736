//! The verbs of `srwan lab`, for the program's command line.
//!
//! [`LabCommand`] is mounted by the binary; [`run`] does it and returns the process's exit code. It must be
//! called before the process has a second thread: without root the lab enters a user namespace.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::forward::Door;
use crate::scenario::NodeName;
use crate::verbs;

/// A whole SR-WAN on this machine.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Start a lab, run its scenario, and say what came of it.
    Up(UpArgs),
    /// End a lab and remove everything that it made.
    Down(DownArgs),
    /// Show a running lab: machines, processes, portals.
    Status(ReadArgs),
    /// Show the links of a running lab as they are.
    Graph(ReadArgs),
    /// Change a link of a running lab.
    Link(LinkArgs),
    /// Make a link worse until it heals.
    Congest(CongestArgs),
    /// Let a link carry nothing until it heals.
    Fail(EndsArgs),
    /// Take faults off a link, or off all.
    Heal(EndsArgs),
    /// Run a command on a machine of the lab.
    Exec(ExecArgs),
    /// Write the packets of a machine's interface to a pcap file.
    Capture(CaptureArgs),
    /// Capture at all routers and judge the packets by the rules of segment routing.
    Inspect(InspectArgs),
    /// Check a scenario file, or list the scenarios that come with the program.
    Scenario(ScenarioArgs),
    /// Kill validators of a ledger under load, again and again, and check that nothing final is lost.
    Soak(SoakArgs),
    /// Become a command inside a namespace.
    #[command(hide = true)]
    Enter(EnterArgs),
    /// Be the Internet of a lab.
    #[command(hide = true)]
    Fabric(FabricArgs),
    /// Serve the lab's web pages.
    #[command(hide = true)]
    ServeHttp(ServeArgs),
    /// Transfer bytes and tell how it goes.
    #[command(hide = true)]
    Fetch(FetchArgs),
    /// Send packets of every kind and check what comes back.
    #[command(hide = true)]
    Variety(VarietyArgs),
    /// Check packets of every kind and send them back.
    #[command(hide = true)]
    ServeVariety(ServeVarietyArgs),
    /// Lead ports of this machine to the lab's portals.
    #[command(hide = true)]
    Forward(ForwardArgs),
}

/// Which lab.
#[derive(Clone, Debug, Default, Args)]
pub struct LabId {
    /// Name of the lab; by default the scenario's, or the only lab that runs
    #[arg(long, value_parser = name)]
    pub id: Option<NodeName>,
}

#[derive(Clone, Debug, Default, Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub lab: LabId,
    /// Scenario that comes with the program
    #[arg(long, default_value = "small", conflicts_with = "topo")]
    pub scenario: String,
    /// Scenario file (docs/testing.md)
    #[arg(long)]
    pub topo: Option<PathBuf>,
    /// Leave the lab running after the story
    #[arg(long)]
    pub keep: bool,
    /// Leave the daemons' logs
    #[arg(long)]
    pub keep_logs: bool,
    /// Machines and links only: no routers, controller or ledger
    #[arg(long)]
    pub plain: bool,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, Args)]
pub struct DownArgs {
    #[command(flatten)]
    pub lab: LabId,
    /// Leave the daemons' logs
    #[arg(long)]
    pub keep_logs: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ReadArgs {
    #[command(flatten)]
    pub lab: LabId,
    #[arg(long)]
    pub json: bool,
}

/// The ends of a link.
#[derive(Clone, Debug, Args)]
pub struct EndsArgs {
    #[command(flatten)]
    pub lab: LabId,
    /// Site at one end
    #[arg(value_parser = name)]
    pub a: Option<NodeName>,
    /// Site at the other end; without it, all links of the first
    #[arg(value_parser = name)]
    pub b: Option<NodeName>,
    /// Only from the first to the second
    #[arg(long)]
    pub one_way: bool,
}

/// Figures of a link.
#[derive(Clone, Debug, Default, Args)]
pub struct ShapeArgs {
    /// Mean of varying delay, milliseconds
    #[arg(long)]
    pub jitter_ms: Option<f64>,
    /// Share of packets lost, 0 to 1
    #[arg(long)]
    pub loss: Option<f64>,
    /// Rate, Mbit/s
    #[arg(long)]
    pub rate_mbps: Option<f64>,
    /// Share of packets doubled, 0 to 1
    #[arg(long)]
    pub duplicate: Option<f64>,
    /// Share of packets held back so that others overtake, 0 to 1
    #[arg(long)]
    pub reorder: Option<f64>,
    /// Share of packets with a bit flipped, 0 to 1
    #[arg(long)]
    pub corrupt: Option<f64>,
    /// Largest packet, bytes
    #[arg(long)]
    pub mtu: Option<u16>,
    /// Larger packets are lost without an ICMP message
    #[arg(long)]
    pub no_icmp: bool,
}

#[derive(Clone, Debug, Args)]
pub struct LinkArgs {
    #[command(flatten)]
    pub ends: EndsArgs,
    /// One-way delay, milliseconds
    #[arg(long)]
    pub owd_ms: Option<f64>,
    #[command(flatten)]
    pub shape: ShapeArgs,
}

#[derive(Clone, Debug, Args)]
pub struct CongestArgs {
    #[command(flatten)]
    pub ends: EndsArgs,
    /// Added one-way delay, milliseconds
    #[arg(long)]
    pub add_ms: Option<f64>,
    #[command(flatten)]
    pub shape: ShapeArgs,
}

#[derive(Clone, Debug, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    pub lab: LabId,
    /// Machine
    #[arg(value_parser = name)]
    pub node: NodeName,
    /// Command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub struct CaptureArgs {
    #[command(flatten)]
    pub lab: LabId,
    /// Machine
    #[arg(value_parser = name)]
    pub node: NodeName,
    /// Interface
    #[arg(long, default_value = crate::fabric::INTERFACE)]
    pub interface: String,
    /// How long
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Pcap file to write
    #[arg(long)]
    pub out: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    pub lab: LabId,
    /// How long
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, Args)]
pub struct SoakArgs {
    /// Validators, each a process of its own on loopback
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub validators: u8,
    /// How often validators are killed and started again
    #[arg(long, default_value_t = 300)]
    pub cycles: u32,
    /// Decides who is killed when, and the load
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Accounts that send transactions and pay lanes
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(3..=100))]
    pub payers: u8,
    /// Directory for keys, states and logs; by default one that is removed if all went well
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Program that audits the validators over their RPC, given their URLs (docs/testing.md)
    #[arg(long)]
    pub audit: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct ScenarioArgs {
    pub verb: ScenarioVerb,
    /// File, or name of a scenario that comes with the program
    pub scenario: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioVerb {
    /// Names of the scenarios that come with the program
    List,
    /// Print one
    Show,
    /// Check one
    Check,
}

#[derive(Clone, Debug, Args)]
pub struct EnterArgs {
    #[arg(long)]
    pub netns: Option<PathBuf>,
    /// End when this parent ends
    #[arg(long)]
    pub with_parent: Option<i32>,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub struct FabricArgs {
    #[arg(long)]
    pub config: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    #[arg(long)]
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, Args)]
pub struct FetchArgs {
    pub server: SocketAddr,
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    #[arg(long)]
    pub mbps: Option<f64>,
    #[arg(long)]
    pub bytes: Option<u64>,
    #[arg(long)]
    pub upload: bool,
    /// Time between two lines, milliseconds
    #[arg(long, default_value_t = 200)]
    pub interval_ms: u64,
}

#[derive(Clone, Debug, Args)]
pub struct VarietyArgs {
    /// Own address and the server's, separated by a comma; once for each family
    #[arg(long, required = true, value_name = "SOURCE,TARGET", value_parser = pair)]
    pub pair: Vec<(IpAddr, IpAddr)>,
    /// MTU of the own link
    #[arg(long, default_value_t = 1500)]
    pub mtu: u16,
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
}

#[derive(Clone, Debug, Args)]
pub struct ServeVarietyArgs {
    #[arg(required = true)]
    pub addresses: Vec<IpAddr>,
}

#[derive(Clone, Debug, Args)]
pub struct ForwardArgs {
    #[arg(required = true)]
    pub doors: Vec<Door>,
}

/// Does a verb with this program as its daemons too; returns the exit code.
pub fn run(command: LabCommand) -> i32 {
    let program = std::env::current_exe().ok();
    run_with(command, program)
}

/// Does a verb with another program's daemons, or with none.
pub fn run_with(command: LabCommand, daemons: Option<PathBuf>) -> i32 {
    verbs::run(command, daemons)
}

fn pair(text: &str) -> Result<(IpAddr, IpAddr), String> {
    let (source, target) = text.split_once(',').ok_or("SOURCE,TARGET")?;
    let address = |text: &str| text.parse().map_err(|_| format!("{text} is no address"));
    Ok((address(source)?, address(target)?))
}

fn name(text: &str) -> Result<NodeName, String> {
    NodeName::new(text).map_err(|error| error.to_string())
}
