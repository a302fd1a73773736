//! Runs a command with a limit of time, with its output shown as it comes.

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a running command is looked at: short against any step, long against a look's cost.
const LOOK: Duration = Duration::from_millis(50);

/// How long a command may take to clean up after it was asked to end.
const GRACE: Duration = Duration::from_secs(20);

/// Runs `command` to its end.
///
/// **Errors:** it cannot be started, it fails, or it is not done within `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = show(command);
    let child = start(command)?;
    judge(&shown, wait(child, limit, &shown)?)
}

/// Runs `command` to its end, and leaves it to the caller what its exit status means.
///
/// **Errors:** it cannot be started, or it is not done within `limit`.
pub fn status_of(command: &mut Command, limit: Duration) -> Result<ExitStatus> {
    let shown = show(command);
    let child = start(command)?;
    wait(child, limit, &shown)
}

/// Runs `command` to its end, and hands each line of its standard output to `see` after printing it.
///
/// **Errors:** as [`run`].
pub fn run_seen(
    command: &mut Command,
    limit: Duration,
    see: impl FnMut(&str) + Send,
) -> Result<()> {
    let shown = show(command);
    let mut child = start(command.stdout(Stdio::piped()))?;
    let output = child.stdout.take().context("the output is piped")?;
    let status = thread::scope(|scope| {
        scope.spawn(|| pass_on(output, see));
        wait(child, limit, &shown)
    })?;
    judge(&shown, status)
}

fn show(command: &Command) -> String {
    let words = command.get_args().map(|word| word.to_string_lossy());
    let program = command.get_program().to_string_lossy();
    let shown = std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ");
    println!("$ {shown}");
    shown
}

/// Away from a terminal the command leads a group of its own, so that a time-out ends its children too; at a terminal
/// it stays in ours, so that Ctrl-C reaches them.
fn start(command: &mut Command) -> Result<Child> {
    if !std::io::stdin().is_terminal() {
        command.process_group(0);
    }
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).spawn().with_context(|| format!("starting {name}"))
}

fn pass_on(output: impl Read, mut see: impl FnMut(&str)) {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        see(text.trim_end());
        line.clear();
    }
}

fn wait(mut child: Child, limit: Duration, shown: &str) -> Result<ExitStatus> {
    if let Some(status) = wait_until(&mut child, Instant::now() + limit)? {
        return Ok(status);
    }
    signal(&child, "TERM");
    if wait_until(&mut child, Instant::now() + GRACE)?.is_none() {
        signal(&child, "KILL");
        child.kill()?;
        child.wait()?;
    }
    bail!("`{shown}` was not done after {} s", limit.as_secs())
}

fn wait_until(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(LOOK);
    }
    Ok(None)
}

fn signal(child: &Child, name: &str) {
    let group = !std::io::stdin().is_terminal();
    let target = if group { format!("-{}", child.id()) } else { child.id().to_string() };
    let told = Command::new("kill").args(["-s", name, "--", &target]).status();
    if let Err(error) = told {
        eprintln!("could not signal {target}: {error}");
    }
}

fn judge(shown: &str, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_ended_with_its_children() {
        let start = Instant::now();
        let mut hanging = Command::new("sh");
        hanging.args(["-c", "sleep 600 & wait"]);
        let error = run(&mut hanging, Duration::from_millis(200)).unwrap_err();
        assert!(error.to_string().contains("was not done"), "{error}");
        assert!(start.elapsed() < GRACE);
    }

    #[test]
    fn lines_are_seen_and_a_failure_is_told() {
        let mut seen = Vec::new();
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo one; echo two; exit 3"]);
        let result = run_seen(&mut failing, GRACE, |line| seen.push(line.to_owned()));
        assert!(result.unwrap_err().to_string().contains("exit status: 3"));
        assert_eq!(seen, ["one", "two"]);
    }
}
