//! A ledger that is as small as an application can be, with a disk of its own and a judge.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use srwan_engine::light;
use srwan_engine::seam::{Application, Equivocation, FinalBlock, Payload, Peer, Position, Verdict};

/// Digests by height that any validator executed: the test's own judge of agreement (I4).
#[derive(Clone, Default)]
pub struct Judge(Arc<Mutex<BTreeMap<u64, [u8; 32]>>>);

impl Judge {
    fn check(&self, block: &FinalBlock) {
        let mut known = self.0.lock().unwrap();
        let first = known.entry(block.height).or_insert(block.digest);
        assert_eq!(*first, block.digest, "two blocks are final at {}", block.height);
    }

    /// The heights judged so far, and a fingerprint of them all.
    pub fn chain(&self) -> (u64, [u8; 32]) {
        let known = self.0.lock().unwrap();
        let mut hasher = blake3::Hasher::new();
        known.values().for_each(|digest| {
            hasher.update(digest);
        });
        (known.last_key_value().map_or(0, |(height, _)| *height), *hasher.finalize().as_bytes())
    }
}

/// Who validates when.
pub type Schedule = Arc<dyn Fn(u64) -> Vec<Peer> + Send + Sync>;

/// What survives a crash of the application: its chain of state roots, one per executed block.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<Vec<[u8; 32]>>>);

impl Disk {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(vec![[0; 32]])))
    }

    pub fn height(&self) -> u64 {
        u64::try_from(self.0.lock().unwrap().len()).unwrap() - 1
    }

    /// Forgets the newest blocks, as a snapshot that is behind does.
    pub fn forget(&self, blocks: u64) {
        let keep = self.height().saturating_sub(blocks) + 1;
        self.0.lock().unwrap().truncate(usize::try_from(keep).unwrap());
    }

    fn root(&self, height: u64) -> Option<[u8; 32]> {
        self.0.lock().unwrap().get(usize::try_from(height).unwrap()).copied()
    }
}

/// An application whose header names the newest root that its proposer knew, as the real one does.
pub struct Ledger {
    pub namespace: Vec<u8>,
    pub disk: Disk,
    pub judge: Judge,
    pub schedule: Schedule,
    pub followers: Vec<Peer>,
    pub pause: Duration,
    pub evidence: Arc<Mutex<Vec<Equivocation>>>,
    pub gossiped: Arc<Mutex<Vec<Vec<u8>>>>,
    pub answers: Arc<Mutex<Answers>>,
}

/// How often the application was asked what: guards against tests that test nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub proposed: u64,
    pub valid: u64,
    pub later: u64,
    pub pending: u64,
    pub finalized: u64,
}

impl Ledger {
    pub fn new(namespace: &[u8], judge: &Judge, schedule: &Schedule, pause: Duration) -> Self {
        Self {
            namespace: namespace.to_vec(),
            disk: Disk::new(),
            judge: judge.clone(),
            schedule: schedule.clone(),
            followers: Vec::new(),
            pause,
            evidence: Arc::default(),
            gossiped: Arc::default(),
            answers: Arc::default(),
        }
    }

    /// The same application after a crash.
    pub fn restarted(&self) -> Self {
        Self {
            namespace: self.namespace.clone(),
            disk: self.disk.clone(),
            judge: self.judge.clone(),
            schedule: self.schedule.clone(),
            followers: self.followers.clone(),
            pause: self.pause,
            evidence: self.evidence.clone(),
            gossiped: self.gossiped.clone(),
            answers: self.answers.clone(),
        }
    }
}

impl Application for Ledger {
    fn propose(&self, position: &Position<'_>) -> Option<Payload> {
        let executed = self.disk.height();
        let pending = u64::try_from(position.pending.len()).unwrap();
        assert_eq!(position.height, executed + pending + 1, "the pending blocks are not all");
        let mut answers = self.answers.lock().unwrap();
        answers.proposed += 1;
        answers.pending += pending;
        let root = self.disk.root(executed).unwrap();
        let header = [&executed.to_le_bytes()[..], &root].concat();
        let body = position.height.to_le_bytes().to_vec();
        Some(Payload { header, body })
    }

    fn verify(&self, position: &Position<'_>, payload: &Payload) -> Verdict {
        let (state_height, root) = payload.header.split_at(8);
        let state_height = u64::from_le_bytes(state_height.try_into().unwrap());
        let mut answers = self.answers.lock().unwrap();
        match self.disk.root(state_height) {
            None => {
                answers.later += 1;
                Verdict::Later
            }
            Some(known) if known == root && payload.body == position.height.to_le_bytes() => {
                answers.valid += 1;
                Verdict::Valid
            }
            Some(_) => Verdict::Invalid,
        }
    }

    fn finalize(&self, block: &FinalBlock) {
        assert_eq!(block.height, self.disk.height() + 1, "blocks come in order, each once");
        assert_eq!(block.digest, light::digest(&block.context, &block.payload.header));
        self.judge.check(block);
        self.answers.lock().unwrap().finalized += 1;
        let mut roots = self.disk.0.lock().unwrap();
        let last = *roots.last().unwrap();
        roots.push(*blake3::hash(&[last, block.digest].concat()).as_bytes());
    }

    fn executed(&self) -> u64 {
        self.disk.height()
    }

    fn committee(&self, epoch: u64) -> Option<Vec<Peer>> {
        Some((self.schedule)(epoch))
    }

    fn followers(&self) -> Vec<Peer> {
        self.followers.clone()
    }

    fn pause(&self) -> Duration {
        self.pause
    }

    fn equivocation(&self, proof: &Equivocation) {
        light::verify_equivocation(&self.namespace, &proof.key, &proof.bytes).unwrap();
        self.evidence.lock().unwrap().push(proof.clone());
    }

    fn gossip(&self, _: [u8; 32], bytes: &[u8]) {
        self.gossiped.lock().unwrap().push(bytes.to_vec());
    }
}
