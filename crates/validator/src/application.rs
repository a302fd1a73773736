//! What the engine orders blocks for: proposals out of the pool, verdicts over others' proposals,
//! and the execution of what is final.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use srwan_engine::seam::{Application, Equivocation, FinalBlock, Payload, Peer, Position, Verdict};
use srwan_ledger::block::{BLOCK_OCTETS_MAX, Block, BlockError, Header, Maker, Parent};
use srwan_ledger::state::State;
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::{AccountKey, ValidatorKey};
use srwan_wire::time::Timestamp;
use tracing::{error, warn};

use crate::body::{Carried, Evidence, VotersError};
use crate::committee;
use crate::config::Pacing;
use crate::crash;
use crate::gossip::{Heard, Inbox};
use crate::ledger::{Ledger, View};
use crate::snapshots::Snapshotter;

/// The ledger as the engine sees it.
#[derive(Debug)]
pub struct Blocks {
    /// The ledger in memory.
    pub ledger: Arc<Ledger>,
    /// Who proposes.
    pub validator: ValidatorKey,
    /// When blocks are made.
    pub pacing: Pacing,
    /// Writes snapshots beside the engine's thread.
    pub snapshots: Snapshotter,
    /// Where messages of other validators go.
    pub inbox: Inbox,
}

impl Application for Blocks {
    fn propose(&self, position: &Position<'_>) -> Option<Payload> {
        let view = self.ledger.view();
        let ahead = Ahead::of(&view.state, position)?;
        let txs = self.ledger.mempool().select(BLOCK_OCTETS_MAX, |account| {
            let executed = view.state.account(account).nonce;
            ahead.nonces.get(account).copied().unwrap_or(0).max(executed)
        });
        let evidence = self.evidence(&view.state, position);
        let voters = evidence
            .as_ref()
            .and_then(|evidence| evidence.signers(&view.state, view.state.height()).ok());
        let maker = Maker {
            proposer: self.validator,
            voters: voters.unwrap_or_default(),
            time: wall_clock(),
        };
        let header = view.state.header_after(&ahead.parent, maker, &txs)?;
        let evidence = evidence.filter(|_| !header.voters.is_empty());
        let payload = Carried { block: Block { header, txs }, evidence }.encode();
        crash::point(crash::Point::Proposed);
        Some(payload)
    }

    fn verify(&self, position: &Position<'_>, payload: &Payload) -> Verdict {
        let Some(carried) = Carried::decode(payload) else {
            warn!(height = position.height, "a proposal is not the bytes of a block");
            return Verdict::Invalid;
        };
        match self.judge_chain(position, &carried) {
            Verdict::Valid => self.judge_signatures(&carried.block.txs),
            verdict @ (Verdict::Invalid | Verdict::Later) => verdict,
        }
    }

    fn finalize(&self, block: &FinalBlock) {
        crash::point(crash::Point::BeforeExecute);
        let carried = Carried::of_final(block);
        let header = carried.block.header.clone();
        let height = header.height;
        // The header must be there before anyone who waits for its height looks for it.
        self.ledger.recent().push(block, header);
        if let Err(why) = self.ledger.finalize(&carried.block) {
            error!(%height, %why, "a final block does not follow this ledger's state");
            self.ledger.stop_accepting();
            panic!("block {height} does not follow: {why}");
        }
        crash::point(crash::Point::AfterExecute);
        self.snapshots.after(&self.ledger, height);
    }

    fn executed(&self) -> u64 {
        self.ledger.view().state.height().0
    }

    fn committee(&self, epoch: u64) -> Option<Vec<Peer>> {
        committee::peers(&self.ledger.view().state, epoch)
    }

    fn followers(&self) -> Vec<Peer> {
        committee::candidates(&self.ledger.view().state)
    }

    fn pause(&self) -> Duration {
        if self.ledger.has_ready() { self.pacing.block } else { self.pacing.idle_block }
    }

