//! `srwan doctor`: each check says `ok`, or what is wrong, why, and what to do. Nothing is changed on the host.
//!
//! Checks run one by one, by name; each is independent of whether a router runs.

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use srwan_api::router::HealthItem;
use tokio::net::TcpStream;

use crate::config::Config;
use crate::fault::Fault;
use crate::kernel::route::interface_index;
use crate::kernel::sysctl;
use crate::nft;
use crate::xdp;

/// Without it nothing on the host can be changed.
pub const NO_NET_ADMIN: &str = "SRW-D001";
/// No /dev/net/tun.
pub const NO_TUN: &str = "SRW-D002";
/// No nf_tables.
pub const NO_NFTABLES: &str = "SRW-D003";
/// The UDP port is taken.
pub const PORT: &str = "SRW-D004";
/// The host's clock is not disciplined though the configuration says so.
pub const CLOCK: &str = "SRW-D005";
/// The controller does not accept a connection.
pub const CONTROLLER: &str = "SRW-D006";
/// The ledger does not accept a connection.
pub const LEDGER: &str = "SRW-D007";
/// Reverse-path filtering is strict.
pub const REVERSE_PATH: &str = "SRW-D008";
/// The state directory cannot be used.
pub const STATE_DIR: &str = "SRW-D009";
/// The XDP relay that the configuration asks for cannot run.
pub const XDP: &str = "SRW-D010";
/// An SR domain is configured that this host cannot be a part of.
pub const SRV6: &str = "SRW-D011";

/// How long a connection may take before a service counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the check, as given to `srwan doctor CHECK`.
    pub check: &'static str,
    /// `None` = ok.
    pub fault: Option<Fault>,
}

/// Checks this host, and with a configuration also what it names; only what is wrong is returned.
///
/// # Errors
/// The configuration cannot be used.
pub fn doctor(config_path: Option<&Path>) -> anyhow::Result<Vec<HealthItem>> {
    let config = config_path.map(Config::load).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the async runtime")?;
    let findings = runtime.block_on(run(config.as_ref(), None));
    Ok(findings.into_iter().filter_map(|finding| finding.fault).map(HealthItem::from).collect())
}

/// Runs all checks, or only the one called `only`. Without a configuration only the host is looked at.
pub async fn run(config: Option<&Config>, only: Option<&str>) -> Vec<Finding> {
    let wanted = |check: &str| only.is_none_or(|only| only == check);
    let mut findings = Vec::new();
    let mut add = |check, fault| findings.push(Finding { check, fault });
    for (check, look) in HOST_CHECKS.iter().filter(|(check, _)| wanted(check)) {
        add(check, look());
    }
    let Some(config) = config else { return findings };
    for (check, look) in CONFIG_CHECKS.iter().filter(|(check, _)| wanted(check)) {
        add(check, look(config));
    }
    if wanted("controller") {
        add("controller", reach(CONTROLLER, "controller", &config.controller.url).await);
    }
    if let Some(ledger) = config.ledger.as_ref().filter(|_| wanted("ledger")) {
        for url in &ledger.urls {
            add("ledger", reach(LEDGER, "ledger", url).await);
        }
    }
    findings
}

