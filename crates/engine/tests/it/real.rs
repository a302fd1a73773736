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
    let seeds: Vec<[u8; 32]> = (1..=4).map(|index| [index; 32]).collect();
    let sockets: Vec<TcpListener> =
        seeds.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<SocketAddr> =
        sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    drop(sockets);
    let peers: Vec<Peer> = seeds
        .iter()
        .zip(&addresses)
        .map(|(seed, address)| Peer { key: light::public_key(seed), address: *address })
        .collect();
    let schedule: Schedule = Arc::new(move |_| peers.clone());
    let judge = Judge::default();
    let directory = tempfile::tempdir().unwrap();
    let mut ledgers = Vec::new();
    let mut handles = Vec::new();
    for (index, seed) in seeds.iter().enumerate() {
        let pause = Duration::from_millis(20);
        let ledger = Arc::new(Ledger::new(NAMESPACE, &judge, &schedule, pause));
        let mut config = Config::new(*seed, NAMESPACE, directory.path().join(index.to_string()));
        config.listen = Some(addresses[index]);
        config.reach = Reach::Private;
        config.epoch_blocks = NonZeroU64::new(20).unwrap();
        ledgers.push(ledger.clone());
        handles.push(Engine::start(config, ledger));
    }
    for handle in &handles {
        reach(handle, 50).await;
    }
    handles[0].gossip(b"hello".to_vec());
    let heard = || ledgers[1..].iter().all(|it| !it.gossiped.lock().unwrap().is_empty());
    until(&handles[0], heard).await;
    assert_eq!(handles[0].status().peers.len(), 3);
    for handle in &handles {
        assert_eq!(handle.stop().await, End::Stopped);
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
