//! `lab up`: raise, tell the story, take down or leave.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};

use crate::cli::UpArgs;
use crate::interrupt::stop_on_signals;
use crate::lab::{Lab, Options};
use crate::place::Place;
use crate::plan::Plan;
use crate::privilege::{self, Privilege};
use crate::scenario::Scenario;
use crate::story::{self, Telling};

use super::scenario_text;

/// Runs a scenario; the exit code says how it ended.
pub fn up(args: UpArgs, daemons: Option<PathBuf>) -> Result<i32> {
    let (name, text) = match &args.topo {
        Some(file) => (file.display().to_string(), read(file)?),
        None => (args.scenario.clone(), scenario_text(&args.scenario)?),
    };
    let scenario = Scenario::parse(&text).with_context(|| name)?;
    let privilege = privilege::acquire()?;
    let stop = stop_on_signals()?;
    let id = args.lab.id.clone().unwrap_or_else(|| scenario.name.clone());
    let place = Place::new(id, privilege == Privilege::UserNamespace);
    let options = Options {
        lab_program: std::env::current_exe().context("this program has no file")?,
        daemon_program: if args.plain { None } else { daemons },
        keep: args.keep,
        keep_logs: args.keep_logs,
        stop: Box::new(move || stop.load(Ordering::Relaxed)),
    };
    eprintln!("starting lab {} ({} machines)", place.id(), scenario.nodes.len());
    let mut lab = Lab::raise(place, Plan::new(scenario), &text, options)?;
    tell_portals(&lab);
    let ending = story::tell(&mut lab, Telling { json: args.json, keep: args.keep })?;
    finish(lab, &args)?;
    eprintln!("{}", ending.sentence());
    Ok(ending.exit_code())
}

fn finish(lab: Lab, args: &UpArgs) -> Result<()> {
    if args.keep && !lab.interrupted() {
        let place = lab.leave();
        eprintln!("the lab goes on; end it with: srwan lab down --id {}", place.id());
        return Ok(());
    }
    let folder = lab.place().folder().to_owned();
    lab.down()?;
    if args.keep_logs {
        eprintln!("logs are in {}", folder.display());
    }
    Ok(())
}

fn tell_portals(lab: &Lab) {
    for (router, url) in lab.portals().into_iter().take(1) {
        eprintln!("portal of {router}: {url}");
    }
}

fn read(file: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
