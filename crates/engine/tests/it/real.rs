//! Engines on the real runtime and a real disk.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use srwan_engine::seam::Peer;
use srwan_engine::{Config, End, Engine, Handle, Reach, light};

use crate::ledger::{Judge, Ledger, Schedule};

const NAMESPACE: &[u8] = b"a chain";

#[tokio::test]
async fn one_validator_alone_makes_blocks_proves_them_and_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let peer =
        Peer { key: light::public_key(&[7; 32]), address: SocketAddr::from(([127, 0, 0, 1], 1)) };
    let schedule: Schedule = Arc::new(move |_| vec![peer.clone()]);
    let judge = Judge::default();
    let ledger = Arc::new(Ledger::new(NAMESPACE, &judge, &schedule, Duration::ZERO));
    let mut config = Config::new([7; 32], NAMESPACE, directory.path().to_path_buf());
    config.epoch_blocks = NonZeroU64::new(10).unwrap();
    let handle = Engine::start(config.clone(), ledger.clone());
    reach(&handle, 35).await;
    let block = handle.block(25).await.unwrap();
    let certificate = handle.certificate(25).await.unwrap();
    assert_eq!(certificate.height, 25);
    let committee = [config.public_key()];
    let (context, header) = (&block.context, &block.payload.header);
    let verified = light::verify(NAMESPACE, &committee, context, header, &certificate.bytes);
    assert_eq!(verified.unwrap().height, 25);
    assert_eq!(handle.stop().await, End::Stopped);
    assert_eq!(handle.block(1).await, None);

    ledger.disk.forget(20);
    let ledger = Arc::new(ledger.restarted());
    let handle = Engine::start(config, ledger);
    reach(&handle, 60).await;
    assert!(handle.status().epoch >= 5);
    assert_eq!(handle.stop().await, End::Stopped);
}

#[tokio::test]
async fn four_validators_on_one_host_agree_and_gossip() {
    let host = Host::new(4);
    let peers = host.peers.clone();
    let schedule: Schedule = Arc::new(move |_| peers.clone());
    let pause = Duration::from_millis(20);
    let runs: Vec<_> =
        (0..4).map(|index| host.start(index, 20, &host.ledger(&schedule, pause))).collect();
    for (handle, _) in &runs {
        reach(handle, 50).await;
    }
    runs[0].0.gossip(b"hello".to_vec());
    let heard = || runs[1..].iter().all(|(_, it)| !it.gossiped.lock().unwrap().is_empty());
    until(&runs[0].0, heard).await;
    assert_eq!(runs[0].0.status().peers.len(), 3);
    for (handle, _) in &runs {
        assert_eq!(handle.stop().await, End::Stopped);
    }
}

#[tokio::test]
async fn a_validator_without_a_seat_follows_from_the_first_block() {
    let host = Host::new(2);
    let alone = vec![host.peers[0].clone()];
    let schedule: Schedule = Arc::new(move |_| alone.clone());
    let mut ledger = host.ledger(&schedule, Duration::ZERO);
    ledger.followers = vec![host.peers[1].clone()];
    let (leader, _) = host.start(0, 100, &ledger);
    reach(&leader, 300).await;
    let (follower, _) = host.start(1, 100, &host.ledger(&schedule, Duration::ZERO));
    reach(&follower, 300).await;
    assert!(leader.status().voting && !follower.status().voting);
    assert_eq!(follower.stop().await, End::Stopped);
    assert_eq!(leader.stop().await, End::Stopped);
}

#[tokio::test]
async fn a_validator_that_was_alone_opens_its_port_when_a_second_one_has_a_seat() {
    let host = Host::new(2);
    let (first, both) = (vec![host.peers[0].clone()], host.peers.clone());
    let schedule: Schedule =
        Arc::new(move |epoch| if epoch < 2 { first.clone() } else { both.clone() });
    let pause = Duration::from_millis(20);
    let (one, ledger) = host.start(0, 20, &host.ledger(&schedule, pause));
    let (two, _) = host.start(1, 20, &host.ledger(&schedule, pause));
    reach(&one, 70).await;
    reach(&two, 70).await;
    assert!(one.status().voting && two.status().voting);
    assert_eq!(ledger.answers.lock().unwrap().finalized, ledger.disk.height());
    assert_eq!(one.stop().await, End::Stopped);
    assert_eq!(two.stop().await, End::Stopped);
}

#[tokio::test]
async fn an_engine_that_cannot_run_says_why() {
    let host = Host::new(2);
    let peers = host.peers.clone();
    let schedule: Schedule = Arc::new(move |_| peers.clone());
    let mut config = host.config(0, 20);
    config.listen = None;
    let handle = Engine::start(config, Arc::new(host.ledger(&schedule, Duration::ZERO)));
    let End::Fault(text) = handle.ended().await else {
        panic!("it must not run without a port");
    };
    assert!(text.contains("no address to listen on"), "{text}");
}

#[tokio::test]
async fn a_lone_validator_that_lost_its_blocks_but_not_its_state_says_so() {
    let host = Host::new(1);
    let peers = host.peers.clone();
    let schedule: Schedule = Arc::new(move |_| peers.clone());
    let (handle, ledger) = host.start(0, 20, &host.ledger(&schedule, Duration::ZERO));
    reach(&handle, 5).await;
    assert_eq!(handle.stop().await, End::Stopped);
    let mut config = host.config(0, 20);
    config.directory = host.directory.path().join("empty");
    let handle = Engine::start(config, Arc::new(ledger.restarted()));
    let End::Fault(text) = handle.ended().await else {
        panic!("it must not begin another chain");
    };
    assert!(text.contains("nobody to fetch blocks from"), "{text}");
}

/// Validators on loopback, each with a directory and a port.
struct Host {
    peers: Vec<Peer>,
    judge: Judge,
    directory: tempfile::TempDir,
}

impl Host {
    fn new(validators: u8) -> Self {
        let sockets: Vec<TcpListener> =
            (0..validators).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let peer = |(index, socket): (u8, &TcpListener)| Peer {
            key: light::public_key(&[index + 1; 32]),
            address: socket.local_addr().unwrap(),
        };
        Self {
            peers: (0..).zip(&sockets).map(peer).collect(),
            judge: Judge::default(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn ledger(&self, schedule: &Schedule, pause: Duration) -> Ledger {
        Ledger::new(NAMESPACE, &self.judge, schedule, pause)
    }

    fn config(&self, index: u8, epoch_blocks: u64) -> Config {
        let directory = self.directory.path().join(index.to_string());
        let mut config = Config::new([index + 1; 32], NAMESPACE, directory);
        config.listen = Some(self.peers[usize::from(index)].address);
        config.reach = Reach::Private;
        config.epoch_blocks = NonZeroU64::new(epoch_blocks).unwrap();
        config
    }

    fn start(&self, index: u8, epoch_blocks: u64, ledger: &Ledger) -> (Handle, Arc<Ledger>) {
        let ledger = Arc::new(ledger.restarted());
        (Engine::start(self.config(index, epoch_blocks), ledger.clone()), ledger)
    }
}

/// Waits for a height: as long as it takes, because the test harness has the timeout.
async fn reach(handle: &Handle, height: u64) {
    until(handle, || handle.status().height >= height).await;
}

async fn until(handle: &Handle, done: impl Fn() -> bool) {
    while !done() {
        let ended = tokio::time::timeout(Duration::from_millis(10), handle.ended()).await;
        assert!(ended.is_err(), "the engine ended: {ended:?}");
    }
}
