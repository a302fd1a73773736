//! The router's business with the controller: join, follow the roster, report when elected.
//!
//! The controller is never in the way of a packet: while it is down the router works on the last signed roster, which
//! is on disk, and tries again with growing pauses.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use srwan_api::controller::{ControllerClient, Membership, ROSTER_WAIT_MAX};
use srwan_api::http::ApiError;
use srwan_wire::oam::PathObservation;
use srwan_wire::report::{Report, ReportPath, ReportRow, SignedReport};
use srwan_wire::roster::{JoinRequest, Profile};
use srwan_wire::sign::AccountSecret;
use tokio::time::sleep;

use crate::event_log::News;
use crate::fault::{self, Fault};
use crate::membership;
use crate::packet_loop::{Handle, Order};
use crate::shared::Shared;

/// Longest pause between two tries: a controller that is back is found within this.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// The controller as this router knows it. Cheap to clone.
#[derive(Clone)]
pub struct Controller {
    client: ControllerClient,
    shared: Arc<Shared>,
    profile: Profile,
    secret: AccountSecret,
}

impl Controller {
    /// A client for the router that `profile` describes.
    ///
    /// # Errors
    /// The address in the configuration cannot be understood.
    pub fn new(
        shared: Arc<Shared>,
        profile: Profile,
        secret: AccountSecret,
    ) -> Result<Self, Fault> {
        let client = ControllerClient::new(&shared.config.controller.url)
            .map_err(|error| refused(&error))?;
        Ok(Self { client, shared, profile, secret })
    }

    /// The membership on disk, or a new one: asks until the controller answers.
    ///
    /// - **Shape:** the membership and whether the controller gave it in this call.
    ///
    /// # Errors
    /// `SRW-R011` if the controller says no, `SRW-R016` if the stored roster does not verify.
    pub async fn membership(&self) -> Result<(Membership, bool), Fault> {
        let config = &self.shared.config;
        let key = &self.profile.node_key;
        if let Some(stored) = membership::load(&config.state_dir, &config.controller.key, key)? {
            return Ok((stored, false));
        }
        let mut pause = Pause::new(config.controller.poll);
        loop {
            match self.join().await {
                Ok(membership) => return Ok((membership, true)),
                Err(error) if error.is_transient() => self.is_down(&error),
                Err(error) => return Err(refused(&error)),
            }
            sleep(pause.next()).await;
        }
    }

    /// Follows the roster until the router ends.
    pub async fn follow(self, mut membership: Membership, mut is_fresh: bool, node: Handle) {
        let mut pause = Pause::new(self.shared.config.controller.poll);
        loop {
            let result = if is_fresh {
                self.poll(&mut membership).await
            } else {
                self.rejoin(&mut membership).await
            };
            match result {
                Ok(is_changed) => {
                    is_fresh = true;
                    pause.reset();
                    self.is_up();
                    if is_changed {
                        self.take(&membership, &node).await;
                    }
                    sleep(self.shared.config.controller.poll).await;
                }
                Err(error) => {
                    // A refusal means that this controller does not know us (any more): ask to join.
                    is_fresh &= error.is_transient();
                    self.is_down(&error);
                    sleep(pause.next()).await;
                }
            }
        }
    }

    /// Sends a report per pulse interval while this router is the reporter.
    pub async fn report(self, membership: Membership, node: Handle) {
        let mut tick = tokio::time::interval(self.shared.config.pulse_interval);
        loop {
            tick.tick().await;
            if !self.shared.is_reporter.load(Ordering::Relaxed) {
                continue;
            }
            let Some(report) = self.make_report(&membership, &node).await else { return };
            match self.client.report(&report).await {
                Ok(answer) => {
                    tracing::debug!(round = answer.round, new = answer.rows_new, "report")
                }
                Err(error) => tracing::debug!(%error, "the report was not taken"),
            }
        }
    }

