//! A controller and routers that sign what real ones would sign.

use core::time::Duration;

use srwan_ditex::{Exchange, ExchangeConfig, JoinError, Joined, Snapshot};
use srwan_wire::id::{AccountKey, GroupId, NodeId, NodeKey};
use srwan_wire::oam::{PathObservation, Relays};
use srwan_wire::pulse::{ErrorEstimate, Loss, Measured, Row, RowCell, RowHeader, SignedRow};
use srwan_wire::report::{Report, ReportPath, ReportRow, SignedReport};
use srwan_wire::roster::{Class, JoinRequest, Location, Profile, Roster, SignedJoinRequest};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::{Owd, Timestamp};

pub const SEED: [u8; 32] = [42; 32];

pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(1_000_000_000 * (1_000_000 + seconds))
}

pub fn node(raw: u32) -> NodeId {
    NodeId::new(raw).unwrap()
}

/// The account of the `index`th router.
pub fn account(index: u32) -> AccountSecret {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&index.to_le_bytes());
    AccountSecret::from_seed(&seed)
}

pub fn profile(index: u32) -> Profile {
    let [_, b, c, d] = index.to_be_bytes();
    let mut node_key = [1; 32];
    node_key[..4].copy_from_slice(&index.to_le_bytes());
    Profile {
        node_key: NodeKey(node_key),
        account_key: account(index).public(),
        endpoints: vec![format!("198.{}.{c}.{d}:4766", 18 + b).parse().unwrap()],
        prefixes: vec![format!("10.{b}.{}.0/24", c * 16 + d).parse().unwrap()],
        location: Location::default(),
        asn: 64_500 + index,
        class: Class::Public,
        price: Some(10_000_000),
        egress: false,
        name: format!("r{index}"),
    }
}

pub fn controller_key() -> AccountKey {
    AccountSecret::from_seed(&SEED).public()
}

pub fn request(profile: Profile, token: Option<&str>, issued: Timestamp) -> JoinRequest {
    let token = token.map(str::to_owned);
    JoinRequest { controller: controller_key(), token, issued, profile }
}

pub fn exchange(config: ExchangeConfig) -> Exchange {
    Exchange::new(config, &SEED)
}

/// Signs by the account of the `index`th router.
pub fn signed(index: u32, request: JoinRequest) -> SignedJoinRequest {
    request.sign(&account(index))
}

/// Joins the `index`th router, at `place`, with a token of its own.
pub fn join_at(exchange: &mut Exchange, index: u32, place: Location) -> Result<Joined, JoinError> {
    let token = format!("token-{index}");
    exchange.issue_token(&token, None).unwrap();
    let profile = Profile { location: place, ..profile(index) };
    exchange.handle_join(&signed(index, request(profile, Some(&token), at(0))), at(0))
}

pub fn join(exchange: &mut Exchange, index: u32) -> Joined {
    join_at(exchange, index, Location::default()).unwrap()
}

pub fn open(joined: &Joined) -> Roster {
    joined.roster.open(&controller_key()).unwrap()
}

/// Collects what would be on disk.
pub fn stored(exchange: &mut Exchange, mut snapshot: Snapshot) -> Snapshot {
    use srwan_ditex::Change;
    while let Some(change) = exchange.poll_change() {
        match change {
            Change::Token(digest, state) => {
                snapshot.tokens.retain(|(other, _)| *other != digest);
                snapshot.tokens.push((digest, state));
            }
            Change::Router(router) => {
                let number = router.member.node;
                snapshot.routers.retain(|other| other.member.node != number);
                snapshot.node_last = snapshot.node_last.max(number.get());
                snapshot.routers.push(*router);
            }
            Change::RouterRemoved(number) => {
                snapshot.routers.retain(|other| other.member.node != number);
                snapshot.rows.retain(|row| row.row.row.measurer != number);
            }
            Change::Group(group) => {
                snapshot.groups.retain(|other| other.group != group.group);
                snapshot.groups.push(group);
            }
            Change::Row(row) => {
                let measurer = row.held.row.row.measurer;
                snapshot.rows.retain(|other| other.row.row.measurer != measurer);
                snapshot.rows.push(row.held);
            }
        }
    }
    snapshot
}

/// What one router measured: from whom, and how many milliseconds it took by the two clocks.
pub fn row(measurer: u32, seq: u32, cells: &[(u32, i64)], synchronised: bool) -> SignedRow {
    let header = RowHeader {
        measurer: node(measurer),
        seq,
        measured: at(u64::from(seq)),
        interval_ms: 10_000,
        clock: ErrorEstimate::new(synchronised, Duration::from_micros(500)),
        clock_epoch: 1,
    };
    let cells = cells.iter().map(|(from, ms)| {
        let raw = Owd::from_nanos(ms * 1_000_000);
        let (jitter, loss) = (Duration::from_millis(1), Loss::from_ppm(10_000));
        RowCell::new(node(*from), Measured { raw, jitter, loss, age_steps: 0 })
    });
    Row::new(header, cells.collect()).unwrap().sign(&account(measurer))
}

pub fn report(reporter: u32, issued: u64, rows: &[SignedRow]) -> Report {
    Report {
        group: GroupId(1),
        reporter: node(reporter),
        roster_seq: 1,
        issued: at(issued),
        rows: rows.iter().map(ReportRow::from).collect(),
        paths: Vec::new(),
    }
}

pub fn sign_report(report: &Report) -> SignedReport {
    report.sign(&account(report.reporter.get()))
}

pub fn path(headend: u32, relays: &[u32], endpoint: u32, owd_ms: i64) -> ReportPath {
    let relays = relays.iter().map(|relay| node(*relay)).collect();
    let observation = PathObservation {
        headend: node(headend),
        relays: Relays::new(relays).unwrap(),
        endpoint: node(endpoint),
        owd: Owd::from_nanos(owd_ms * 1_000_000),
        throughput: 1,
    };
    ReportPath { observer: node(endpoint), observation }
}
