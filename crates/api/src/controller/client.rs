//! The controller's API as calls: what routers, the CLI, the portal and the lab use.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use srwan_wire::id::{AccountKey, GroupId, NodeId};
use srwan_wire::report::SignedReport;
use srwan_wire::roster::{JoinRequest, Roster, SignedRoster};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::Timestamp;

use super::{
    Groups, History, JoinAnswer, JoinBody, QuarantineBody, ReportAnswer, ReportBody, RosterAnswer,
    RouterDetail, Routers, Segments, Status, TokenAnswer, TokenBody,
};
use crate::http::{ApiError, Call, HttpClient, code, escape};

/// Longest wait of one roster poll: shorter than what middleboxes keep an idle connection for.
pub const ROSTER_WAIT_MAX: Duration = Duration::from_secs(25);

/// What a router is once it has joined.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// Its number.
    pub node: NodeId,
    /// Its group.
    pub group: GroupId,
    /// The verified roster.
    pub roster: Roster,
    /// The same, as it is to be kept on disk.
    pub signed: SignedRoster,
    /// Secret with which the roster is asked for.
    pub member_token: [u8; 32],
    /// How often to pulse.
    pub pulse_interval: Duration,
}

/// A client of one controller.
#[derive(Clone, Debug)]
pub struct ControllerClient {
    http: HttpClient,
}

impl ControllerClient {
    /// A client of the controller at this address.
    ///
    /// # Errors
    /// [`code::BAD_URL`].
    pub fn new(url: &str) -> Result<Self, ApiError> {
        Ok(Self { http: HttpClient::new(url)? })
    }

    /// The same client with the operator's token.
    #[must_use]
    pub fn with_admin_token(self, token: &str) -> Self {
        Self { http: self.http.with_bearer(token.trim()) }
    }

    /// Joins, or tells the controller what has changed; harmless to repeat.
    ///
    /// `issued` is the router's time. If the controller has seen a later one (the clock went
    /// back), the request is repeated once with the time after that.
    ///
    /// # Errors
    /// The controller's refusal, or [`code::BAD_ANSWER`] if the roster is not signed by
    /// `controller`.
    pub async fn join(
        &self,
        request: JoinRequest,
        account: &AccountSecret,
    ) -> Result<Membership, ApiError> {
        let controller = request.controller;
        let answer = match self.post_join(request.clone(), account).await {
            Err(error) => match last_issued(&error) {
                Some(issued) => self.post_join(JoinRequest { issued, ..request }, account).await?,
                None => return Err(error),
            },
            Ok(answer) => answer,
        };
        Membership::read(&answer, &controller)
    }

    /// Asks for the group's roster; `None` if it is still number `since` after `wait`.
    ///
    /// # Errors
    /// The controller's refusal, or [`code::BAD_ANSWER`] if the roster is not signed by
    /// `controller`.
    pub async fn roster(
        &self,
        membership: &Membership,
        since: u64,
        wait: Duration,
        controller: &AccountKey,
    ) -> Result<Option<(SignedRoster, Roster)>, ApiError> {
        let wait = wait.min(ROSTER_WAIT_MAX);
        let path =
            format!("/v1/roster/{}?since={since}&wait_ms={}", membership.group.0, wait.as_millis());
        let call = Call::get(path).timeout(wait + crate::http::CALL_TIMEOUT_DEFAULT);
        let http = self.http.clone().with_bearer(hex::encode(membership.member_token));
        let answer = http.call(call).await?;
        if answer.is_not_modified() {
            return Ok(None);
        }
        open_roster(&answer.json::<RosterAnswer>()?.roster, controller).map(Some)
    }

    /// Sends a report.
    ///
    /// # Errors
    /// The controller's refusal. After one for its age (`data.last_issued_ns`), the next report
    /// has to be issued later than that.
    pub async fn report(&self, report: &SignedReport) -> Result<ReportAnswer, ApiError> {
        let octets = borsh::to_vec(report).map_err(|error| unreadable(&error))?;
        self.http.post("/v1/report", &ReportBody { report: STANDARD.encode(octets) }).await
    }

    /// One look at the controller.
    ///
    /// # Errors
    /// As [`HttpClient::call`], here and in all calls below.
    pub async fn status(&self) -> Result<Status, ApiError> {
        self.http.get("/v1/status").await
    }

