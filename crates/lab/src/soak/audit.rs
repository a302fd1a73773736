//! The audit beside a soak: a program that reads the validators' RPC and knows nothing else.
//!
//! It is given `--follow`, a file for its own record, the genesis file, and the URLs. It goes on until its standard
//! input ends, then looks at everything a last time, prints one line, and exits 0 only if all was right.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A running audit.
pub struct Audit {
    child: Child,
    output: PathBuf,
}

impl Audit {
    /// Starts `program` on the validators at `urls`.
    pub fn start(program: &Path, urls: &[String], folder: &Path) -> Result<Self> {
        let output = folder.join("audit.log");
        let log = File::create(&output).context("cannot write audit.log")?;
        let mut command = Command::new(program);
        command.args(["--follow", "--record"]).arg(folder.join("audit.jsonl"));
        command.arg("--genesis").arg(folder.join("genesis.toml")).args(urls);
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self { child, output })
    }

    /// **Errors:** it ended early, which it does when something is wrong.
    pub fn check_alive(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        anyhow::ensure!(ended.is_none(), "the audit says: {}", self.last_line());
        Ok(())
    }

    /// Lets it look a last time; returns what it says.
    pub fn finish(mut self) -> Result<String> {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + LAST_LOOK_MAX;
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "the audit says: {}", self.last_line());
                return Ok(self.last_line());
            }
            anyhow::ensure!(Instant::now() < deadline, "the audit does not end");
            thread::sleep(POLL);
        }
    }

    fn last_line(&self) -> String {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        text.lines().last().unwrap_or("nothing").to_owned()
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        // Without its standard input it ends by itself; this is for one that hangs.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// It reads every block of every validator once more.
const LAST_LOOK_MAX: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(100);
