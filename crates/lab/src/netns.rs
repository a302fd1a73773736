//! Network namespaces without the `ip` program: made by unshare and a bind mount, entered by setns.
//!
//! A namespace belongs to a thread. So every visit happens on a thread of its own that ends with the visit,
//! and what is made there (sockets, TUN devices, child processes) stays usable outside.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::gettid;

/// Makes a namespace and binds it to a file, so that it lives without a process.
pub fn create(file: &Path) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let made = File::create_new(file).with_context(|| format!("cannot make {}", file.display()));
    made.and_then(|_| on_own_thread(|| bind_fresh(file))?)
}

/// Runs something inside a namespace and returns what it made.
pub fn within<T: Send>(file: &Path, visit: impl FnOnce() -> T + Send) -> Result<T> {
    let namespace =
        File::open(file).with_context(|| format!("no namespace at {}", file.display()))?;
    on_own_thread(|| {
        setns(&namespace, CloneFlags::CLONE_NEWNET).context("cannot enter the namespace")?;
        Ok(visit())
    })?
}

/// Moves the calling thread into a namespace for good; for a process that is about to exec.
pub fn enter(file: &Path) -> Result<()> {
    let namespace =
        File::open(file).with_context(|| format!("no namespace at {}", file.display()))?;
    setns(&namespace, CloneFlags::CLONE_NEWNET).context("cannot enter the namespace")
}

/// Unbinds a namespace and removes its file; all devices in it go with the last process. Idempotent.
pub fn remove(file: &Path) -> Result<()> {
    if !file.exists() {
        return Ok(());
    }
    // A file that was made but never bound is not a mount; removing it is all there is to do then.
    let _not_mounted = umount2(file, MntFlags::MNT_DETACH);
    fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))
}

/// The namespace files of one lab in a folder.
pub fn list(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    ours.map(|entry| entry.path()).collect()
}

fn bind_fresh(file: &Path) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
    let own = PathBuf::from(format!("/proc/self/task/{}/ns/net", gettid()));
    mount(Some(&own), file, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("cannot bind a namespace to {}", file.display()))
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    let done = thread::scope(|scope| scope.spawn(work).join());
    done.map_err(|_| anyhow::anyhow!("the thread inside the namespace panicked"))
}
