//! Four validators as processes: one dead is survived, two dead halt, and all that was taken settles
//! once.

use std::time::Duration;

use srwan_api::http::Call;
use srwan_api::ledger::TxStatus;
use srwan_api::ledger::light::{NoProof, Trust};
use srwan_wire::id::{ChainId, Height};

use crate::child::Daemon;
use crate::cluster::{Cluster, eventually, free_addresses, in_step, root_at, site};
use crate::people::{author, coins, key, secret, transfer};

/// Waits until a transaction is final at a validator.
async fn applied_at(daemon: &Daemon, hash: srwan_ledger::hash::TxHash) -> u64 {
    let height = eventually("a final transaction", || async {
        let found = daemon.client().tx(hash, Duration::from_secs(5)).await.ok()?;
        (found.status == TxStatus::Applied).then_some(found.height)
    });
    height.await.unwrap()
}

#[tokio::test]
async fn what_one_validator_takes_is_final_at_all_with_one_state() {
    let cluster = Cluster::new(4);
    let daemons = cluster.start();
    let chain = daemons[0].chain().await;
    for daemon in &daemons {
        in_step(daemon, 1).await;
        eventually("three peers", || async {
            (daemon.client().status().await.ok()?.peers == 3).then_some(())
        })
        .await;
    }
    let mut heights = Vec::new();
    for nonce in 0..4_u64 {
        let tx = transfer(1, nonce, chain);
        let taker = usize::try_from(nonce).unwrap();
        eventually("a taken transaction", || async {
            daemons[taker].client().submit(&tx).await.ok()
        })
        .await;
        for daemon in &daemons {
            heights.push(applied_at(daemon, tx.body.hash()).await);
        }
    }
    let last = *heights.iter().max().unwrap();
    let mut roots = Vec::new();
    for daemon in &daemons {
        roots.push(root_at(daemon, last).await);
        let status = daemon.client().status().await.unwrap();
        assert!(status.conserved);
        assert_eq!(status.committee.len(), 4);
    }
    roots.dedup();
    assert_eq!(roots.len(), 1, "{roots:?}");
    each_was_told(&daemons).await;
    a_proof_holds_with_another_validators_certificate(&cluster, &daemons, chain).await;
    validators_are_listed(&cluster, &daemons[2]).await;
}

/// Each took one transaction, so each was told of three.
async fn each_was_told(daemons: &[Daemon]) {
    for daemon in daemons {
        let text = daemon.http.call(Call::get("/metrics")).await.unwrap().body;
        let text = String::from_utf8(text.to_vec()).unwrap();
        let count =
            text.lines().find_map(|l| l.strip_prefix("srwan_ledger_gossip_received_total "));
        assert!(count.unwrap().parse::<u64>().unwrap() >= 3, "{text}");
    }
}

async fn a_proof_holds_with_another_validators_certificate(
    cluster: &Cluster,
    daemons: &[Daemon],
    chain: ChainId,
) {
    let committee = (0..4).map(|index| cluster.key(index).0).collect();
    let trust = Trust { chain, committee, epochs: 0..=1 };
    let mut proof = daemons[1].client().prove_account(&key(1)).await.unwrap();
    let other = daemons[3].client();
    let height = Height(proof.certificate.height);
    proof.certificate = eventually("the certificate elsewhere", || async {
        other.certificate(height).await.ok().filter(|found| found.height == height.0)
    })
    .await;
    let proved = trust.check_account(&key(1), &proof).unwrap();
    assert_eq!(proved.row.unwrap().nonce, 4);
    let absent = daemons[2].client().prove_account(&key(77)).await.unwrap();
    assert_eq!(trust.check_account(&key(77), &absent).unwrap().row, None);
    assert_eq!(trust.check_account(&key(1), &absent), Err(NoProof::OtherSubject));
    let foreign = Trust { chain: ChainId([9; 32]), ..trust.clone() };
    assert!(matches!(foreign.check_account(&key(1), &proof), Err(NoProof::Certificate(_))));
    let few = Trust { committee: vec![cluster.key(0).0], ..trust };
    assert!(few.check_account(&key(1), &proof).is_err(), "a committee that is not the ledger's");
    proof.row = absent.row;
    assert!(matches!(
        trust_again(cluster, chain).check_account(&key(1), &proof),
        Err(NoProof::Proof(_))
    ));
}

fn trust_again(cluster: &Cluster, chain: ChainId) -> Trust {
    let committee = (0..4).map(|index| cluster.key(index).0).collect();
    Trust { chain, committee, epochs: 0..=1 }
}

