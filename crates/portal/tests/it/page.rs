//! What a logged-in browser gets.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use serde_json::Value;

use crate::desk::Desk;

#[tokio::test]
async fn the_page_and_all_it_loads_come_from_the_binary() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let page = desk.get("/", &browser.cookie).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(!page.body.contains("http://") && !page.body.contains("https://"), "{}", page.body);
    let loads = page.body.split('"').filter(|part| part.starts_with("/assets/"));
    let loads: Vec<_> = loads.collect();
    assert_eq!(loads.len(), 3, "script, style and icon: {loads:?}");
    for path in loads {
        let reply = desk.get(path, &browser.cookie).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(!reply.body.is_empty(), "{path}");
    }
    assert_eq!(desk.get("/assets/app.js.map", &browser.cookie).await.code(), "SRW-W009");
    assert_eq!(desk.get("/assets/..%2findex.html", &browser.cookie).await.code(), "SRW-W009");
}

#[tokio::test]
async fn the_overview_says_what_the_api_says() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let overview = desk.get("/api/v1/overview", &browser.cookie).await.json();
    let data = &overview["data"];
    assert_eq!((&overview["kind"], &overview["seq"]), (&"snapshot".into(), &1.into()));
    assert_eq!(data["schema"], "srwan.overview/1");
    assert_eq!(data["error"], Value::Null);
    for (part, text) in [
        ("status", include_str!("../fixture/status.json")),
        ("paths", include_str!("../fixture/paths.json")),
        ("wallet", include_str!("../fixture/wallet.json")),
    ] {
        let recorded: Value = serde_json::from_str(text).unwrap();
        assert_eq!(data[part], recorded, "{part}");
    }
    let matrix: Value = serde_json::from_str(include_str!("../fixture/matrix.json")).unwrap();
    let cells = data["matrix"]["cells"].as_array().unwrap();
    for (cell, recorded) in cells.iter().zip(matrix["cells"].as_array().unwrap()) {
        assert_eq!(cell["owd_us"], recorded["owd_us"]);
        assert_eq!(cell["improved"], recorded["improved"]);
    }
    assert_eq!(cells.len(), matrix["cells"].as_array().unwrap().len());
    assert_eq!(data["events"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn a_router_that_does_not_answer_is_said_to_be_so() {
    let desk = Desk::open_with(false).await;
    let browser = desk.login().await;
    let overview = desk.get("/api/v1/overview", &browser.cookie).await;
    assert_eq!(overview.status, 200);
    let data = &overview.json()["data"];
    assert_eq!(data["error"]["code"], "SRW-D101");
    assert_eq!(data["status"], Value::Null);
}

#[tokio::test]
async fn the_login_pages_style_is_the_one_its_policy_names() {
    let desk = Desk::open().await;
    let page = desk.get("/login", "").await;
    let style = page.body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = digest(&SHA256, style.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    // Header names and values are read as lower case by the test's client.
    let named = format!("'sha256-{}'", hash.to_ascii_lowercase());
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains(&named), "the policy must name sha256-{hash}, it says {policy}");
}
