//! The controller's desk: the exchange, and what shells carry to and from it.
//!
//! Every pulse interval the group's reporter sends what it holds, as `srwan-router` does; a changed roster goes to
//! every router that is in it.

use crate::builder::number;
use crate::world::World;
use srwan_control::ObservedPath;
use srwan_ditex::{Exchange, ExchangeConfig, Intake};
use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::oam::PathObservation;
use srwan_wire::report::{Report, ReportPath, ReportRow};
use srwan_wire::roster::{JoinRequest, Profile, Roster};
use srwan_wire::sign::AccountSecret;
use srwan_wire::time::Timestamp;

/// What the reporter of a group does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reporting {
    /// It sends what it holds.
    #[default]
    Honest,
    /// It says in the rows of others that all delays are zero.
    Forges,
    /// It leaves the row of this node out.
    Omits(NodeId),
}

/// The controller.
pub struct Desk {
    exchange: Exchange,
    roster_seq: u64,
    /// What the lowest router does while it reports.
    pub reporting: Reporting,
    /// Rows that were refused.
    pub refused: usize,
    /// Cells that the exchange holds.
    pub rows_taken: usize,
}

impl Desk {
    /// A controller that every router of `world` joins, in order, so that they keep their numbers.
    #[must_use]
    pub fn new(world: &mut World) -> Self {
        let pulse_interval = world.pulse_interval();
        let config = ExchangeConfig { pulse_interval, ..ExchangeConfig::default() };
        let mut exchange = Exchange::new(config, &[9; 32]);
        for router in 0..world.routers() {
            join(&mut exchange, world, router);
        }
        let mut desk = Self {
            exchange,
            roster_seq: 0,
            reporting: Reporting::Honest,
            refused: 0,
            rows_taken: 0,
        };
        desk.publish(world);
        desk
    }

    /// One round: the reporter reports, and a changed roster is handed out.
    pub fn round(&mut self, world: &mut World) {
        let reporter = (0..world.routers()).find(|router| {
            world.is_running(*router) && world.view(*router).reporter == Some(number(*router))
        });
        if let Some(intake) = reporter.and_then(|router| self.report(world, router)) {
            self.refused += intake.rows_refused;
            self.rows_taken += intake.rows_new;
        }
        self.publish(world);
    }

    /// Whether a router is quarantined.
    #[must_use]
    pub fn is_quarantined(&self, router: usize, world: &World) -> bool {
        let view = self.exchange.router(number(router), wall(world));
        view.is_some_and(|view| view.record.quarantine.is_some())
    }

    /// Mismatches and comparisons that are held against a router.
    #[must_use]
    pub fn strikes(&self, router: usize, world: &World) -> (u32, usize) {
        let view = self.exchange.router(number(router), wall(world));
        let rating = view.and_then(|view| view.rating.map(|r| (r.strikes(), r.evidence().count())));
        rating.unwrap_or_default()
    }

    fn report(&mut self, world: &World, router: usize) -> Option<Intake> {
        let (view, rows) = (world.view(router), world.signed_rows(router));
        let is_first = router == 0;
        let mut rows: Vec<ReportRow> = rows
            .iter()
            .filter(|row| !is_first || self.reporting != Reporting::Omits(row.row.measurer))
            .map(ReportRow::from)
            .collect();
        if is_first && self.reporting == Reporting::Forges {
            rows.iter_mut().skip(1).for_each(|row| {
                row.bytes.iter_mut().rev().take(8).for_each(|octet| *octet = 0);
            });
        }
        let report = Report {
            group: GroupId(1),
            reporter: view.node,
            roster_seq: view.roster_seq,
            issued: view.wall,
            rows,
            paths: view.observations.iter().map(observed).collect(),
        };
        let signed = report.sign(world.account_secret(router));
        self.exchange.handle_report(&signed, wall(world)).ok()
    }

    fn publish(&mut self, world: &mut World) {
        while self.exchange.poll_change().is_some() {}
        let key = self.exchange.controller_key();
        let signed = self.exchange.roster(GroupId(1));
        let Some(roster) = signed.and_then(|signed| signed.open(&key).ok()) else { return };
        if roster.seq != self.roster_seq {
            self.roster_seq = roster.seq;
            hand_out(world, &roster);
        }
    }
}

fn hand_out(world: &mut World, roster: &Roster) {
    for router in 0..world.routers() {
        if roster.member(number(router)).is_some() {
            world.give_roster(router, roster);
        }
    }
}

fn join(exchange: &mut Exchange, world: &World, router: usize) {
    let token = format!("token-{router}");
    let now = wall(world);
    let member = world.roster().members[router].clone();
    let profile = Profile {
        node_key: member.node_key,
        account_key: member.account_key,
        endpoints: member.endpoints,
        prefixes: member.prefixes,
        location: member.location,
        asn: member.asn,
        class: member.class,
        price: member.price,
        egress: member.egress,
        name: member.name,
    };
    let controller = exchange.controller_key();
    exchange.issue_token(&token, None).expect("there is room for a few tokens");
    let request = JoinRequest { controller, token: Some(token), issued: now, profile };
    let account: &AccountSecret = world.account_secret(router);
    let joined = exchange.handle_join(&request.sign(account), now);
    let joined = joined.expect("a simulated router may join");
    assert_eq!(joined.node, number(router), "numbers are given out in order");
}

fn observed(path: &ObservedPath) -> ReportPath {
    ReportPath {
        observer: path.path.endpoint,
        observation: PathObservation {
            headend: path.path.headend,
            relays: path.path.relays.clone(),
            endpoint: path.path.endpoint,
            owd: path.owd,
            throughput: path.throughput,
        },
    }
}

/// The controller's clock: the world's, from an hour after the epoch on.
fn wall(world: &World) -> Timestamp {
    Timestamp::from_nanos(world.now().as_nanos().saturating_add(3_600_000_000_000))
}
