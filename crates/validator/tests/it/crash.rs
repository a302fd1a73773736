//! Stopping, kindly and with kill -9: nothing final is lost, nothing is paid twice.

use std::os::unix::fs::PermissionsExt;

use srwan_api::ledger::TxStatus;
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::ChainId;

use crate::child::{Daemon, Site};
use crate::people::{key, transfer};

/// Kill -9 cycles in the gate; each loses the process at another moment of its work.
const KILLS: u64 = 8;
/// Transactions handed in before each kill; only the first half is waited for.
const BURST: u64 = 6;

/// Hands in a burst, waits for some of it to be final, and is killed in the middle of the rest.
async fn work(daemon: Daemon, chain: ChainId, acknowledged: &mut Vec<SignedTx>) {
    let next = daemon.account(&key(1)).await.next_nonce;
    let burst: Vec<_> = (next..next + BURST).map(|nonce| transfer(1, nonce, chain)).collect();
    for tx in &burst {
        daemon.client().submit(tx).await.unwrap();
    }
    for tx in burst.into_iter().take(3) {
        assert_eq!(daemon.run(&tx).await.unwrap().status, TxStatus::Applied);
        acknowledged.push(tx);
    }
    daemon.kill_9();
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_final_and_doubles_nothing() {
    let site = Site::new();
    let mut acknowledged: Vec<SignedTx> = Vec::new();
    let mut height = 0;
    for _ in 0..KILLS {
        let daemon = site.start();
        let status = daemon.client().status().await.unwrap();
        assert!(status.conserved && status.height >= height);
        height = status.height;
        for tx in &acknowledged {
            let found = daemon.client().tx(tx.body.hash(), std::time::Duration::ZERO).await;
            assert_eq!(found.unwrap().status, TxStatus::Applied);
        }
        // Each transfer moved one base unit; those not waited for may or may not be in.
        let nonce = daemon.account(&key(1)).await.nonce;
        let balance = daemon.account(&key(4)).await.balance().unwrap().base();
        assert_eq!(balance, 1_000_000_000_000 + nonce);
        assert!(nonce >= u64::try_from(acknowledged.len()).unwrap());
        let chain = ChainId::from_hex(&status.chain_id).unwrap();
        work(daemon, chain, &mut acknowledged).await;
    }
}

#[tokio::test]
async fn a_kind_stop_ends_with_zero_and_starts_again_where_it_was() {
    let site = Site::new();
    let daemon = site.start();
    let chain = daemon.chain().await;
    daemon.run(&transfer(1, 0, chain)).await.unwrap();
    let height = daemon.client().status().await.unwrap().height;
    let (status, said) = daemon.terminate();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("snapshot written") && said.contains("stopped"), "{said}");
    let daemon = site.start();
    assert!(daemon.client().status().await.unwrap().height >= height);
    assert_eq!(daemon.account(&key(1)).await.nonce, 1);
}

#[tokio::test]
async fn a_waiting_question_does_not_hold_up_a_stop() {
    let site = Site::new();
    let daemon = site.start();
    let chain = daemon.chain().await;
    // Nonce 1 never runs without nonce 0, so this waits as long as it may.
    let stuck = transfer(1, 1, chain);
    daemon.client().submit(&stuck).await.unwrap();
    let client = daemon.client();
    let hash = stuck.body.hash();
    let asked =
        tokio::spawn(async move { client.tx(hash, std::time::Duration::from_secs(30)).await });
    let (status, said) = tokio::task::spawn_blocking(|| daemon.terminate()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    let _ = asked.await.unwrap();
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    let site = Site::new();
    std::fs::write(site.path("validator.toml"), "state_dir = \"state\"\n").unwrap();
    assert!(site.fails_to_start().contains("SRW-K301"), "no genesis");

    let site = Site::new();
    let config = std::fs::read_to_string(site.path("validator.toml")).unwrap();
    std::fs::write(site.path("validator.toml"), format!("{config}blocks = 1\n")).unwrap();
    assert!(site.fails_to_start().contains("SRW-K302"), "unknown key");

    let site = Site::new();
    let genesis = std::fs::read_to_string(site.path("genesis.toml")).unwrap();
    let two = [8, 9].map(|person| format!("[[validator]]\nkey = \"{}\"\n", key(person)));
    std::fs::write(site.path("genesis.toml"), format!("{genesis}{}", two.concat())).unwrap();
    let said = site.fails_to_start();
    assert!(said.contains("SRW-K303") && said.contains("no address"), "{said}");

    let site = Site::new();
    let daemon = site.start();
    assert!(site.fails_to_start().contains("SRW-L801"), "in use");
    drop(daemon);
    let key_file = site.path("state/validator.key");
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(site.fails_to_start().contains("SRW-K304"), "key readable by others");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let site = Site::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = std::fs::read_to_string(site.path("validator.toml")).unwrap();
    let config = config.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    std::fs::write(site.path("validator.toml"), config).unwrap();
    let said = site.fails_to_start();
    assert!(said.contains("SRW-L804"), "{said}");
}