async fn validators_are_listed(cluster: &Cluster, daemon: &Daemon) {
    let listed = daemon.client().validators().await.unwrap();
    let keys: Vec<String> = listed.validators.iter().map(|info| info.key.clone()).collect();
    let mut expected: Vec<String> = (0..4).map(|index| cluster.key(index).to_string()).collect();
    expected.sort();
    assert_eq!(keys, expected);
    assert!(listed.validators.iter().all(|info| info.in_committee && info.connected));
    assert!(listed.validators.iter().filter(|info| info.last_signed_height.is_some()).count() >= 3);
}

#[tokio::test]
async fn one_dead_is_survived_two_halt_and_all_settles_once() {
    let cluster = Cluster::new(4);
    let mut daemons = cluster.start();
    let chain = daemons[0].chain().await;
    in_step(&daemons[0], 2).await;
    in_step(&daemons[1], 2).await;

    daemons.pop().unwrap().kill_9();
    let first = transfer(1, 0, chain);
    daemons[0].client().submit(&first).await.unwrap();
    applied_at(&daemons[0], first.body.hash()).await;

    daemons.pop().unwrap().kill_9();
    // What is in flight may still become final; then nothing does.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let halted = daemons[0].client().status().await.unwrap().height;
    let second = transfer(1, 1, chain);
    daemons[1].client().submit(&second).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let still = daemons[0].client().status().await.unwrap();
    assert!(still.height <= halted + 1, "{} after {halted}", still.height);

    daemons.push(cluster.sites[2].start());
    daemons.push(cluster.sites[3].start());
    for daemon in &daemons {
        applied_at(daemon, second.body.hash()).await;
        assert_eq!(daemon.account(&key(1)).await.nonce, 2);
        let balance = daemon.account(&key(4)).await.balance().unwrap().base();
        assert_eq!(balance, 1_000_000_000_002);
        assert!(daemon.client().supply().await.unwrap().conserved);
    }
}

#[tokio::test]
async fn a_wiped_validator_catches_up_and_a_stranger_never_joins() {
    let cluster = Cluster::new(4);
    let mut daemons = cluster.start();
    let chain = daemons[0].chain().await;
    in_step(&daemons[0], 2).await;
    let tx = transfer(1, 0, chain);
    daemons[0].client().submit(&tx).await.unwrap();
    let height = applied_at(&daemons[0], tx.body.hash()).await;

    daemons.pop().unwrap().kill_9();
    cluster.wipe(3);
    let wiped = cluster.sites[3].start();
    in_step(&wiped, height).await;
    assert_eq!(wiped.account(&key(1)).await.nonce, 1);
    assert_eq!(root_at(&wiped, height).await, root_at(&daemons[0], height).await);

    // The same addresses and a key of the committee, but another genesis: another ledger.
    daemons.pop().unwrap().kill_9();
    let config = std::fs::read_to_string(cluster.sites[2].path("validator.toml")).unwrap();
    let address = config.split("p2p_listen = \"").nth(1).unwrap().split('"').next().unwrap();
    let other = cluster.genesis.replace("supply_coins = 100000", "supply_coins = 100001");
    let stranger = site(103, address.parse().unwrap(), &other).start();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let status = stranger.client().status().await.unwrap();
    assert_eq!((status.height, status.peers, status.syncing), (0, 0, true));
    assert_ne!(status.chain_id, chain.to_string());
}

#[tokio::test]
async fn a_fifth_validator_joins_follows_and_is_needed() {
    let cluster = Cluster::with(4, "committee_blocks = 20\nvalidator_bond_coins = 10\n");
    let mut daemons = cluster.start();
    let chain = daemons[0].chain().await;
    in_step(&daemons[0], 2).await;
    let address = free_addresses(1)[0];
    let join = author(1, chain).validator_join(0, &secret(105), address, coins(10));
    daemons[0].client().submit(&join).await.unwrap();
    let joined = applied_at(&daemons[0], join.body.hash()).await;
    let fifth = site(105, address, &cluster.genesis);
    let fifth = fifth.start();
    let status = in_step(&fifth, joined).await;
    assert!(status.conserved);
    eventually("a committee of five", || async {
        let status = fifth.client().status().await.ok()?;
        (status.committee.len() == 5 && !status.syncing).then_some(())
    })
    .await;
    // Four of five are a quorum: with one dead, nothing is final without the fifth.
    daemons.pop().unwrap().kill_9();
    let tx = transfer(2, 0, chain);
    fifth.client().submit(&tx).await.unwrap();
    let height = applied_at(&daemons[0], tx.body.hash()).await;
    assert_eq!(applied_at(&fifth, tx.body.hash()).await, height);
    assert_eq!(root_at(&fifth, height).await, root_at(&daemons[0], height).await);
}
