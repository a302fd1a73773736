//! The kernel switches a router needs, what they were before, and a file that remembers it across a kill.
//!
//! Forwarding is needed to deliver to a site and for egress; reverse-path filtering must be loose, because a flow may
//! leave by the tunnel and return by the default path. Both are put back at a clean end and by `host cleanup`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Where the kernel shows its switches, as seen from the network namespace of the calling thread.
const ROOT: &str = "/proc/sys/net";

/// The file in the state directory that remembers earlier values.
const MEMORY_FILE: &str = "host.json";

/// Switches of the host, by their path below `/proc/sys/net`, with the value they had before srwan.
pub struct Switches {
    memory: PathBuf,
    before: BTreeMap<String, String>,
}

impl Switches {
    /// Opens the memory in `state_dir`; what an earlier run remembered and never put back stays remembered.
    pub fn open(state_dir: &Path) -> Self {
        let memory = state_dir.join(MEMORY_FILE);
        let text = std::fs::read_to_string(&memory).unwrap_or_default();
        Self { memory, before: serde_json::from_str(&text).unwrap_or_default() }
    }

    /// Sets a switch and remembers what it was. A switch that already has the value is left alone.
    ///
    /// # Errors
    /// A read-only `/proc/sys` (some containers), or no permission.
    pub fn set(&mut self, name: &str, value: &str) -> io::Result<()> {
        let was = read(name)?;
        if was == value {
            return Ok(());
        }
        self.before.entry(name.to_owned()).or_insert(was);
        self.remember()?;
        std::fs::write(path(name), value)
    }

    /// Lets IPv4 packets pass through this host.
    ///
    /// # Errors
    /// As [`Switches::set`].
    pub fn forward_v4(&mut self) -> io::Result<()> {
        self.set("ipv4/ip_forward", "1")
    }

    /// Lets IPv6 packets pass through this host, which goes on accepting router advertisements where it did.
    ///
    /// # Errors
    /// As [`Switches::set`].
    pub fn forward_v6(&mut self) -> io::Result<()> {
        for interface in interfaces("ipv6")? {
            let switch = format!("ipv6/conf/{interface}/accept_ra");
            if read(&switch).is_ok_and(|value| value == "1") {
                self.set(&switch, "2")?;
            }
        }
        ignore_missing(self.set("ipv6/conf/all/forwarding", "1"))
    }

    /// Makes reverse-path filtering loose where it is strict: the kernel applies the larger of `all` and the interface.
    ///
    /// # Errors
    /// As [`Switches::set`].
    pub fn loosen_reverse_path(&mut self) -> io::Result<()> {
        if read("ipv4/conf/all/rp_filter")? == "1" || strict_interface()? {
            self.set("ipv4/conf/all/rp_filter", "2")?;
        }
        Ok(())
    }

    /// Puts every switch back to its value before srwan, and forgets.
    ///
    /// # Errors
    /// The first switch that could not be put back; the others are put back.
    pub fn restore(&mut self) -> io::Result<()> {
        let mut result = Ok(());
        for (name, value) in &self.before {
            result = result.and(ignore_missing(std::fs::write(path(name), value)));
        }
        self.before.clear();
        result.and(ignore_missing(std::fs::remove_file(&self.memory)))
    }

    /// Changed switches with their value before srwan.
    pub fn changed(&self) -> &BTreeMap<String, String> {
        &self.before
    }

    fn remember(&self) -> io::Result<()> {
        let text = serde_json::to_string(&self.before).map_err(io::Error::other)?;
        std::fs::write(&self.memory, text)
    }
}

/// Quietens a TUN interface: no reverse-path check of its own, no router solicitations, no link-local address.
///
/// These switches vanish with the interface, so that nothing needs to be remembered.
///
/// # Errors
/// As [`Switches::set`].
pub fn quieten(interface: &str) -> io::Result<()> {
    std::fs::write(path(&format!("ipv4/conf/{interface}/rp_filter")), "0")?;
    for (switch, value) in
        [("accept_ra", "0"), ("router_solicitations", "0"), ("addr_gen_mode", "1")]
    {
        ignore_missing(std::fs::write(path(&format!("ipv6/conf/{interface}/{switch}")), value))?;
    }
    Ok(())
}

/// The value of a switch.
///
/// # Errors
/// No such switch in this kernel.
pub fn read(name: &str) -> io::Result<String> {
    Ok(std::fs::read_to_string(path(name))?.trim().to_owned())
}

fn strict_interface() -> io::Result<bool> {
    let strict = |interface: &String| {
        read(&format!("ipv4/conf/{interface}/rp_filter")).is_ok_and(|value| value == "1")
    };
    Ok(interfaces("ipv4")?.iter().any(strict))
}

/// The interfaces that have switches of this family; none if the kernel lacks the family.
fn interfaces(family: &str) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(format!("{ROOT}/{family}/conf")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

/// A kernel without IPv6 lacks its switches; that is no reason to stop.
fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
