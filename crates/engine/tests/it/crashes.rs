//! Crashes, lost disks and failing disks.

use commonware_runtime::deterministic::{Checkpoint, FaultConfig, PartialWriteMode, WriteConfig};
use commonware_runtime::{Runner as _, deterministic};
use commonware_utils::probability;
use rand_core::Rng as _;
use srwan_engine::wiring::Exit;

use crate::links::{limited, runner};
use crate::world::{Lasting, World, fixed, link};

const ALL: [usize; 4] = [0, 1, 2, 3];

#[test]
fn validators_that_crash_one_at_a_time_keep_the_chain_going() {
    for seed in [21, 22] {
        let lasting = Lasting::new(4, 15, &fixed(4));
        runner(seed).start(|context| async move {
            let mut world = World::new(context, lasting, link(30, 20, probability!(9, 10))).await;
            world.start_all().await;
            for _ in 0..12 {
                let random = world.context.next_u64();
                let index = usize::try_from(random % 4).unwrap();
                world.sleep(500 + random / 4 % 1_500).await;
                world.crash(index).await;
                world.lasting.ledgers[index].disk.forget(random / 8 % 4);
                world.sleep(random / 16 % 1_500).await;
                world.start(index).await;
            }
            assert_eq!(world.crashes, 12);
            let answers = world.lasting.answers();
            assert!(answers.pending > 0, "no proposal stood on a block that was not final");
            world.assert_live(&ALL).await;
            world.lasting.assert_nobody_accused();
        });
    }
}

#[test]
fn validators_that_all_crash_with_torn_writes_go_on_from_their_disks() {
    let mut checkpoint: Option<Checkpoint> = None;
    let mut lasting = Lasting::new(4, 15, &fixed(4));
    let judge = lasting.judge.clone();
    for life in 0..5 {
        let runner = checkpoint.map_or_else(|| runner(31), deterministic::Runner::from);
        let (left, saved) = runner.start_and_recover(|context| async move {
            *context.storage_fault_config().write() = torn_writes();
            let before = lasting.judge.chain().0;
            let mut world = World::new(context, lasting, link(10, 5, probability!(1.0))).await;
            world.start_all().await;
            let random = world.context.next_u64();
            world.reach(&ALL, before + 7).await;
            world.sleep(random % 300).await;
            world.lasting
        });
        left.ledgers[life % 4].disk.forget(5);
        (lasting, checkpoint) = (left, Some(saved));
    }
    assert!(judge.chain().0 >= 35);
    lasting.assert_nobody_accused();
}

#[test]
fn validators_stop_when_their_disk_fails_and_go_on_once_it_works() {
    let config = limited(deterministic::Config::new().with_seed(41)).with_catch_panics(true);
    let lasting = Lasting::new(4, 15, &fixed(4));
    deterministic::Runner::new(config).start(|context| async move {
        let mut world = World::new(context, lasting, link(10, 5, probability!(1.0))).await;
        world.start_all().await;
        world.reach(&ALL, 5).await;
        let faults = FaultConfig::default().sync(probability!(1, 50));
        *world.context.storage_fault_config().write() = faults;
        let mut fallen = 0;
        while fallen < 2 {
            world.sleep(100).await;
            for index in ALL {
                let exit = world.fallen(index).await;
                assert!(matches!(exit, None | Some(Exit::Fault(_))), "{exit:?}");
                fallen += u32::from(exit.is_some());
            }
        }
        *world.context.storage_fault_config().write() = FaultConfig::default();
        world.sleep(1_000).await;
        for index in ALL {
            world.crash(index).await;
            world.start(index).await;
        }
        world.assert_live(&ALL).await;
        world.lasting.assert_nobody_accused();
    });
}

#[test]
fn a_validator_whose_state_or_store_is_lost_recovers_what_the_other_has() {
    let lasting = Lasting::new(4, 10, &fixed(4));
    runner(51).start(|context| async move {
        let mut world = World::new(context, lasting, link(10, 5, probability!(1.0))).await;
        world.start_all().await;
        world.reach(&ALL, 34).await;
        world.crash(0).await;
        world.lasting.lose_state(0);
        world.start(0).await;
        world.reach(&[0], 40).await;
        world.crash(1).await;
        world.lasting.lose_store(1);
        let height = world.height(1);
        world.start(1).await;
        world.sleep(100).await;
        assert!(!world.status(1).voting, "it must not vote where it may have voted");
        world.reach(&[1], height + 30).await;
        assert!(world.status(1).voting);
        world.crash(2).await;
        world.lasting.lose_store(2);
        world.lasting.lose_state(2);
        world.start(2).await;
        world.assert_live(&ALL).await;
        world.lasting.assert_nobody_accused();
    });
}

/// Half the octets of a write that was not synced reach the disk when the machine dies.
fn torn_writes() -> FaultConfig {
    FaultConfig::default().write(WriteConfig {
        failure_rate: probability!(0.0),
        retention_rate: probability!(0.5),
        mode: PartialWriteMode::Subset,
    })
}
