//! A controller in a directory of its own, and routers that sign what real ones would.

use core::time::Duration;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use srwan_api::controller::{ControllerClient, JoinBody, Membership, ReportAnswer};
use srwan_api::http::{ApiError, HttpClient};
use srwan_controller::{Config, Running, start};
use srwan_wire::id::{AccountKey, NodeId, NodeKey};
use srwan_wire::pulse::{ErrorEstimate, Loss, Measured, Row, RowCell, RowHeader, SignedRow};
use srwan_wire::report::{Report, ReportRow};
use srwan_wire::roster::{Class, JoinRequest, Location, Profile};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::{Owd, Timestamp};
use tempfile::TempDir;

/// A running controller.
pub struct World {
    pub dir: TempDir,
    pub config: Config,
    pub running: Running,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A controller whose configuration was changed before it started.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = generous(dir.path());
        change(&mut config);
        let running = start(config.clone()).await.unwrap();
        Self { dir, config, running }
    }

    /// Stops the controller and starts one on the same directory.
    pub async fn restart(self) -> Self {
        let Self { dir, config, running } = self;
        running.stop().await;
        let running = start(config.clone()).await.unwrap();
        Self { dir, config, running }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.running.address)
    }

    pub fn client(&self) -> ControllerClient {
        ControllerClient::new(&self.url()).unwrap()
    }

    pub fn http(&self) -> HttpClient {
        HttpClient::new(&self.url()).unwrap()
    }

    pub fn admin(&self) -> ControllerClient {
        let token = std::fs::read_to_string(self.dir.path().join("admin.token")).unwrap();
        self.client().with_admin_token(&token)
    }

    pub async fn token(&self) -> String {
        self.admin().issue_token(&Default::default()).await.unwrap().token
    }

    /// Joins the `index`th router with a token of its own.
    pub async fn join(&self, index: u32) -> Membership {
        let token = self.token().await;
        self.join_with(index, Some(token), |_| ()).await.unwrap()
    }

    pub async fn join_with(
        &self,
        index: u32,
        token: Option<String>,
        change: impl FnOnce(&mut Profile),
    ) -> Result<Membership, ApiError> {
        let mut profile = profile(index);
        change(&mut profile);
        let request = request(self.running.controller_key, token, profile);
        self.client().join(request, &account(index)).await
    }

    pub async fn report(
        &self,
        membership: &Membership,
        index: u32,
        rows: &[SignedRow],
    ) -> Result<ReportAnswer, ApiError> {
        let report = Report {
            group: membership.group,
            reporter: membership.node,
            roster_seq: membership.roster.seq,
            issued: Timestamp::from_nanos(rows.iter().map(|row| u64::from(row.row.seq)).sum()),
            rows: rows.iter().map(ReportRow::from).collect(),
            paths: Vec::new(),
        };
        self.client().report(&report.sign(&account(index))).await
    }
}

/// A configuration in which one address may join as a hundred routers.
pub fn generous(dir: &Path) -> Config {
    let text = "state_dir = \".\"\nlisten = \"127.0.0.1:0\"\n[join]\nburst = 100000\n";
    Config::parse(text, dir).unwrap()
}

pub fn account(index: u32) -> AccountSecret {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&index.to_le_bytes());
    AccountSecret::from_seed(&seed)
}

pub fn profile(index: u32) -> Profile {
    let [_, b, c, d] = index.to_be_bytes();
    let mut node_key = [1; 32];
    node_key[..4].copy_from_slice(&index.to_le_bytes());
    let location = Location {
        city: "London".into(),
        country: "GB".into(),
        lat_e6: 51_500_000,
        lon_e6: -100_000,
    };
    Profile {
        node_key: NodeKey(node_key),
        account_key: account(index).public(),
        endpoints: vec![format!("198.{}.{c}.{d}:4766", 18 + b).parse().unwrap()],
        prefixes: Vec::new(),
        location,
        asn: 64_500 + index,
        class: Class::Public,
        price: Some(10_000_000),
        egress: false,
        name: format!("r{index}"),
    }
}

pub fn request(controller: AccountKey, token: Option<String>, profile: Profile) -> JoinRequest {
    JoinRequest { controller, token, issued: Timestamp::from_nanos(1_000), profile }
}

/// The body of a join request, signed by the `index`th router's account.
pub fn join_body(request: JoinRequest, index: u32) -> JoinBody {
    let octets = borsh::to_vec(&request.sign(&account(index))).unwrap();
    JoinBody { request: STANDARD.encode(octets) }
}

/// What the `index`th router measured, `(sender, milliseconds)`.
pub fn row(measurer: NodeId, index: u32, seq: u32, cells: &[(u32, i64)]) -> SignedRow {
    let header = RowHeader {
        measurer,
        seq,
        measured: Timestamp::from_nanos(u64::from(seq)),
        interval_ms: 10_000,
        clock: ErrorEstimate::new(true, Duration::from_micros(500)),
        clock_epoch: 1,
    };
    let cells = cells.iter().map(|(from, ms)| {
        let raw = Owd::from_nanos(ms * 1_000_000);
        let (jitter, loss) = (Duration::from_millis(1), Loss::NONE);
        let measured = Measured { raw, jitter, loss, age_steps: 0 };
        RowCell::new(NodeId::new(*from).unwrap(), measured)
    });
    Row::new(header, cells.collect()).unwrap().sign(&account(index))
}
