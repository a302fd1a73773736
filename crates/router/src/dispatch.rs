//! What the node wants done, handed to the room that does it. No decisions: one arm per event.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use srwan_dataplane::seg6::EngagedPath;
use srwan_node::pay::{LanePhase, PathKey};
use srwan_node::{LedgerFact, NodeEvent, PathChange, PathShares};
use srwan_wire::id::NodeId;
use tokio::sync::mpsc;

use crate::event_log::News;
use crate::evidence::{Store, Task};
use crate::fault;
use crate::host::{Flows, Host};
use crate::ledger::Job;
use crate::names::{self, Names};
use crate::packet_loop::{Handle, Order};
use crate::prober::Prober;
use crate::shared::{EngagedSince, Shared};

/// Everyone who does something for the node.
pub struct Dispatch {
    /// Routes.
    pub host: Arc<Host>,
    /// The journal.
    pub store: Store,
    /// The ledger; `None` if none is configured.
    pub jobs: Option<mpsc::Sender<Job>>,
    /// Measures destinations without a router.
    pub prober: Prober,
    /// Back to the node.
    pub node: Handle,
    /// For people.
    pub shared: Arc<Shared>,
}

impl Dispatch {
    /// Hands on events until the node ends.
    pub async fn run(self, mut events: mpsc::Receiver<NodeEvent>) {
        while let Some(event) = events.recv().await {
            self.hand_on(event).await;
        }
    }

    async fn hand_on(&self, event: NodeEvent) {
        match event {
            NodeEvent::Engage { endpoint, relays, is_billed, prefixes } => {
                self.host.engage(endpoint, EngagedPath { relays, is_billed, prefixes });
            }
            NodeEvent::Release { endpoint, .. } => self.host.release(endpoint),
            NodeEvent::Measure(measurement) => self.prober.measure(measurement),
            NodeEvent::EngageFlows { destination, egress } => {
                self.host.steer_flows(Flows::Engage(destination));
                let names = self.names().await;
                let text = format!("{destination}: new flows leave at {}", names.of(egress));
                self.add("flows_engaged", text, &names, Some(egress), None);
            }
            NodeEvent::ReleaseFlows { destination, egress } => {
                self.host.steer_flows(Flows::Release(destination));
                let names = self.names().await;
                let text = format!("{destination}: new flows take the default path");
                self.add("flows_released", text, &names, Some(egress), None);
            }
            NodeEvent::EndFlows { destination, .. } => {
                self.host.steer_flows(Flows::End(destination));
            }
            NodeEvent::PathChanged(change) => self.path_changed(change).await,
            NodeEvent::PathsShared(shares) => self.paths_shared(shares).await,
            NodeEvent::OpenLane(request) => self.job(Job::Open(request)).await,
            NodeEvent::CloseLane(lane) => self.job(Job::Close(lane)).await,
            NodeEvent::LookUpLane(lane) => self.job(Job::LookUp(lane)).await,
            NodeEvent::Settle(evidence) => self.job(Job::Settle(Box::new(evidence))).await,
            NodeEvent::Store(evidence) => self.store(Task::Keep(Box::new(evidence))),
            NodeEvent::LaneChanged { path, phase } => self.lane_changed(path, phase).await,
            NodeEvent::PeerUp { node } => self.peer("peer_up", "session with", node).await,
            NodeEvent::PeerDown { node } => self.peer("peer_down", "no session with", node).await,
            NodeEvent::SegmentChanged { from, change } => {
                let names = self.names().await;
                let text = format!("segment from {}: {}", names.of(from), names::change(&change));
                self.add("segment_changed", text, &names, Some(from), None);
            }
            NodeEvent::MatrixComplete => {
                let text = "the delay between all live members is known";
                self.shared.log.add(News::plain("matrix_complete", text));
            }
            NodeEvent::Reporter(is_reporter) => {
                self.shared.is_reporter.store(is_reporter, Ordering::Relaxed);
                let word = if is_reporter { "is" } else { "is no longer" };
                let text = format!("this router {word} the group's reporter");
                self.shared.log.add(News::plain("reporter", text));
            }
            NodeEvent::Pinged(outcome) => self.shared.finish_ping(outcome),
        }
    }