    /// All groups.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn groups(&self) -> Result<Groups, ApiError> {
        self.http.get("/v1/groups").await
    }

    /// All routers.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn routers(&self) -> Result<Routers, ApiError> {
        self.http.get("/v1/routers").await
    }

    /// One router with what is held for and against it.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn router(&self, node: NodeId) -> Result<RouterDetail, ApiError> {
        self.http.get(&format!("/v1/routers/{}", node.get())).await
    }

    /// Segments whose sides meet `from` and `to` (empty = any; see `srwan_ditex::SideFilter`).
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn segments(&self, from: &str, to: &str) -> Result<Segments, ApiError> {
        let path = format!("/v1/segments?from={}&to={}", escape(from), escape(to));
        self.http.get(&path).await
    }

    /// How a segment was over time.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn history(&self, from: NodeId, to: NodeId) -> Result<History, ApiError> {
        self.http.get(&format!("/v1/history?from={}&to={}", from.get(), to.get())).await
    }

    /// Issues a join token; needs the operator's token.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn issue_token(&self, body: &TokenBody) -> Result<TokenAnswer, ApiError> {
        self.http.post("/v1/token", body).await
    }

    /// Keeps a router out; needs the operator's token.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn quarantine(&self, node: NodeId, reason: &str) -> Result<RouterDetail, ApiError> {
        let path = format!("/v1/routers/{}/quarantine", node.get());
        self.http.post(&path, &QuarantineBody { reason: reason.to_owned() }).await
    }

    /// Lets a quarantined router back in; needs the operator's token.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn release(&self, node: NodeId) -> Result<RouterDetail, ApiError> {
        let path = format!("/v1/routers/{}/release", node.get());
        self.http.post(&path, &serde_json::json!({})).await
    }

    /// Removes a router; needs the operator's token.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn remove(&self, node: NodeId) -> Result<Groups, ApiError> {
        self.http.call(Call::delete(format!("/v1/routers/{}", node.get()))).await?.json()
    }

    async fn post_join(
        &self,
        request: JoinRequest,
        account: &AccountSecret,
    ) -> Result<JoinAnswer, ApiError> {
        let octets = borsh::to_vec(&request.sign(account)).map_err(|error| unreadable(&error))?;
        self.http.post("/v1/join", &JoinBody { request: STANDARD.encode(octets) }).await
    }
}

impl Membership {
    /// Reads and verifies a join answer.
    ///
    /// # Errors
    /// [`code::BAD_ANSWER`] for whatever a controller with that key would not have answered.
    pub fn read(answer: &JoinAnswer, controller: &AccountKey) -> Result<Self, ApiError> {
        let (signed, roster) = open_roster(&answer.roster, controller)?;
        let node = NodeId::new(answer.node).ok_or_else(|| unreadable(&"node number is zero"))?;
        let mut member_token = [0; 32];
        hex::decode_to_slice(&answer.member_token, &mut member_token)
            .map_err(|error| unreadable(&error))?;
        let pulse_interval = Duration::from_millis(answer.pulse_interval_ms);
        let group = roster.group;
        Ok(Self { node, group, roster, signed, member_token, pulse_interval })
    }
}

/// The time after the last that the controller accepted, if that is what the refusal is about.
fn last_issued(error: &ApiError) -> Option<Timestamp> {
    let last = error.data.as_ref()?.get("last_issued_ns")?.as_u64()?;
    last.checked_add(1).map(Timestamp::from_nanos)
}

fn open_roster(base64: &str, controller: &AccountKey) -> Result<(SignedRoster, Roster), ApiError> {
    let octets = STANDARD.decode(base64).map_err(|error| unreadable(&error))?;
    let signed = SignedRoster::from_bytes(&octets).map_err(|error| unreadable(&error))?;
    let roster = signed.open(controller).map_err(|error| {
        unreadable(&error).fix(format!(
            "check [controller] key: the roster has to be signed by {controller}; \
             `srwan controller key` prints a controller's key"
        ))
    })?;
    Ok((signed, roster))
}

fn unreadable(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(0, code::BAD_ANSWER, "the controller's answer cannot be used")
        .why(error.to_string())
}