    async fn make_report(&self, membership: &Membership, node: &Handle) -> Option<SignedReport> {
        let asked = node.ask(|node, now, _| (node.signed_rows(now), node.view(now))).await;
        let (rows, view) = asked.ok()?;
        let observed = |path: &srwan_control::ObservedPath| ReportPath {
            observer: path.path.endpoint,
            observation: PathObservation {
                headend: path.path.headend,
                relays: path.path.relays.clone(),
                endpoint: path.path.endpoint,
                owd: path.owd,
                throughput: path.throughput,
            },
        };
        let report = Report {
            group: membership.group,
            reporter: membership.node,
            roster_seq: view.roster_seq,
            issued: view.wall,
            rows: rows.iter().map(ReportRow::from).collect(),
            paths: view.observations.iter().map(observed).collect(),
        };
        Some(report.sign(&self.secret))
    }

    async fn join(&self) -> Result<Membership, ApiError> {
        let config = &self.shared.config;
        let token = config.controller.join_token_file.as_ref();
        // A router that is known needs no token, so that a missing file is for the controller to judge.
        let token = token.and_then(|path| std::fs::read_to_string(path).ok());
        let request = JoinRequest {
            controller: config.controller.key,
            token: token.map(|text| text.trim().to_owned()),
            issued: self.shared.wall(),
            profile: self.profile.clone(),
        };
        let membership = self.client.join(request, &self.secret).await?;
        self.is_up();
        self.keep(&membership);
        self.shared.set_group(membership.group);
        let text = format!("joined as {} in group {}", membership.node, membership.group);
        self.shared.log.add(News::plain("joined", text));
        Ok(membership)
    }

    async fn rejoin(&self, membership: &mut Membership) -> Result<bool, ApiError> {
        *membership = self.join().await?;
        Ok(true)
    }

    async fn poll(&self, membership: &mut Membership) -> Result<bool, ApiError> {
        let since = membership.roster.seq;
        let key = &self.shared.config.controller.key;
        let found = self.client.roster(membership, since, ROSTER_WAIT_MAX, key).await?;
        let Some((signed, roster)) = found.filter(|(_, roster)| roster.seq > since) else {
            return Ok(false);
        };
        (membership.signed, membership.roster) = (signed, roster);
        self.keep(membership);
        Ok(true)
    }

    async fn take(&self, membership: &Membership, node: &Handle) {
        let roster = &membership.roster;
        let text = format!("roster {} with {} routers", roster.seq, roster.members.len());
        self.shared.log.add(News::plain("roster", text));
        // An error means that the router ends.
        let _stopped = node.tell(Order::Roster(Box::new(roster.clone()))).await;
    }

    fn keep(&self, membership: &Membership) {
        match membership::save(&self.shared.config.state_dir, membership) {
            Ok(()) => self.shared.clear(fault::STATE_DIR),
            Err(fault) => self.shared.raise(fault),
        }
    }

    fn is_up(&self) {
        self.shared.controller_ok();
        self.shared.clear(fault::CONTROLLER_UNREACHABLE);
    }

    fn is_down(&self, error: &ApiError) {
        if self.shared.controller_down(error.what.clone()) {
            let fault = Fault::new(
                fault::CONTROLLER_UNREACHABLE,
                error.what.clone(),
                format!("{} ({})", error.why, error.code),
                "paths are still chosen on the last signed roster; check [controller] url",
            );
            tracing::warn!(code = fault.code, "{fault}");
            self.shared.log.add(News::plain("controller_down", error.what.clone()));
            self.shared.raise(fault);
        }
    }
}

fn refused(error: &ApiError) -> Fault {
    let why = format!("{}: {}", error.code, error.why);
    let fix = if error.fix.is_empty() {
        "ask the controller's operator for a join token"
    } else {
        &error.fix
    };
    Fault::new(fault::JOIN_REFUSED, error.what.clone(), why, fix)
}

/// A pause that doubles up to [`PAUSE_MAX`].
struct Pause {
    first: Duration,
    next: Duration,
}

impl Pause {
    fn new(first: Duration) -> Self {
        Self { first, next: first }
    }

    fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(PAUSE_MAX);
        pause
    }

    fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_over() {
        let mut pause = Pause::new(Duration::from_secs(1));
        let pauses: Vec<u64> = (0..6).map(|_| pause.next().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
        pause.reset();
        assert_eq!(pause.next().as_secs(), 1);
    }
}
