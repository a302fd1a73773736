//! `srwan doctor [CHECK]`

use crate::exit::Exit;
use crate::output::Output;
use crate::problem::code;
use crate::text::labelled;
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use srwan_api::http::ApiError;
use srwan_api::router::HealthItem;
use srwan_router::config::Config;
use srwan_router::doctor::Finding;
use std::path::PathBuf;

/// Checks of the host alone, then checks that need a configuration; see `srwan_router::doctor`.
const CHECKS: [&str; 11] = [
    "permission",
    "tun",
    "filter",
    "reverse-path",
    "port",
    "clock",
    "state",
    "xdp",
    "srv6",
    "controller",
    "ledger",
];

/// Arguments of `doctor`.
#[derive(Args)]
pub struct Doctor {
    /// Do this check only.
    #[arg(value_parser = CHECKS)]
    check: Option<String>,
    /// The router's configuration; without it only the host is checked.
    #[arg(long, env = "SRWAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What the checks found.
#[derive(Serialize)]
struct Report {
    schema: &'static str,
    checks: Vec<Check>,
}

/// What one check found.
#[derive(Serialize)]
struct Check {
    check: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<HealthItem>,
}

impl Doctor {
    /// Checks and prints; exit code 7 if something was found.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let config = self.config.as_deref().map(Config::load).transpose()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start the async runtime")?;
        let looking = srwan_router::doctor::run(config.as_ref(), self.check.as_deref());
        let findings = runtime.block_on(looking);
        if findings.is_empty() {
            return Err(not_checked(&self.check.unwrap_or_default(), config.is_some()).into());
        }
        let checks: Vec<Check> = findings.into_iter().map(check).collect();
        let is_well = checks.iter().all(|check| check.finding.is_none());
        output.answer(&Report { schema: "srwan.doctor/1", checks }, text)?;
        Ok(if is_well { Exit::Ok } else { Exit::Findings })
    }
}

fn check(finding: Finding) -> Check {
    let state = if finding.fault.is_none() { "ok" } else { "degraded" };
    Check { check: finding.check, state, finding: finding.fault.map(HealthItem::from) }
}

fn not_checked(check: &str, has_config: bool) -> ApiError {
    let refused =
        ApiError::new(400, code::USAGE, format!("there is nothing to check for `{check}`"));
    if has_config {
        return refused.why("the configuration does not name it").fix("leave the check out");
    }
    refused.why("this check looks at what a configuration names").fix("add --config FILE")
}

fn text(report: &Report) -> String {
    report.checks.iter().map(check_text).collect::<Vec<_>>().join("\n")
}

fn check_text(check: &Check) -> String {
    let head = format!("{:<10}{}", check.state, check.check);
    let Some(found) = &check.finding else { return head };
    let lines = [
        labelled(&head, &format!("[{}] {}", found.code, found.what), 24),
        labelled("  why: ", &found.why, 7),
        labelled("  fix: ", &found.fix, 7),
    ];
    lines.join("\n")
}
