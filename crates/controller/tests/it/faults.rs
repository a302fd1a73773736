//! Disks that fill up, files that are damaged, ports that are taken.

use srwan_api::http::ApiError;
use srwan_controller::{Config, start};

use crate::world::{World, generous, profile};

async fn refused(config: Config) -> ApiError {
    match start(config).await {
        Ok(_) => panic!("the controller started"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_with_a_code_and_loses_nothing() {
    // A database that may not grow stands for a small disk: SQLite reports both alike.
    let world = World::with(|config| config.store_octets_max = 80 << 10).await;
    let first = world.join(1).await;
    let mut issued = 0_u32;
    let error = loop {
        match world.admin().issue_token(&Default::default()).await {
            Ok(_) => issued += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((&*error.code, error.status), ("SRW-C202", 507), "{error}");
    assert!(issued > 100, "{issued}");
    let status = world.client().status().await.unwrap();
    assert_eq!(status.open_tokens, usize::try_from(issued).unwrap(), "what failed left no trace");
    assert_eq!(world.join_with(1, None, |_| ()).await.unwrap(), first);
    let mut config = world.config.clone();
    config.store_octets_max *= 2;
    let World { dir, running, .. } = world;
    running.stop().await;
    let running = start(config.clone()).await.unwrap();
    let world = World { dir, config, running };
    world.join(2).await;
    assert_eq!(world.client().routers().await.unwrap().routers.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_named_and_not_served() {
    let world = World::new().await;
    for index in 1..=20 {
        world.join(index).await;
    }
    let World { dir, config, running } = world;
    running.stop().await;
    let path = dir.path().join("controller.db");
    let whole = std::fs::read(&path).unwrap();
    let damage = async |octets: Vec<u8>| {
        std::fs::write(&path, octets).unwrap();
        let error = refused(config.clone()).await;
        assert_eq!(error.code, "SRW-C201", "{error}");
        assert!(error.what.contains("controller.db"), "{error}");
        assert!(!error.fix.is_empty());
    };
    damage(b"this is no database at all, but it is longer than a header".repeat(9)).await;
    let mut torn = whole.clone();
    torn[4_096..].fill(0xa5);
    damage(torn).await;
    let mut later = whole.clone();
    later[60..64].copy_from_slice(&99_u32.to_be_bytes());
    damage(later).await;
    std::fs::write(&path, &whole).unwrap();
    start(config).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_member_that_was_altered_is_noticed() {
    let world = World::new().await;
    world.join(1).await;
    let World { dir, config, running } = world;
    running.stop().await;
    let path = dir.path().join("controller.db");
    let mut octets = std::fs::read(&path).unwrap();
    let endpoint = [198, 18, 0, 1];
    let at = octets.windows(4).rposition(|window| window == endpoint).unwrap();
    octets[at..at + 4].copy_from_slice(&[127, 0, 0, 1]);
    std::fs::write(&path, octets).unwrap();
    let error = refused(config).await;
    assert_eq!(error.code, "SRW-C201", "{error}");
    assert_eq!(profile(1).endpoints.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_controllers_never_share_a_directory() {
    let world = World::new().await;
    let error = refused(world.config.clone()).await;
    assert_eq!(error.code, "SRW-C203", "{error}");
    assert!(world.client().status().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_and_an_unusable_directory_are_named() {
    let world = World::new().await;
    let other = tempfile::tempdir().unwrap();
    let config = Config { listen: world.running.address, ..generous(other.path()) };
    assert_eq!(refused(config).await.code, "SRW-C207");
    let file = other.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(refused(generous(&file.join("dir"))).await.code, "SRW-C205");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let World { dir, config, running } = World::new().await;
    running.stop().await;
    let key = dir.path().join("controller.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(refused(config).await.code, "SRW-C206");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_says_when_nobody_is_there() {
    let world = World::new().await;
    let client = world.client();
    world.running.stop().await;
    let error = client.status().await.unwrap_err();
    assert!(error.is_unreachable() && error.is_transient(), "{error}");
}
