//! Joining over HTTP.

use srwan_api::controller::{JoinAnswer, TokenBody};
use srwan_api::http::ApiError;
use srwan_wire::id::AccountKey;
use tokio::task::JoinSet;

use crate::world::{World, account, join_body, profile, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_router_gets_number_group_key_and_roster_in_one_exchange() {
    let world = World::new().await;
    let membership = world.join(1).await;
    assert_eq!((membership.node.get(), membership.group.0), (1, 1));
    assert_eq!(membership.pulse_interval.as_secs(), 10);
    assert_eq!(membership.roster.members, [profile(1).into_member(membership.node)]);
    assert_eq!(membership.signed.open(&world.running.controller_key), Ok(membership.roster));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_lets_one_router_in_under_a_hundred_parallel_uses() {
    let world = World::new().await;
    let token = world.token().await;
    let mut uses = JoinSet::new();
    for index in 1..=100 {
        let request = request(world.running.controller_key, Some(token.clone()), profile(index));
        let (client, account) = (world.client(), account(index));
        uses.spawn(async move { client.join(request, &account).await });
    }
    let results = uses.join_all().await;
    let errors: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(errors.len(), 99, "exactly one gets in");
    assert!(errors.iter().all(|error| error.code == "SRW-C106"), "{:?}", errors[0]);
    assert_eq!(world.client().routers().await.unwrap().routers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hundred_and_first_router_opens_a_second_group() {
    let world = World::with(|config| config.join_tokens_file = Some("tokens".into())).await;
    let World { dir, config, running } = world;
    running.stop().await;
    let tokens: String = (1..=101).map(|index| format!("token-{index}\n")).collect();
    let file = dir.path().join("tokens");
    std::fs::write(&file, tokens).unwrap();
    let config = srwan_controller::Config { join_tokens_file: Some(file), ..config };
    let running = srwan_controller::start(config.clone()).await.unwrap();
    let world = World { dir, config, running };
    let mut joins = JoinSet::new();
    for index in 1..=101 {
        let token = Some(format!("token-{index}"));
        let request = request(world.running.controller_key, token, profile(index));
        let (client, account) = (world.client(), account(index));
        joins.spawn(async move { client.join(request, &account).await.unwrap() });
    }
    let memberships = joins.join_all().await;
    let second = memberships.iter().filter(|membership| membership.group.0 == 2).count();
    assert_eq!(second, 1);
    let groups = world.client().groups().await.unwrap().groups;
    let sizes: Vec<_> = groups.iter().map(|group| (group.group, group.members)).collect();
    assert_eq!(sizes, [(1, 100), (2, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_added_to_the_file_later_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, "first\n").unwrap();
    let world = World::with(|config| config.join_tokens_file = Some(file.clone())).await;
    world.join_with(1, Some("first".into()), |_| ()).await.unwrap();
    let unknown = world.join_with(2, Some("second".into()), |_| ()).await.unwrap_err();
    assert_eq!((&*unknown.code, unknown.status), ("SRW-C105", 403));
    std::fs::write(&file, "# lab\nfirst\nsecond\n").unwrap();
    world.join_with(2, Some("second".into()), |_| ()).await.unwrap();
    let again = world.join_with(3, Some("first".into()), |_| ()).await.unwrap_err();
    assert_eq!(again.code, "SRW-C106");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refused_with_its_code() {
    let world = World::new().await;
    let token = world.admin().issue_token(&TokenBody { ttl_s: Some(0) }).await.unwrap();
    assert!(token.expires.is_some());
    let error = world.join_with(1, Some(token.token), |_| ()).await.unwrap_err();
    assert_eq!((&*error.code, error.status), ("SRW-C107", 403));
    assert!(!error.fix.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_router_joins_again_without_a_token_and_moves() {
    let world = World::new().await;
    let first = world.join(1).await;
    let same = world.join_with(1, None, |_| ()).await.unwrap();
    assert_eq!(same, first);
    // Its clock has not moved: the client learns the controller's last time and repeats.
    let moved = |profile: &mut srwan_wire::roster::Profile| {
        profile.endpoints = vec!["203.0.113.7:4766".parse().unwrap()];
    };
    let second = world.join_with(1, None, moved).await.unwrap();
    assert_eq!((second.node, second.roster.seq), (first.node, first.roster.seq + 1));
    assert_eq!(second.roster.members[0].endpoints, ["203.0.113.7:4766".parse().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_code() {
    let world = World::new().await;
    world.join(9).await;
    let controller = world.running.controller_key;
    let check = async |index, body, code: &str, status| {
        let result: Result<JoinAnswer, ApiError> = world.http().post("/v1/join", &body).await;
        let error = result.unwrap_err();
        assert_eq!((&*error.code, error.status), (code, status), "{index} {error}");
    };
    let other = AccountKey([3; 32]);
    check(1, join_body(request(other, None, profile(1)), 1), "SRW-C101", 409).await;
    check(2, join_body(request(controller, None, profile(1)), 2), "SRW-C102", 403).await;
    let mut bad = profile(1);
    bad.endpoints = vec!["0.0.0.0:1".parse().unwrap()];
    check(3, join_body(request(controller, None, bad), 1), "SRW-C103", 422).await;
    check(4, join_body(request(controller, None, profile(1)), 1), "SRW-C104", 403).await;
    let mut stolen = profile(1);
    stolen.node_key = profile(9).node_key;
    check(5, join_body(request(controller, None, stolen), 1), "SRW-C108", 409).await;
    let mut taken = profile(1);
    taken.endpoints = profile(9).endpoints;
    let token = Some(world.token().await);
    check(6, join_body(request(controller, token, taken), 1), "SRW-C109", 409).await;
    let mut cut = join_body(request(controller, None, profile(1)), 1);
    cut.request.truncate(40);
    check(7, cut, "SRW-C144", 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_join_without_end() {
    let world = World::with(|config| {
        *config = srwan_controller::Config::parse(
            "state_dir = \".\"\nlisten = \"127.0.0.1:0\"\n[join]\nburst = 3\nper_minute = 1\n",
            &config.state_dir,
        )
        .unwrap();
    })
    .await;
    for _ in 0..3 {
        let error = world.join_with(1, Some("guess".into()), |_| ()).await.unwrap_err();
        assert_eq!(error.code, "SRW-C105");
    }
    let error = world.join_with(1, Some("guess".into()), |_| ()).await.unwrap_err();
    assert_eq!((&*error.code, error.status), ("SRW-C114", 429));
}
