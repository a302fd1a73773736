//! Expectations: each names flows, events and routers that must exist.

use std::time::Duration;

use super::error::{ScenarioError, nearest};
use super::parse::At;
use super::raw::RawExpect;
use super::{Expect, ExpectKind, NodeName, Program, Role, Scenario, Way, Window};

type Result<T> = std::result::Result<T, ScenarioError>;

/// Checks an expectation against the flows, events and nodes there are.
pub fn expect(scenario: &Scenario, raw: &RawExpect, at: At) -> Result<Expect> {
    Ok(Expect { line: at.0, kind: Look { scenario, at }.kind(raw)? })
}

struct Look<'a> {
    scenario: &'a Scenario,
    at: At,
}

impl Look<'_> {
    fn kind(&self, raw: &RawExpect) -> Result<ExpectKind> {
        Ok(match raw {
            RawExpect::MatrixComplete { within_s } => {
                ExpectKind::MatrixComplete { within: self.within(*within_s)? }
            }
            RawExpect::UsesRelays { flow, after, within_s, relays_min, via, way } => {
                ExpectKind::UsesRelays {
                    flow: self.headed(flow, *way)?,
                    after: self.label(after.as_ref())?,
                    within: self.within(*within_s)?,
                    relays_min: relays_min.unwrap_or(1),
                    via: via.iter().map(|name| self.router(name)).collect::<Result<_>>()?,
                    way: *way,
                }
            }
            RawExpect::UsesDefault { flow, after, within_s, way } => ExpectKind::UsesDefault {
                flow: self.headed(flow, *way)?,
                after: self.label(after.as_ref())?,
                within: self.within(*within_s)?,
                way: *way,
            },
            RawExpect::Relayed { flow, from_s, until_s, share_min, way } => ExpectKind::Relayed {
                flow: self.headed(flow, *way)?,
                window: self.window(*from_s, *until_s)?,
                share_min: self.share(share_min.unwrap_or(1.0))?,
                way: *way,
            },
            RawExpect::TcpSurvives { flow, stall_max_s } => ExpectKind::TcpSurvives {
                flow: self.flow(flow)?,
                stall_max: stall_max_s.map(|s| self.at.seconds("stall_max_s", s)).transpose()?,
            },
            RawExpect::Intact { flow, lost_max } => self.intact(flow, *lost_max)?,
            RawExpect::FlowMoves { flow, after, within_s } => {
                let within = self.within(*within_s)?;
                ExpectKind::FlowMoves { flow: self.flow(flow)?, after: self.event(after)?, within }
            }
            RawExpect::Throughput { flow, from_s, until_s, mbps_min } => {
                let window = self.window(*from_s, *until_s)?;
                ExpectKind::Throughput { flow: self.flow(flow)?, window, mbps_min: *mbps_min }
            }
            RawExpect::RoundTrip { flow, from_s, until_s, ms_max } => {
                let window = self.window(*from_s, *until_s)?;
                ExpectKind::RoundTrip { flow: self.flow(flow)?, window, ms_max: *ms_max }
            }
            RawExpect::Owd { from, to, owd_ms, tolerance_ms } => ExpectKind::Owd {
                from: self.router(from)?,
                to: self.router(to)?,
                owd: self.at.millis("owd_ms", *owd_ms)?,
                tolerance: self.tolerance(*tolerance_ms)?,
            },
            RawExpect::SwitchesAtMost { flow, count, way } => {
                let flow = self.headed(flow, *way)?;
                ExpectKind::SwitchesAtMost { flow, count: *count, way: *way }
            }
            RawExpect::Failover { flow, p50_s, max_s, way } => ExpectKind::Failover {
                flow: self.headed(flow, *way)?,
                way: *way,
                p50: self.at.seconds("p50_s", *p50_s)?,
                max: self.at.seconds("max_s", *max_s)?,
            },
            RawExpect::CoinsConserved {} => ExpectKind::CoinsConserved,
            RawExpect::SettledOnce {} => ExpectKind::SettledOnce,
            RawExpect::LedgersAgree {} => ExpectKind::LedgersAgree,
            RawExpect::RelayEarned { node } => {
                let node = node.as_deref().map(|name| self.router(name)).transpose()?;
                ExpectKind::RelayEarned { node }
            }
        })
    }

    fn intact(&self, flow: &str, lost_max: Option<f64>) -> Result<ExpectKind> {
        let lost_max = self.share(lost_max.unwrap_or(LOST_MAX))?;
        Ok(ExpectKind::Intact { flow: self.variety(flow)?, lost_max })
    }

    fn within(&self, seconds: f64) -> Result<Duration> {
        self.at.seconds("within_s", seconds)
    }

    fn tolerance(&self, ms: Option<f64>) -> Result<Duration> {
        self.at.millis("tolerance_ms", ms.unwrap_or(OWD_TOLERANCE_MS))
    }

    fn share(&self, share: f64) -> Result<f64> {
        let fits = (0.0..=1.0).contains(&share);
        self.at.check(fits, || format!("share_min = {share}: not a fraction between 0 and 1"))?;
        Ok(share)
    }

    fn window(&self, from_s: f64, until_s: f64) -> Result<Window> {
        let from = self.at.seconds("from_s", from_s)?;
        let until = self.at.seconds("until_s", until_s)?;
        self.at.check(from < until, || "from_s must be before until_s".into())?;
        Ok(Window { from, until })
    }

    fn flow(&self, name: &str) -> Result<String> {
        let known = self.scenario.flow(name).map(|flow| flow.name.clone());
        known.ok_or_else(|| {
            let names = self.scenario.flows.iter().map(|flow| flow.name.as_str());
            self.unknown("flow", name, nearest(name, names))
        })
    }

    /// A flow that sends packets of several kinds.
    fn variety(&self, name: &str) -> Result<String> {
        let flow = self.flow(name)?;
        let counts = self.scenario.flow(&flow).is_some_and(|f| f.program == Program::Variety);
        self.at.check(counts, || format!("`{flow}` does not send packets of several kinds"))?;
        Ok(flow)
    }

    /// A flow whose path can be asked of a router: the sending end of that way stands behind one.
    fn headed(&self, name: &str, way: Way) -> Result<String> {
        let flow = self.flow(name)?;
        let has_router = self.scenario.headend(&flow, way).is_some();
        self.at.check(has_router, || format!("no router sends flow `{flow}` that way"))?;
        Ok(flow)
    }

    fn event(&self, label: &str) -> Result<String> {
        let known = self.scenario.event(label).map(|event| event.label.clone());
        known.ok_or_else(|| {
            let labels = self.scenario.events.iter().map(|event| event.label.as_str());
            self.unknown("event", label, nearest(label, labels))
        })
    }

    fn label(&self, label: Option<&String>) -> Result<Option<String>> {
        label.map(|label| self.event(label)).transpose()
    }

    fn router(&self, name: &str) -> Result<NodeName> {
        let name = self.at.known(self.scenario, name)?;
        let is_router = self.scenario.node(&name).is_some_and(|node| node.role == Role::Router);
        self.at.check(is_router, || format!("`{name}` is not a router"))?;
        Ok(name)
    }

    fn unknown(&self, what: &str, name: &str, nearest: Option<&str>) -> ScenarioError {
        let error = self.at.error(format!("no {what} is called `{name}`"));
        match nearest {
            Some(word) => error.with_fix(format!("write `{word}`")),
            None => error,
        }
    }
}

/// The first packets of a kind may be lost while its sender learns the path's MTU; after that none should be.
const LOST_MAX: f64 = 0.1;
/// Promise of the product for hosts that share a clock.
const OWD_TOLERANCE_MS: f64 = 1.0;