    fn equivocation(&self, proof: &Equivocation) {
        if !self.inbox.put(Heard::Equivocation(proof.clone())) {
            warn!("a proof of equivocation was dropped: too many messages wait");
        }
    }

    fn gossip(&self, _from: [u8; 32], bytes: &[u8]) {
        let metrics = &self.ledger.metrics;
        metrics.gossip_received.inc();
        if !self.inbox.put(Heard::Txs(bytes.to_vec())) {
            metrics.gossip_dropped.inc();
        }
    }
}

impl Blocks {
    /// The certificate of the last executed block, with what a voter needs to check it.
    fn evidence(&self, state: &State, position: &Position<'_>) -> Option<Evidence> {
        let certificate = position.certificate?;
        let recent = self.ledger.recent();
        let certified = recent.at(certificate.height)?;
        (certified.header.height == state.height()).then(|| Evidence {
            context: certified.context.clone(),
            header: certified.bytes.clone(),
            certificate: certificate.bytes.clone(),
        })
    }

    fn judge_chain(&self, position: &Position<'_>, carried: &Carried) -> Verdict {
        let view = self.ledger.view();
        let Some(ahead) = Ahead::of(&view.state, position) else {
            return Verdict::Later;
        };
        let header = &carried.block.header;
        match view.state.check_after(&ahead.parent, &carried.block) {
            Ok(()) => {}
            Err(BlockError::StateUnknown { .. }) => return Verdict::Later,
            Err(why) => return refuse(header, &why.to_string()),
        }
        match carried.check_voters(&view.state) {
            Ok(()) => judge_proposer(&view, header),
            Err(VotersError::UnknownCommittee) => Verdict::Later,
            Err(VotersError::Unproved) => refuse(header, "its voters are not shown to have voted"),
        }
    }

    /// Checks all signatures at once; those of transactions that came here before are known.
    fn judge_signatures(&self, txs: &[SignedTx]) -> Verdict {
        let started = Instant::now();
        let are_valid = self.ledger.are_signed(txs);
        self.ledger.metrics.signatures_seconds.observe(started.elapsed().as_secs_f64());
        if are_valid {
            return Verdict::Valid;
        }
        warn!("a proposal has a transaction that its sender did not sign");
        Verdict::Invalid
    }
}

/// Where a proposal would stand, from the blocks that are ahead of the executed state.
struct Ahead {
    parent: Parent,
    /// The next nonce of each account that the blocks ahead have transactions of.
    nonces: BTreeMap<AccountKey, u64>,
}

impl Ahead {
    /// `None` if the blocks ahead do not join on to the executed state: it has moved, or has yet to.
    fn of(state: &State, position: &Position<'_>) -> Option<Self> {
        let mut ahead = Self { parent: state.parent(), nonces: BTreeMap::new() };
        for payload in position.pending {
            let block = Carried::decode(payload)?.block;
            if block.header.height <= state.height() {
                continue;
            }
            if block.header.parent != ahead.parent.hash {
                return None;
            }
            ahead.parent = block.header.parent();
            for tx in &block.txs {
                let next = ahead.nonces.entry(tx.body.sender).or_default();
                *next = (*next).max(tx.body.nonce.saturating_add(1));
            }
        }
        (ahead.parent.height.0.checked_add(1) == Some(position.height)).then_some(ahead)
    }
}

/// Only members of the committee propose; which of them may, the engine has checked.
fn judge_proposer(view: &View, header: &Header) -> Verdict {
    let epoch = committee::epoch_of(&view.state, header.height);
    match committee::members(&view.state, epoch) {
        None => Verdict::Later,
        Some(members) if members.iter().any(|member| member.key == header.proposer) => {
            Verdict::Valid
        }
        Some(_) => refuse(header, "its proposer is not in the committee"),
    }
}

fn refuse(header: &Header, why: &str) -> Verdict {
    warn!(height = %header.height, proposer = %header.proposer, why, "a proposal is refused");
    Verdict::Invalid
}

fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    Timestamp::from_nanos(nanos)
}
