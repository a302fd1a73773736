//! `lab link`, `congest`, `fail`, `heal`: changes of links by hand.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::{CongestArgs, EndsArgs, LinkArgs, ShapeArgs};
use crate::fabric::control::{Client, Request};
use crate::plan::Plan;
use crate::scenario::{BitRate, Direction, Impairment, LinkChange, NodeName, Probability};

use super::{find, not_found};

pub fn link(args: &LinkArgs) -> Result<()> {
    let mut change = shape(&args.shape)?;
    change.owd = args.owd_ms.map(|ms| millis("--owd-ms", ms)).transpose()?;
    anyhow::ensure!(change != LinkChange::default(), "say what to change, for example --owd-ms 40");
    ask(&args.ends, |links| Request::Change { links, change })
}

pub fn congest(args: &CongestArgs) -> Result<()> {
    let add = args.add_ms.map(|ms| millis("--add-ms", ms)).transpose()?.unwrap_or_default();
    let fault = Impairment { add, change: shape(&args.shape)? };
    anyhow::ensure!(
        fault != Impairment::default(),
        "say what gets worse, for example --add-ms 150"
    );
    ask(&args.ends, |links| Request::Impair { links, fault })
}

pub fn fail(args: &EndsArgs) -> Result<()> {
    ask(args, |links| Request::Impair { links, fault: Impairment::blackhole() })
}

pub fn heal(args: &EndsArgs) -> Result<()> {
    ask(args, |links| Request::Heal { links })
}

fn ask(ends: &EndsArgs, request: impl FnOnce(Vec<Direction>) -> Request) -> Result<()> {
    let (place, plan) = find(&ends.lab)?;
    let links = directions(&plan, ends)?;
    let count = links.len();
    Client::connect(&place.fabric_socket())?.ask(&request(links))?;
    eprintln!("{count} link{} changed", if count == 1 { "" } else { "s" });
    Ok(())
}

/// One link in one or both directions, all links of a site, or all links.
fn directions(plan: &Plan, ends: &EndsArgs) -> Result<Vec<Direction>> {
    for end in [&ends.a, &ends.b].into_iter().flatten() {
        check_site(plan, end)?;
    }
    let sites: Vec<&NodeName> = plan.sites.iter().map(|site| &site.name).collect();
    let pairs = sites.iter().flat_map(|from| sites.iter().map(move |to| (*from, *to)));
    let wanted = pairs.filter(|(from, to)| from != to && is_meant(from, to, ends));
    Ok(wanted.map(|(from, to)| Direction { from: from.clone(), to: to.clone() }).collect())
}

fn is_meant(from: &NodeName, to: &NodeName, ends: &EndsArgs) -> bool {
    match (&ends.a, &ends.b) {
        (Some(a), Some(b)) => (from, to) == (a, b) || !ends.one_way && (to, from) == (a, b),
        (Some(a), None) => from == a || !ends.one_way && to == a,
        (None, _) => true,
    }
}

fn check_site(plan: &Plan, name: &NodeName) -> Result<()> {
    if plan.site(name).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = plan.sites.iter().map(|site| site.name.as_str()).collect();
    Err(not_found(&format!("no site is called `{name}`"), &names).into())
}

fn shape(args: &ShapeArgs) -> Result<LinkChange> {
    let chance = |what: &str, value: Option<f64>| {
        let checked = |value| {
            Probability::from_fraction(value).with_context(|| format!("{what}: between 0 and 1"))
        };
        value.map(checked).transpose()
    };
    let rate = |mbps| BitRate::from_mbps(mbps).context("--rate-mbps is not a rate");
    Ok(LinkChange {
        jitter: args.jitter_ms.map(|ms| millis("--jitter-ms", ms)).transpose()?,
        loss: chance("--loss", args.loss)?,
        rate: args.rate_mbps.map(rate).transpose()?,
        duplicate: chance("--duplicate", args.duplicate)?,
        reorder: chance("--reorder", args.reorder)?,
        corrupt: chance("--corrupt", args.corrupt)?,
        mtu: args.mtu,
        icmp: args.no_icmp.then_some(false),
        ..LinkChange::default()
    })
}

fn millis(what: &str, ms: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(ms / 1000.0).with_context(|| format!("{what} is not a time"))
}