    /// Without a ledger no lane can be opened, and nothing is ever owed.
    async fn job(&self, job: Job) {
        match (&self.jobs, job) {
            (Some(jobs), job) => {
                // The receiver is gone only when the router ends.
                let _ended = jobs.send(job).await;
            }
            (None, Job::Open(request)) => {
                let fact = LedgerFact::OpenFailed { label: request.label };
                let _ended = self.node.tell(Order::Fact(fact)).await;
            }
            (None, Job::Close(_) | Job::LookUp(_) | Job::Settle(_)) => {}
        }
    }

    /// A full queue means that the disk stands still: the payer asks again, as for any receipt that got lost.
    fn store(&self, task: Task) {
        if self.store.try_send(task).is_err() {
            tracing::warn!(code = fault::JOURNAL_WRITE, "the receipts journal is behind");
        }
    }

    async fn lane_changed(&self, path: PathKey, phase: LanePhase) {
        let names = self.names().await;
        let (endpoint, relays) = (names.of(path.endpoint), names.list(&path.relays));
        let text = format!("lane to {endpoint} via {relays} is {}", names::phase(phase));
        let kind = crate::names::phase_event(phase);
        self.add(kind, text, &names, Some(path.endpoint), Some(&path.relays));
    }

    async fn path_changed(&self, change: PathChange) {
        let names = self.names().await;
        let of_class =
            change.class.as_ref().map_or_else(String::new, |class| format!(" ({class})"));
        let endpoint = names.of(change.endpoint) + &of_class;
        let (kind, text) = match &change.to {
            None => {
                ("returned", format!("{endpoint}: back on the default path: {}", change.reason))
            }
            Some(relays) => {
                let kind = if change.from.is_none() { "engaged" } else { "switched" };
                let path = names.list(relays);
                (kind, format!("{endpoint}: path via {path}: {}", change.reason))
            }
        };
        let (at, reason) = (self.shared.wall(), change.reason.clone());
        let since = change.to.as_ref().map(|_| EngagedSince { at, reason });
        if change.class.is_none() {
            self.shared.set_engaged(change.endpoint, since);
        }
        self.add(kind, text, &names, Some(change.endpoint), change.to.as_deref());
    }

    async fn paths_shared(&self, shares: PathShares) {
        let names = self.names().await;
        let endpoint = names.of(shares.endpoint);
        let (kind, text) = if shares.paths.is_empty() {
            ("returned", format!("{endpoint}: back on the default path: no path is left to share"))
        } else {
            ("shared", format!("{endpoint}: {}", names::shares(&names, &shares)))
        };
        let first = shares.paths.first().map(|(relays, _)| relays.as_slice());
        let (at, reason) = (self.shared.wall(), text.clone());
        let since = first.map(|_| EngagedSince { at, reason });
        self.shared.set_engaged(shares.endpoint, since);
        self.add(kind, text, &names, Some(shares.endpoint), first);
    }

    async fn peer(&self, kind: &'static str, words: &str, node: NodeId) {
        let names = self.names().await;
        let text = format!("{words} {}", names.of(node));
        self.add(kind, text, &names, Some(node), None);
    }

    fn add(
        &self,
        kind: &'static str,
        text: String,
        names: &Names,
        endpoint: Option<NodeId>,
        relays: Option<&[NodeId]>,
    ) {
        let relays = relays.map(|relays| names.each(relays));
        let endpoint = endpoint.map(|node| names.of(node));
        self.shared.log.add(News { kind, text, endpoint, relays });
    }

    async fn names(&self) -> Names {
        Names::ask(&self.node).await
    }
}
