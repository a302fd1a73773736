//! What the verbs do; the words are in `cli`.

mod change;
mod inspect;
mod show;
mod up;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::{
    CaptureArgs, DownArgs, EnterArgs, ExecArgs, FetchArgs, LabCommand, LabId, ScenarioArgs,
    ScenarioVerb, VarietyArgs,
};
use crate::place::Place;
use crate::plan::Plan;
use crate::problem::{Code, Problem};
use crate::scenario::{BitRate, Scenario, ScenarioError};
use crate::variety::{client, server};
use crate::{capture, fabric, fetch, forward, lab, privilege, process, soak, web};

/// Does a verb; prints what went wrong; returns the exit code of the product's house rules.
pub fn run(command: LabCommand, daemons: Option<PathBuf>) -> i32 {
    match dispatch(command, daemons) {
        Ok(code) => code,
        Err(error) => {
            let problem = problem_of(&error);
            match &problem {
                Some(problem) => eprintln!("{problem}"),
                None => eprintln!("error: {error:#}"),
            }
            problem.map_or(1, |problem| problem.code.exit_code())
        }
    }
}

fn dispatch(command: LabCommand, daemons: Option<PathBuf>) -> Result<i32> {
    match command {
        LabCommand::Up(args) => up::up(args, daemons),
        LabCommand::Down(args) => down(&args).map(|()| 0),
        LabCommand::Status(args) => show::status(&args).map(|()| 0),
        LabCommand::Graph(args) => show::graph(&args).map(|()| 0),
        LabCommand::Link(args) => change::link(&args).map(|()| 0),
        LabCommand::Congest(args) => change::congest(&args).map(|()| 0),
        LabCommand::Fail(args) => change::fail(&args).map(|()| 0),
        LabCommand::Heal(args) => change::heal(&args).map(|()| 0),
        LabCommand::Exec(args) => exec(&args),
        LabCommand::Capture(args) => capture(&args).map(|()| 0),
        LabCommand::Inspect(args) => inspect::inspect_lab(&args).map(|clean| i32::from(!clean)),
        LabCommand::Scenario(args) => scenario(&args).map(|()| 0),
        LabCommand::Soak(args) => {
            let program = daemons.context("this program has no daemons: use srwan lab soak")?;
            soak::run(&args, &program)
        }
        LabCommand::Enter(args) => enter(&args),
        LabCommand::Fabric(args) => fabric::run(&args.config).map(|()| 0),
        LabCommand::ServeHttp(args) => web::serve(args.listen).map(|()| 0),
        LabCommand::Fetch(args) => fetch(&args),
        LabCommand::Variety(args) => variety(args).map(|()| 0),
        LabCommand::ServeVariety(args) => server::serve(&args.addresses).map(|()| 0),
        LabCommand::Forward(args) => forward::run(&args.doors).map(|()| 0),
    }
}

/// A problem somewhere in the chain of causes; a mistake in a scenario file is one.
fn problem_of(error: &anyhow::Error) -> Option<Problem> {
    let stated = error.chain().find_map(|cause| cause.downcast_ref::<Problem>()).cloned();
    let written = error.chain().find_map(|cause| cause.downcast_ref::<ScenarioError>());
    stated.or_else(|| written.map(|mistake| bad_scenario(error, mistake)))
}

fn bad_scenario(error: &anyhow::Error, mistake: &ScenarioError) -> Problem {
    let line = mistake.line.map_or(String::new(), |line| format!(":{line}"));
    Problem {
        code: Code::BadScenario,
        what: format!("{}{line}", error),
        why: mistake.what.clone(),
        fix: mistake.fix.clone().unwrap_or_else(|| "the format is in docs/testing.md".to_owned()),
    }
}

/// Finds a running lab and gets into its user namespace if it has one.
fn find(id: &LabId) -> Result<(Place, Plan)> {
    let place = Place::find(id.id.as_ref())?;
    let plan = place.plan()?;
    if let Some(inside) = place.read_note()?.and_then(|note| note.inside) {
        privilege::join(inside)?;
    }
    Ok((place, plan))
}

fn down(args: &DownArgs) -> Result<()> {
    let place = Place::find(args.lab.id.as_ref())?;
    lab::down_noted(&place, args.keep_logs)?;
    eprintln!("lab {} is gone", place.id());
    Ok(())
}

