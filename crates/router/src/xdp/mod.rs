//! The XDP relay: paid packets that this router only sends on leave from the driver and never reach it.
//!
//! ```text
//!  packet_loop: node.poll_fib_change --> FastPath::follow --> queue --> thread: Table --> maps <-- program
//!               node (lanes) <---------------------- shared memory ------------------------------> program
//! ```
//!
//! [`program`] is the program in the kernel, [`value`] and [`memory`] what both sides see, [`table`] the copy of the
//! FIB. The thread speaks netlink, which may wait for a lock of the kernel's; the packet loop never waits for it.
//! If any of it fails the router relays in user space, as it does without, and says why. docs/design/005-xdp-relay.md.

pub mod memory;
pub mod program;
pub mod table;
pub mod value;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use srwan_dataplane::{FastPathMemory, FibChange};
use srwan_node::Node;
use srwan_wire::id::NodeId;

use crate::config::{Config, XdpMode};
use crate::event_log::News;
use crate::fault::{self, Fault};
use crate::kernel::netdev::Drivers;
use crate::kernel::route::interface_index;
use crate::shared::Shared;
use program::{Me, Program, RELAY};
use table::{Place, Table};

/// Changes that may wait for the thread: a rekey of each of 1,000 neighbours at once. What does not fit stays in the
/// node, where changes of one key are one.
const CHANGES_MAX: usize = 4_096;

/// How often routes, neighbours and interfaces are looked at. That long may packets go to a MAC address that moved.
const REFRESH: Duration = Duration::from_secs(1);

/// The packet loop's end of a running fast path. Dropping it takes the program off all interfaces.
pub struct FastPath {
    changes: SyncSender<FibChange>,
    unsent: Option<FibChange>,
    memory: FastPathMemory,
}

impl FastPath {
    /// Loads and attaches the program and starts the thread that keeps it in step; `None` if the configuration wants
    /// none.
    ///
    /// # Errors
    /// `SRW-R022` with what is missing.
    pub fn start(shared: &Arc<Shared>, node: NodeId, port: u16) -> Result<Option<Self>, Fault> {
        let config = &shared.config;
        if config.xdp.mode == XdpMode::Off {
            return Ok(None);
        }
        let program = Program::load(RELAY, Me { node, port });
        let program = program.map_err(|error| load_fault(&error))?;
        let memory = program.memory();
        let table = attach(program, shared).and_then(|(program, place)| {
            Table::new(program, place, shared.clock).map_err(|error| thread_fault(&error))
        })?;
        let (changes, received) = sync_channel(CHANGES_MAX);
        let keeper = Keeper { table, shared: Arc::clone(shared) };
        std::thread::Builder::new()
            .name("srwan-xdp".into())
            .spawn(move || keeper.run(&received))
            .map_err(|error| thread_fault(&error))?;
        Ok(Some(Self { changes, unsent: None, memory }))
    }

    /// What the node is to share with the program.
    pub fn memory(&self) -> FastPathMemory {
        self.memory
    }

