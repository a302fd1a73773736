//! Committees that change, and validators that come late.

use std::sync::Arc;

use commonware_runtime::Runner as _;
use commonware_utils::probability;

use srwan_engine::light::{self, LightError};
use srwan_engine::seam::{Certificate, FinalBlock};

use crate::ledger::Schedule;
use crate::links::runner;
use crate::world::{Lasting, NAMESPACE, World, fixed, link, peer};

const ALL: [usize; 6] = [0, 1, 2, 3, 4, 5];

#[test]
fn committees_rotate_without_a_halt_and_whoever_crashes_joins_its_epoch_again() {
    let lasting = Lasting::new(6, 10, &rotating());
    runner(61).start(|context| async move {
        let mut world = World::new(context, lasting, link(20, 10, probability!(9, 10))).await;
        world.start_all().await;
        world.reach(&ALL, 25).await;
        world.crash(2).await;
        world.reach(&[0, 1, 3, 4, 5], 55).await;
        world.lasting.ledgers[2].disk.forget(3);
        world.start(2).await;
        world.reach(&ALL, 62).await;
        for index in ALL {
            let status = world.status(index);
            let members = rotating()(status.epoch);
            let voting = members.contains(&peer(u8::try_from(index).unwrap()));
            assert_eq!(status.voting, voting, "validator {index} in epoch {}", status.epoch);
        }
        world.relink(link(10, 5, probability!(1.0)), |_, _| true).await;
        world.assert_live(&ALL).await;
    });
}

#[test]
fn certificates_of_every_epoch_name_signers_of_its_committee() {
    let lasting = Lasting::new(6, 10, &rotating());
    runner(62).start(|context| async move {
        let mut world = World::new(context, lasting, link(10, 5, probability!(1.0))).await;
        world.start_all().await;
        world.reach(&ALL, 41).await;
        let handle = world.handle(0);
        for epoch in 0..4 {
            let certificate = handle.certificate(epoch * 10 + 10).await.unwrap();
            assert_eq!(certificate.height, epoch * 10 + 10, "an epoch's last block has its own");
            let members = rotating()(epoch);
            assert!(certificate.signers.len() >= 3);
            let known = |key: &[u8; 32]| members.iter().any(|peer| peer.key == *key);
            assert!(certificate.signers.iter().all(known));
            let block = handle.block(certificate.height).await.unwrap();
            assert_eq!(block.digest, certificate.digest);
            let body_hash = *blake3::hash(&block.payload.body).as_bytes();
            assert_eq!(light::Context::decode(&block.context).unwrap().body_hash, body_hash);
            convinces_only_its_own_committee(&block, &certificate, epoch);
        }
    });
}

#[test]
fn a_validator_that_joins_late_catches_up_through_many_epochs() {
    let lasting = Lasting::new(5, 10, &fixed(5));
    runner(63).start(|context| async move {
        let mut world = World::new(context, lasting, link(10, 5, probability!(1.0))).await;
        for index in 0..4 {
            world.start(index).await;
        }
        world.reach(&[0, 1, 2, 3], 120).await;
        world.start(4).await;
        let (height, _) = world.lasting.judge.chain();
        let took = world.reach(&[4], height).await;
        assert!(took.as_secs() < 30, "catching up {height} blocks took {took:?}");
        world.assert_live(&[0, 1, 2, 3, 4]).await;
    });
}

fn convinces_only_its_own_committee(block: &FinalBlock, certificate: &Certificate, epoch: u64) {
    let committee = |epoch| rotating()(epoch).iter().map(|peer| peer.key).collect::<Vec<_>>();
    let (context, header) = (block.context.as_slice(), block.payload.header.as_slice());
    let bytes = certificate.bytes.as_slice();
    let own = committee(epoch);
    let check = |context: &[u8], header: &[u8], bytes: &[u8]| {
        light::verify(NAMESPACE, &own, context, header, bytes)
    };
    let verified = check(context, header, bytes).unwrap();
    assert_eq!((verified.height, verified.epoch), (block.height, epoch));
    assert_eq!(verified.signers, certificate.signers);
    let other = light::verify(NAMESPACE, &committee(epoch + 1), context, header, bytes);
    assert_eq!(other, Err(LightError::Signature));
    let elsewhere = light::verify(b"other", &own, context, header, bytes);
    assert_eq!(elsewhere, Err(LightError::Signature));
    assert_eq!(light::verify(NAMESPACE, &[], context, header, bytes), Err(LightError::Committee));
    assert_eq!(check(&context[1..], header, bytes), Err(LightError::Malformed));
    assert_eq!(check(context, b"", bytes), Err(LightError::OtherBlock));
    for at in 0..context.len() {
        let mut forged = context.to_vec();
        forged[at] ^= 1;
        assert_eq!(check(&forged, header, bytes), Err(LightError::OtherBlock));
    }
    for at in 0..bytes.len() {
        assert_eq!(check(context, header, &bytes[..at]), Err(LightError::Malformed));
        let mut forged = bytes.to_vec();
        forged[at] ^= 1;
        assert!(check(context, header, &forged).is_err(), "octet {at} does not matter");
    }
}

/// Four of six, moving on by one every epoch.
fn rotating() -> Schedule {
    Arc::new(|epoch| {
        let first = u8::try_from(epoch % 6).unwrap();
        let mut members: Vec<_> = (first..first + 4).map(|index| peer(index % 6)).collect();
        members.sort();
        members
    })
}
