//! Validators that break the protocol.

use std::sync::Arc;

use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::mocks::relay::Relay;
use commonware_consensus::simplex::mocks::{
    conflicter, equivocator, impersonator, nuller, nullify_only, outdated,
};
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::types::{Epoch, ViewDelta};
use commonware_cryptography::Blake3;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::simulated::{Receiver, Sender, SplitOrigin, SplitSender, SplitTarget};
use commonware_p2p::utils::mux::Muxer;
use commonware_p2p::{Message, Recipients};
use commonware_runtime::deterministic::Context;
use commonware_runtime::{IoBuf, Runner as _, Supervisor as _};
use commonware_utils::ordered::Set;
use commonware_utils::probability;
use srwan_engine::light::{self, LightError};
use srwan_engine::network::Channels;
use srwan_engine::seam::Equivocation;

use crate::ledger::Ledger;
use crate::links::runner;
use crate::world::{Lasting, NAMESPACE, SimChannels, World, fixed, link, peer, private, public};

const HONEST: [usize; 3] = [0, 1, 2];
const LIAR: usize = 3;

#[test]
fn two_votes_for_different_blocks_are_reported_and_harm_nobody() {
    let evidence = with_liar(71, async |world, context, votes, _| {
        let config = conflicter::Config { scheme: scheme() };
        conflicter::Conflicter::<_, _, Blake3>::new(context, config).start(votes);
        world.reach(&HONEST, 25).await;
    });
    let proof = evidence.first().expect("the conflicting votes were not reported");
    assert_eq!(proof.key, peer(3).key);
    refuses_what_is_no_proof(proof);
}

#[test]
fn a_leader_that_proposes_two_blocks_harms_nobody() {
    with_liar(72, async |world, context, votes, certificates| {
        let config = equivocator::Config {
            scheme: scheme(),
            elector: RoundRobin::<commonware_cryptography::Sha256>::default(),
            epoch: Epoch::zero(),
            relay: Arc::new(Relay::new()),
        };
        let liar = equivocator::Equivocator::<_, _, _, Blake3>::new(context, config);
        liar.start(votes, certificates);
        world.reach(&HONEST, 25).await;
    });
}

#[test]
fn finalizing_and_skipping_one_view_is_reported_and_harms_nobody() {
    let evidence = with_liar(73, async |world, context, votes, _| {
        let config = nuller::Config { scheme: scheme() };
        nuller::Nuller::<_, _, Blake3>::new(context, config).start(votes);
        world.reach(&HONEST, 25).await;
    });
    assert!(!evidence.is_empty());
}

#[test]
fn votes_for_old_views_harm_nobody() {
    with_liar(74, async |world, context, votes, _| {
        let config = outdated::Config { scheme: scheme(), view_delta: ViewDelta::new(5) };
        outdated::Outdated::<_, _, Blake3>::new(context, config).start(votes);
        world.reach(&HONEST, 25).await;
    });
}

#[test]
fn votes_in_the_name_of_others_harm_nobody_and_accuse_nobody() {
    let evidence = with_liar(75, async |world, context, votes, _| {
        let config = impersonator::Config { scheme: scheme() };
        impersonator::Impersonator::<_, _, Blake3>::new(context, config).start(votes);
        world.reach(&HONEST, 25).await;
    });
    assert_eq!(evidence, []);
}

#[test]
fn a_validator_that_only_skips_harms_nobody() {
    with_liar(76, async |world, context, votes, _| {
        let config = nullify_only::Config { scheme: scheme() };
        nullify_only::NullifyOnly::<_, _, Blake3>::new(context, config).start(votes);
        world.reach(&HONEST, 25).await;
    });
}

#[test]
fn twins_with_one_key_that_talk_to_different_halves_harm_nobody() {
    for seed in [77, 78] {
        let lasting = Lasting::new(4, 1_000, &fixed(4));
        runner(seed).start(|context| async move {
            let mut world = World::new(context, lasting, link(10, 5, probability!(1.0))).await;
            let (one, other) = split(&world.context, world.channels(LIAR).await);
            for (ledger, channels) in [(honest_copy(&world), one), (honest_copy(&world), other)] {
                world.start_twin(LIAR, ledger, channels);
            }
            for index in HONEST {
                world.start(index).await;
            }
            world.reach(&HONEST, 25).await;
            let all =
                HONEST.iter().map(|it| world.lasting.ledgers[*it].evidence.lock().unwrap().len());
            assert!(all.sum::<usize>() > 0, "the twins never contradicted each other");
            world.assert_live(&HONEST).await;
        });
    }
}

/// An application that judges apart, so that a twin's view of the chain is its own.
fn honest_copy(world: &World) -> Arc<Ledger> {
    let mut copy = world.lasting.ledgers[LIAR].restarted();
    copy.disk = crate::ledger::Disk::new();
    copy.judge = crate::ledger::Judge::default();
    Arc::new(copy)
}

type Pair = (Sender<PublicKey, Context>, Receiver<PublicKey>);
type SubPair = (
    commonware_p2p::utils::mux::SubSender<Sender<PublicKey, Context>>,
    commonware_p2p::utils::mux::SubReceiver<PublicKey>,
);

