//! Rosters reach members quickly, and nobody else.

use core::time::Duration;

use srwan_api::controller::{Membership, RosterAnswer};
use srwan_api::http::Call;

use crate::world::World;

const LONG: Duration = Duration::from_secs(20);

async fn poll(world: &World, membership: &Membership, since: u64, wait: Duration) -> Option<u64> {
    let key = world.running.controller_key;
    let answer = world.client().roster(membership, since, wait, &key).await.unwrap();
    answer.map(|(_, roster)| roster.seq)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_member_hears_of_a_change_at_once() {
    let world = World::new().await;
    let first = world.join(1).await;
    assert_eq!(poll(&world, &first, 1, Duration::ZERO).await, None);
    assert_eq!(poll(&world, &first, 0, LONG).await, Some(1), "another roster needs no wait");
    let waiting = poll(&world, &first, 1, LONG);
    let joining = async {
        tokio::task::yield_now().await;
        world.join(2).await
    };
    let (heard, _) = tokio::join!(waiting, joining);
    assert_eq!(heard, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_is_given_to_members_alone() {
    let world = World::new().await;
    let member = world.join(1).await;
    let ask = async |http: srwan_api::http::HttpClient, path: &str| {
        let error = http.get::<RosterAnswer>(path).await.unwrap_err();
        (error.code, error.status)
    };
    let refused = |code: &str, status| (code.to_owned(), status);
    assert_eq!(ask(world.http(), "/v1/roster/1").await, refused("SRW-C121", 401));
    let stranger = world.http().with_bearer("00".repeat(32));
    assert_eq!(ask(stranger, "/v1/roster/1").await, refused("SRW-C121", 403));
    let member = world.http().with_bearer(hex::encode(member.member_token));
    assert_eq!(ask(member, "/v1/roster/7").await, refused("SRW-C120", 404));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_tag_saves_sending_the_same_roster() {
    let world = World::new().await;
    let member = world.join(1).await;
    let http = world.http().with_bearer(hex::encode(member.member_token));
    let first = http.call(Call::get("/v1/roster/1")).await.unwrap();
    assert_eq!(first.etag.as_deref(), Some("\"1\""));
    let call = Call::get("/v1/roster/1").if_none_match("\"1\"");
    let second = http.call(call.clone()).await.unwrap();
    assert!(second.is_not_modified() && second.body.is_empty());
    world.join(2).await;
    assert_eq!(http.call(call).await.unwrap().etag.as_deref(), Some("\"2\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarantined_router_loses_the_roster_until_it_is_released() {
    let world = World::new().await;
    let (one, two) = (world.join(1).await, world.join(2).await);
    let detail = world.admin().quarantine(two.node, "complaints").await.unwrap();
    assert_eq!(detail.router.quarantine.unwrap().reason, "complaints");
    assert_eq!(poll(&world, &one, 2, LONG).await, Some(3));
    let key = world.running.controller_key;
    let error = world.client().roster(&two, 2, LONG, &key).await.unwrap_err();
    assert_eq!((&*error.code, error.status), ("SRW-C111", 403));
    assert!(error.what.contains("complaints"));
    let error = world.admin().quarantine(two.node, "again").await.unwrap_err();
    assert_eq!((&*error.code, error.status), ("SRW-C142", 409));
    world.admin().release(two.node).await.unwrap();
    assert_eq!(poll(&world, &two, 2, LONG).await, Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_does_not_wait_for_waiting_members() {
    let world = World::new().await;
    let member = world.join(1).await;
    let (client, key) = (world.client(), world.running.controller_key);
    let waiting = tokio::spawn(async move { client.roster(&member, 1, LONG, &key).await });
    // The controller sees the poll before it sees the next request.
    world.client().status().await.unwrap();
    let start = std::time::Instant::now();
    world.running.stop().await;
    // Answered "no change", or cut before it was taken up.
    let _ = waiting.await.unwrap();
    assert!(start.elapsed() < LONG / 2);
}