type HostCheck = (&'static str, fn() -> Option<Fault>);
type ConfigCheck = (&'static str, fn(&Config) -> Option<Fault>);

const HOST_CHECKS: [HostCheck; 4] =
    [("permission", permission), ("tun", tun), ("filter", filter), ("reverse-path", reverse_path)];

const CONFIG_CHECKS: [ConfigCheck; 5] =
    [("port", port), ("clock", clock), ("state", state_dir), ("xdp", relay), ("srv6", srv6)];

/// `CAP_NET_ADMIN`. Source: include/uapi/linux/capability.h.
const CAP_NET_ADMIN_BIT: u32 = 12;

fn permission() -> Option<Fault> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(0);
    (bits >> CAP_NET_ADMIN_BIT & 1 == 0).then(|| {
        Fault::new(
            NO_NET_ADMIN,
            "this user may not change the network",
            "CAP_NET_ADMIN is not among the effective capabilities",
            "run as root, or: setcap cap_net_admin+ep srwan",
        )
    })
}

fn tun() -> Option<Fault> {
    let opened = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    opened.err().map(|error| {
        Fault::new(
            NO_TUN,
            "/dev/net/tun cannot be opened",
            error.to_string(),
            "modprobe tun; in a container, pass --device /dev/net/tun",
        )
    })
}

fn filter() -> Option<Fault> {
    nft::is_installed().err().map(|error| {
        Fault::new(
            NO_NFTABLES,
            "the kernel's packet filter cannot be asked",
            error.to_string(),
            "modprobe -a nf_tables nft_ct nft_masq nf_nat, and run as root",
        )
    })
}

fn port(config: &Config) -> Option<Fault> {
    let taken = std::net::UdpSocket::bind(config.listen).err()?;
    // A running router holds its own port: that is as it should be.
    let is_own =
        std::os::unix::net::UnixStream::connect(config.state_dir.join("router.sock")).is_ok();
    (!is_own).then(|| {
        Fault::new(
            PORT,
            format!("UDP {} cannot be used", config.listen),
            taken.to_string(),
            format!("find who has it: ss -ulpn sport = :{}", config.listen.port()),
        )
    })
}

fn clock(config: &Config) -> Option<Fault> {
    if !config.clock.synchronised || is_clock_disciplined().unwrap_or(true) {
        return None;
    }
    Some(Fault::new(
        CLOCK,
        "the host's clock is not synchronised, though [clock] synchronised = true",
        "the kernel reports STA_UNSYNC: no time service disciplines it, so shown delays are off",
        "apt install chrony, or set [clock] synchronised = false (path choice does not need it)",
    ))
}

fn is_clock_disciplined() -> io::Result<bool> {
    // SAFETY: `timex` is plain data for which all zeroes is a valid value: modes 0 only reads.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `state` is a live, exclusive timex.
    let code = unsafe { libc::adjtimex(&raw mut state) };
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(state.status & libc::STA_UNSYNC == 0)
}

fn reverse_path() -> Option<Fault> {
    let value = sysctl::read("ipv4/conf/all/rp_filter").ok()?;
    (value == "1").then(|| {
        Fault::new(
            REVERSE_PATH,
            "reverse-path filtering is strict",
            "a flow that leaves by the tunnel and returns by the default path would be dropped",
            "a running router sets it to loose (2); by hand: sysctl net.ipv4.conf.all.rp_filter=2",
        )
    })
}

fn state_dir(config: &Config) -> Option<Fault> {
    let metadata = match std::fs::metadata(&config.state_dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(state_fault(config, error.to_string())),
    };
    let writable = nix::unistd::access(&config.state_dir, nix::unistd::AccessFlags::W_OK);
    match (metadata.is_dir(), writable) {
        (false, _) => Some(state_fault(config, "it is no directory".into())),
        (true, Err(error)) => Some(state_fault(config, error.to_string())),
        (true, Ok(())) => None,
    }
}

fn state_fault(config: &Config, why: String) -> Fault {
    let what = format!("the state directory {} cannot be used", config.state_dir.display());
    Fault::new(STATE_DIR, what, why, "give a directory of its own to the user that runs srwan")
}

fn relay(config: &Config) -> Option<Fault> {
    xdp::examine(config).map(|fault| Fault { code: XDP, ..fault })
}

/// A misspelled interface faces nobody: every packet for a SID would be dropped, and nothing else would say so.
fn srv6(config: &Config) -> Option<Fault> {
    let srv6 = config.srv6.as_ref()?;
    let fault = |why: String, fix: &str| {
        let what = "this host cannot be part of the SR domain of [srv6]";
        Some(Fault::new(SRV6, what, why, fix))
    };
    if sysctl::read("ipv6/conf/all/seg6_enabled").is_err() {
        let why = "the kernel has no /proc/sys/net/ipv6/conf/all/seg6_enabled".to_owned();
        return fault(why, "it needs IPv6 and CONFIG_IPV6_SEG6_LWTUNNEL; or: srv6.mode = \"off\"");
    }
    let is_missing = |name: &&String| interface_index(name).is_err();
    let missing = srv6.interfaces.iter().find(is_missing)?;
    let why = format!("there is no interface {missing}, which is to face the domain");
    fault(why, "correct srv6.interfaces; `ip link` lists what there is")
}

async fn reach(code: &'static str, who: &str, url: &str) -> Option<Fault> {
    let authority = url.trim_start_matches("http://");
    let authority =
        if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let why = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&authority)).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
    };
    Some(Fault::new(
        code,
        format!("the {who} at {url} cannot be reached"),
        why,
        format!("check [{who}] url, and that the {who} runs; the router goes on without it"),
    ))
}
