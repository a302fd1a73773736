//! What the kernel says of processes and folders, and medians.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};

/// Resident memory of a process; 0 if it is gone. **Units:** 10^6 octets.
pub fn resident_mb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024 / 1_000_000
}

/// Processor time that a process has used, in user and kernel mode. **Units:** seconds.
///
/// **Source:** proc_pid_stat(5), fields 14 and 15.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name stands in parentheses and may hold anything.
    let fields = stat.rsplit_once(')').context("a stat has a name")?.1;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| -> Result<u64> { Ok(fields.get(at).context("a field")?.parse()?) };
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the clock has a rate")?;
    Ok((ticks(11)? + ticks(12)?) as f64 / per_second as f64)
}

/// Octets that the files below a folder take on disk.
pub fn disk_octets(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => disk_octets(&entry.path()),
        // Source: stat(2), st_blocks counts units of 512 octets.
        Ok(data) => data.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// The middle of some figures; not a number if there are none.
pub fn median(figures: &mut [f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The figure that a share of them does not exceed; not a number if there are none.
pub fn quantile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    figures.get((share * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_figures_that_were_seen() {
        let mut figures = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(median(&mut figures), 3.0);
        assert_eq!(quantile(&mut figures, 1.0), 5.0);
        assert_eq!(quantile(&mut figures, 0.0), 1.0);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn the_kernel_knows_this_process() {
        let own = std::process::id();
        assert!(resident_mb(own) > 0);
        assert!(cpu_seconds(own).is_ok());
    }
}
