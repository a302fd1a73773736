//! CPU time and memory of processes with their children, and CPU time of the machine, as the kernel counts them.

use std::fs;

use anyhow::{Context, Result};

/// User and system time that these processes and their children have used, in seconds; ended ones count nothing.
pub fn seconds_of(processes: &[i32]) -> f64 {
    family(processes).into_iter().filter_map(seconds).sum()
}

/// Sum of the largest resident sizes that these processes and their children ever had.
pub fn peak_mib(processes: &[i32]) -> f64 {
    family(processes).into_iter().filter_map(peak_kib).sum::<f64>() / 1_024.0
}

/// Time that all cores of the machine have not been idle, in seconds.
pub fn machine_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let line = stat.lines().next().context("/proc/stat is empty")?;
    let fields = line.split_whitespace().skip(1).filter_map(|field| field.parse::<f64>().ok());
    // user, nice, system, idle, iowait, irq, softirq; the time of guests is in user already.
    let busy = fields.take(7).enumerate().filter(|(place, _)| ![3, 4].contains(place));
    Ok(busy.map(|(_, ticks)| ticks).sum::<f64>() / TICKS_PER_SECOND)
}

fn family(processes: &[i32]) -> Vec<i32> {
    let mut all = processes.to_vec();
    let mut next = 0;
    while let Some(process) = all.get(next).copied() {
        all.extend(children(process));
        next += 1;
    }
    all
}

fn children(process: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let numbers = |list: String| -> Vec<i32> {
        list.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    };
    lists.flat_map(numbers).collect()
}

fn seconds(process: i32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold spaces; the fields after it do not. State is field 3, utime 14, stime 15.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

fn peak_kib(process: i32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// `USER_HZ`: 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