/// Runs three honest validators and a liar, which `lie` starts on its channels of the first epoch.
/// Returns what the honest were told about it.
fn with_liar(
    seed: u64,
    lie: impl AsyncFnOnce(&World, Context, SubPair, SubPair),
) -> Vec<Equivocation> {
    let lasting = Lasting::new(4, 1_000, &fixed(4));
    runner(seed).start(|context| async move {
        let mut world = World::new(context, lasting, link(10, 5, probability!(1.0))).await;
        let channels = world.channels(LIAR).await;
        let votes = first_epoch(&world.context, channels.votes).await;
        let certificates = first_epoch(&world.context, channels.certificates).await;
        for index in HONEST {
            world.start(index).await;
        }
        lie(&world, world.context.child("liar"), votes, certificates).await;
        world.assert_live(&HONEST).await;
        let told = |index: &usize| world.lasting.ledgers[*index].evidence.lock().unwrap().clone();
        HONEST.iter().flat_map(told).collect()
    })
}

async fn first_epoch(context: &Context, (sender, receiver): Pair) -> SubPair {
    let (muxer, mut handle) = Muxer::new(context.child("liar_mux"), sender, receiver);
    muxer.start();
    handle.register(0).await.unwrap()
}

fn scheme() -> Scheme {
    let keys = Set::from_iter_dedup((0..4).map(public));
    Scheme::signer(NAMESPACE, keys, private(LIAR)).unwrap()
}

type Half = (SplitSender<PublicKey, Context, Forward>, Receiver<PublicKey>);
type Halves = Channels<SplitSender<PublicKey, Context, Forward>, Receiver<PublicKey>>;
type Forward = fn(SplitOrigin, &Recipients<PublicKey>, &IoBuf) -> Option<Recipients<PublicKey>>;

/// One twin talks with the first two validators, the other with the last two.
fn split(context: &Context, channels: SimChannels) -> (Halves, Halves) {
    let (votes, votes_too) = halves(context, channels.votes);
    let (certificates, certificates_too) = halves(context, channels.certificates);
    let (resolver, resolver_too) = halves(context, channels.resolver);
    let (backfill, backfill_too) = halves(context, channels.backfill);
    let (blocks, blocks_too) = halves(context, channels.blocks);
    let (gossip, gossip_too) = halves(context, channels.gossip);
    let one = Channels { votes, certificates, resolver, backfill, blocks, gossip };
    let other = Channels {
        votes: votes_too,
        certificates: certificates_too,
        resolver: resolver_too,
        backfill: backfill_too,
        blocks: blocks_too,
        gossip: gossip_too,
    };
    (one, other)
}

fn halves(context: &Context, (sender, receiver): Pair) -> (Half, Half) {
    let (sender, sender_too) = sender.split_with(forward as Forward);
    let route =
        |(from, _): &Message<PublicKey>| match HONEST.iter().position(|it| public(*it) == *from) {
            Some(0) => SplitTarget::Primary,
            Some(1) => SplitTarget::Both,
            Some(_) => SplitTarget::Secondary,
            None => SplitTarget::None,
        };
    let (receiver, receiver_too) = receiver.split_with(context.child("split"), route);
    ((sender, receiver), (sender_too, receiver_too))
}

fn forward(
    from: SplitOrigin,
    to: &Recipients<PublicKey>,
    _: &IoBuf,
) -> Option<Recipients<PublicKey>> {
    let half = match from {
        SplitOrigin::Primary => [public(0), public(1)],
        SplitOrigin::Secondary => [public(1), public(2)],
    };
    let wanted = |key: &PublicKey| match to {
        Recipients::All => true,
        Recipients::Some(keys) => keys.contains(key),
        Recipients::One(one) => one == key,
    };
    let reached: Vec<PublicKey> = half.into_iter().filter(wanted).collect();
    (!reached.is_empty()).then_some(Recipients::Some(reached))
}

fn refuses_what_is_no_proof(proof: &Equivocation) {
    let check = |namespace: &[u8], key: &[u8; 32], bytes: &[u8]| {
        light::verify_equivocation(namespace, key, bytes)
    };
    let (key, bytes) = (&proof.key, proof.bytes.as_slice());
    assert_eq!(check(NAMESPACE, key, bytes), Ok(0));
    assert_eq!(check(b"other", key, bytes), Err(LightError::Signature));
    assert_eq!(check(NAMESPACE, &peer(0).key, bytes), Err(LightError::Signature));
    for cut in 0..bytes.len() {
        assert_eq!(check(NAMESPACE, key, &bytes[..cut]), Err(LightError::Malformed));
    }
    let half = 1 + (bytes.len() - 1) / 2;
    let same_twice = [&bytes[..half], &bytes[1..half]].concat();
    assert_eq!(check(NAMESPACE, key, &same_twice), Err(LightError::NoContradiction));
    let mut tolerated = 0;
    for at in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1;
        tolerated += u32::from(check(NAMESPACE, key, &flipped).is_ok());
    }
    assert_eq!(tolerated, 2, "only the two signers' seats are not signed: the key stands for them");
}
