//! What everybody and what the operator may ask.

use srwan_api::http::{ApiError, Call};
use srwan_wire::id::NodeId;

use crate::world::{World, row};

#[tokio::test(flavor = "multi_thread")]
async fn reports_become_segments_that_can_be_queried() {
    let world = World::new().await;
    let (one, two) = (world.join(1).await, world.join(2).await);
    let rows = [row(one.node, 1, 1, &[(2, 80)]), row(two.node, 2, 1, &[(1, 20)])];
    let answer = world.report(&one, 1, &rows).await.unwrap();
    assert_eq!((answer.rows_new, answer.rows_refused, answer.first_of_round), (2, 0, true));
    let repeated = world.report(&two, 2, &rows).await.unwrap();
    assert_eq!((repeated.rows_new, repeated.rows_known), (0, 2));
    let all = world.client().segments("", "").await.unwrap().segments;
    assert_eq!(all.len(), 2);
    let found = world.client().segments("r2", "AS64501").await.unwrap().segments;
    let [segment] = &found[..] else { panic!("{found:?}") };
    assert_eq!((segment.a.node, segment.z.node, segment.owd_us), (2, 1, Some(80_000)));
    assert_eq!((&*segment.a.address, segment.a.port), ("198.18.0.2", 4766));
    assert_eq!(segment.a.location.city, "London");
    assert_eq!(segment.price_base_per_mb, "10000000");
    assert_eq!((segment.source.group, segment.source.reporter), (1, 1));
    assert_eq!(world.client().segments("country:FR", "").await.unwrap().segments, []);
    let history = world.client().history(two.node, one.node).await.unwrap();
    assert_eq!(history.hours.iter().map(|hour| hour.samples).sum::<u64>(), 1);
    assert_eq!(history.hours[0].owd_us_mean, 80_000);
    let status = world.client().status().await.unwrap();
    assert_eq!((status.routers, status.routers_up, status.segments), (2, 2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_report_is_refused_with_its_code() {
    let world = World::new().await;
    let one = world.join(1).await;
    let stranger = world.report(&one, 2, &[]).await.unwrap_err();
    assert_eq!((&*stranger.code, stranger.status), ("SRW-C130", 422));
    let rows = [row(one.node, 1, 1, &[])];
    world.report(&one, 1, &rows).await.unwrap();
    let again = world.report(&one, 1, &rows).await.unwrap_err();
    assert_eq!((&*again.code, again.status), ("SRW-C132", 409));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_verbs_need_the_operators_token() {
    let world = World::new().await;
    let node = world.join(1).await.node;
    let client = world.client();
    let errors = [
        client.issue_token(&Default::default()).await.map(drop).unwrap_err(),
        client.quarantine(node, "x").await.map(drop).unwrap_err(),
        client.clone().with_admin_token("wrong").release(node).await.map(drop).unwrap_err(),
        client.remove(node).await.map(drop).unwrap_err(),
    ];
    for error in &errors {
        assert_eq!((&*error.code, error.status), ("SRW-C140", 401), "{error}");
    }
    client.remove(node).await.unwrap_err();
    let limited = client.remove(node).await.unwrap_err();
    assert_eq!((&*limited.code, limited.status), ("SRW-C114", 429), "guessing is slowed down");
    let groups = world.admin().remove(node).await.unwrap().groups;
    assert_eq!((groups[0].members, groups[0].roster_seq), (0, 2));
    let gone = world.client().router(node).await.unwrap_err();
    assert_eq!((&*gone.code, gone.status), ("SRW-C141", 404));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_a_problem_document() {
    let world = World::new().await;
    let check = async |call: Call, code: &str, status: u16| {
        let error: ApiError = world.http().call(call).await.unwrap_err();
        assert_eq!((&*error.code, error.status), (code, status), "{error}");
    };
    check(Call::get("/v2/nothing"), "SRW-C146", 404).await;
    check(Call::delete("/v1/join"), "SRW-C147", 405).await;
    check(Call::get("/v1/segments?from=port:1"), "SRW-C143", 422).await;
    check(Call::get("/v1/segments?age_max_s=x"), "SRW-C143", 422).await;
    check(Call::get("/v1/history?from=1"), "SRW-C143", 422).await;
    check(Call::get("/v1/routers/0"), "SRW-C141", 404).await;
    check(Call::get("/v1/routers/x"), "SRW-C143", 422).await;
    check(Call::post("/v1/join", &"text"), "SRW-C144", 400).await;
    check(Call::post("/v1/report", &serde_json::json!({ "x": 1 })), "SRW-C144", 400).await;
    let long = "x".repeat(1 << 20);
    check(Call::post("/v1/report", &serde_json::json!({ "report": long })), "SRW-C145", 413).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_is_shown_with_what_is_held_for_and_against_it() {
    let world = World::new().await;
    let node = world.join(1).await.node;
    let detail = world.client().router(node).await.unwrap();
    assert_eq!((&*detail.router.health, detail.accuracy), ("unknown", 1_000));
    assert_eq!(detail.router.endpoints, ["198.18.0.1:4766"]);
    let missing = world.client().router(NodeId::new(5).unwrap()).await.unwrap_err();
    assert_eq!(missing.code, "SRW-C141");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_served_as_it_is_committed() {
    let world = World::new().await;
    let served = world.http().call(Call::get("/openapi.json")).await.unwrap().body;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi-controller.json");
    if std::env::var_os("SRWAN_BLESS").is_some() {
        std::fs::write(path, &served).unwrap();
    }
    let committed = std::fs::read(path).unwrap_or_default();
    assert!(
        served == committed,
        "docs/openapi-controller.json is out of date; \
         `SRWAN_BLESS=1 cargo test -p srwan-controller` writes it"
    );
    assert_eq!(served, srwan_controller::openapi_json().into_bytes());
}
