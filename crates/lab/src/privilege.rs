//! Rights to make namespaces: root has them, others get them in a user namespace where the system allows.

use std::fs;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid};

use crate::place::ProcessId;
use crate::problem::{Code, Problem};

/// How this process may make namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    Root,
    /// Root inside a user namespace of its own.
    UserNamespace,
}

/// Gets the rights; must run before the process has a second thread.
///
/// **Errors** with [`Code::NotPermitted`] and the one command that helps.
pub fn acquire() -> Result<Privilege> {
    if may_administer() {
        return Ok(Privilege::Root);
    }
    let (user, group) = (geteuid(), getegid());
    let flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
    unshare(flags).map_err(|error| not_permitted(&error.to_string()))?;
    fs::write("/proc/self/setgroups", "deny").context("cannot set up the user namespace")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1")).context("cannot map the user")?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1")).context("cannot map the group")?;
    if fs::File::options().read(true).write(true).open("/dev/net/tun").is_err() {
        return Err(not_permitted("/dev/net/tun cannot be opened").into());
    }
    Ok(Privilege::UserNamespace)
}

/// Joins the user and mount namespace of a lab that has its own.
pub fn join(inside: ProcessId) -> Result<()> {
    for (name, flag) in [("user", CloneFlags::CLONE_NEWUSER), ("mnt", CloneFlags::CLONE_NEWNS)] {
        let file = fs::File::open(format!("/proc/{}/ns/{name}", inside.pid))?;
        setns(file, flag).with_context(|| format!("cannot join the lab's {name} namespace"))?;
    }
    Ok(())
}

/// Root of a container may lack the right; the kernel tells.
pub fn may_administer() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let needed = 1 << CAP_NET_ADMIN | 1 << CAP_SYS_ADMIN;
    bits & needed == needed
}

fn not_permitted(why: &str) -> Problem {
    Problem {
        code: Code::NotPermitted,
        what: "the lab may not make network namespaces".to_owned(),
        why: format!("not root, and user namespaces do not help here: {why}"),
        fix: "sudo srwan lab up".to_owned(),
    }
}

/// Bits of linux/capability.h.
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