    /// Hands on what the node's FIB changed, as far as there is room.
    pub fn follow(&mut self, node: &mut Node) {
        while let Some(change) = self.unsent.take().or_else(|| node.poll_fib_change()) {
            match self.changes.try_send(change) {
                Ok(()) => {}
                Err(TrySendError::Full(change)) => {
                    self.unsent = Some(change);
                    return;
                }
                // The thread ends by itself only when it panicked, and then the program is gone, too.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }
}

fn attach(mut program: Program, shared: &Shared) -> Result<(Program, Place), Fault> {
    let xdp = &shared.config.xdp;
    let mut interfaces = Vec::new();
    for name in &xdp.interfaces {
        let index = interface_index(name).map_err(|error| attach_fault(name, &error.into()))?;
        program.attach(index).map_err(|error| attach_fault(name, &error))?;
        interfaces.push(index);
    }
    let names = xdp.interfaces.join(", ");
    shared.log.add(News::plain("xdp_attached", format!("XDP relays paid packets on {names}")));
    tracing::info!(interfaces = names, "XDP relay attached");
    let place = Place { interfaces, listen: shared.config.listen.ip() };
    Ok((program, place))
}

/// The thread that owns the program.
struct Keeper {
    table: Table,
    shared: Arc<Shared>,
}

impl Keeper {
    /// Follows the node until it is gone; then the program goes, too.
    fn run(mut self, changes: &Receiver<FibChange>) {
        let mut due = std::time::Instant::now();
        loop {
            match changes.recv_timeout(due.saturating_duration_since(std::time::Instant::now())) {
                Ok(change) => self.tell(change),
                Err(RecvTimeoutError::Timeout) => {
                    due = std::time::Instant::now() + REFRESH;
                    self.refresh();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn tell(&mut self, change: FibChange) {
        if let Err(error) = self.table.apply(change) {
            tracing::warn!(code = fault::XDP, %error, "a map of the XDP relay cannot be written");
        }
    }

    fn refresh(&mut self) {
        if let Err(error) = self.table.refresh() {
            tracing::warn!(code = fault::XDP, %error, "a map of the XDP relay cannot be written");
        }
        match self.table.useless().next() {
            Some(index) => self.shared.raise(useless_fault(index)),
            None => self.shared.clear(fault::XDP_TARGET),
        }
    }
}

/// What would keep the relay that `config` asks for from running; nothing is attached.
pub fn examine(config: &Config) -> Option<Fault> {
    if config.xdp.mode == XdpMode::Off {
        return None;
    }
    let missing = config.xdp.interfaces.iter().find_map(|name| look_at(name));
    missing.or_else(|| {
        let node = NodeId::new(1).expect("one is a node id");
        let loaded = Program::load(RELAY, Me { node, port: config.listen.port() });
        loaded.err().map(|error| load_fault(&error))
    })
}

fn look_at(name: &str) -> Option<Fault> {
    let index = match interface_index(name) {
        Ok(index) => index,
        Err(error) => return Some(attach_fault(name, &error.into())),
    };
    let features = Drivers::open().and_then(|mut drivers| drivers.features(index)).ok()?;
    let missing = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
    (!features.runs_programs()).then(|| attach_fault(name, &missing.into()))
}

fn load_fault(error: &anyhow::Error) -> Fault {
    Fault::new(
        fault::XDP,
        "the XDP relay cannot be loaded; the router relays in user space",
        in_short(&error.to_string()),
        "run as root or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, on Linux 5.15 or later for \
         x86-64 or arm64 with CONFIG_BPF_SYSCALL and CONFIG_BPF_JIT; or set [xdp] mode = \"off\"",
    )
}

/// The first line and the last ones: between them is the verifier's log of the whole program.
fn in_short(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    match lines.as_slice() {
        [first, .., a, b, c] if lines.len() > SHORT_LINES => [*first, "..", a, b, c].join("\n"),
        _ => text.to_owned(),
    }
}

/// More lines than that are a log.
const SHORT_LINES: usize = 8;

fn attach_fault(name: &str, error: &anyhow::Error) -> Fault {
    let code = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    let fix = match code {
        Some(libc::ENODEV) => "give names that `ip link` shows in [xdp] interfaces",
        Some(libc::EOPNOTSUPP) => "the driver has no native XDP: set [xdp] mode = \"off\"",
        Some(libc::EBUSY | libc::EEXIST) => "another XDP program is attached: see `ip link show`",
        Some(libc::ERANGE | libc::EINVAL) => "its MTU may be too large for XDP: 1500 always works",
        _ => "set [xdp] mode = \"off\" to do without",
    };
    Fault::new(
        fault::XDP,
        format!("the XDP relay cannot be attached to {name}; the router relays in user space"),
        format!("{error:#}"),
        fix,
    )
}

fn thread_fault(error: &io::Error) -> Fault {
    let what = "the XDP relay cannot be kept in step; the router relays in user space";
    Fault::new(fault::XDP, what, error.to_string(), "free memory or threads, or set mode = \"off\"")
}

fn useless_fault(index: u32) -> Fault {
    let name = nix::net::if_::if_indextoname(index)
        .map_or_else(|_| format!("interface {index}"), |name| name.to_string_lossy().into_owned());
    Fault::new(
        fault::XDP_TARGET,
        format!("{name} takes no frames from the XDP relay; the router sends them"),
        "its driver does not (or no longer) say NETDEV_XDP_ACT_NDO_XMIT",
        "on a veth: give its other end an XDP program; else remove it from [xdp] interfaces",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_first_line_and_the_last_three_are_shown() {
        let log: Vec<String> = (0..100).map(|line| format!("line {line}")).collect();
        assert_eq!(in_short(&log.join("\n")), "line 0\n..\nline 97\nline 98\nline 99");
        assert_eq!(in_short("one\ntwo"), "one\ntwo");
    }
}