fn enter(args: &EnterArgs) -> Result<i32> {
    process::become_command(args.netns.as_deref(), args.with_parent, &[], &args.command).map(|()| 0)
}

fn exec(args: &ExecArgs) -> Result<i32> {
    let (place, plan) = find(&args.lab)?;
    known(&plan, &args.node)?;
    let environment = [
        ("SRWAN_SOCKET", place.state(&args.node).join("router.sock").into_os_string()),
        ("PATH", path_with_this_program()),
    ];
    let netns = place.netns(&args.node);
    process::become_command(Some(&netns), None, &environment, &args.command).map(|()| 0)
}

/// The search path with this program's folder in front, so that `srwan` on a machine of the lab is this very one.
fn path_with_this_program() -> OsString {
    let own = std::env::current_exe().ok().and_then(|exe| exe.parent().map(PathBuf::from));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = own.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}

fn known(plan: &Plan, node: &crate::scenario::NodeName) -> Result<()> {
    if plan.scenario.node(node).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = plan.scenario.nodes.iter().map(|node| node.name.as_str()).collect();
    Err(not_found(&format!("no machine is called `{node}`"), &names).into())
}

fn not_found(what: &str, among: &[&str]) -> Problem {
    Problem {
        code: Code::NotFound,
        what: what.to_owned(),
        why: format!("there are: {}", among.join(", ")),
        fix: "srwan lab status".to_owned(),
    }
}

fn capture(args: &CaptureArgs) -> Result<()> {
    let (place, plan) = find(&args.lab)?;
    known(&plan, &args.node)?;
    let time = Duration::try_from_secs_f64(args.seconds).context("--seconds is not a time")?;
    let capture = capture::Capture::start(&place.netns(&args.node), &args.interface, &args.out)?;
    std::thread::sleep(time);
    let count = capture.stop()?;
    eprintln!(
        "{} packets in {}, {} lost by the kernel",
        count.packets,
        args.out.display(),
        count.lost
    );
    Ok(())
}

fn scenario(args: &ScenarioArgs) -> Result<()> {
    match (args.verb, &args.scenario) {
        (ScenarioVerb::List, _) => {
            for (name, text) in crate::scenario::shipped() {
                println!("{name:14} {}", Scenario::parse(text)?.title);
            }
            Ok(())
        }
        (ScenarioVerb::Show, Some(name)) => {
            print!("{}", scenario_text(name)?);
            Ok(())
        }
        (ScenarioVerb::Check, Some(name)) => {
            let scenario = Scenario::parse(&scenario_text(name)?).with_context(|| name.clone())?;
            println!("ok {}: {} nodes", scenario.name, scenario.nodes.len());
            Ok(())
        }
        (ScenarioVerb::Show | ScenarioVerb::Check, None) => anyhow::bail!("say which scenario"),
    }
}

/// Text of a scenario that comes with the program, or of a file.
fn scenario_text(name: &str) -> Result<String> {
    let shipped = crate::scenario::shipped().iter().find(|(shipped, _)| *shipped == name);
    match shipped {
        Some((_, text)) => Ok((*text).to_owned()),
        None if name.contains(['/', '.']) => {
            std::fs::read_to_string(name).with_context(|| format!("cannot read {name}"))
        }
        None => {
            let names: Vec<&str> =
                crate::scenario::shipped().iter().map(|(name, _)| *name).collect();
            Err(not_found(&format!("no scenario is called `{name}`"), &names).into())
        }
    }
}

fn variety(args: VarietyArgs) -> Result<()> {
    let time = Duration::try_from_secs_f64(args.seconds).context("--seconds is not a time")?;
    client::run(&client::Variety { pairs: args.pair, mtu: args.mtu, time }, print_line)
}

fn print_line(line: &fetch::Line) {
    println!("{}", serde_json::to_string(line).expect("a line is plain data"));
}

fn fetch(args: &FetchArgs) -> Result<i32> {
    let order = fetch::Fetch {
        server: args.server,
        upload: args.upload,
        time: Duration::try_from_secs_f64(args.seconds).context("--seconds is not a time")?,
        limit: args
            .mbps
            .map(|mbps| BitRate::from_mbps(mbps).context("--mbps is not a rate"))
            .transpose()?,
        octets: args.bytes,
        interval: Duration::from_millis(args.interval_ms.max(1)),
    };
    let lived = fetch::run(order, print_line)?;
    Ok(i32::from(!lived))
}
