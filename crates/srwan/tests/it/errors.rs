//! Exit codes, and errors as code, what, why and fix.

use crate::recorded::Recorded;
use crate::run::{page, srwan};

#[test]
fn an_unknown_flag_is_a_usage_error_with_a_suggestion() {
    let ran = srwan(&["status", "--wach"]);
    ran.fails(2, "SRW-D201");
    assert!(ran.stderr.contains("'--wach'") && ran.stderr.contains("'--watch'"), "{ran:?}");
    assert!(ran.stderr.contains("  why: usage: srwan status"), "{ran:?}");
    srwan(&["ping", "lon", "--count", "0"]).fails(2, "SRW-D201");
    srwan(&["frobnicate"]).fails(2, "SRW-D201");
}

#[test]
fn without_a_router_every_question_to_it_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("router.sock");
    let socket = socket.to_str().unwrap();
    for question in [
        &["status"][..],
        &["down"],
        &["ping", "lon"],
        &["router", "list"],
        &["router", "drain"],
        &["path", "show"],
        &["path", "why", "lon"],
        &["matrix"],
        &["wallet", "show"],
        &["ticket", "list"],
        &["portal", "url"],
    ] {
        let ran = srwan(&[question, &["--socket", socket]].concat());
        ran.fails(3, "SRW-D101");
        assert!(ran.stderr.contains("fix: start one: srwan up"), "{ran:?}");
    }
}

#[test]
fn without_a_daemon_its_clients_end_with_3() {
    // A port that was just free, and that nobody has taken since.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    srwan(&["ledger", "status", "--url", &url]).fails(3, "SRW-D101");
    srwan(&["controller", "group", "--url", &url]).fails(3, "SRW-D101");
}

#[test]
fn a_daemon_that_never_answers_is_a_timeout() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    srwan(&["ledger", "status", "--url", &url]).fails(8, "SRW-D102");
}

#[test]
fn what_does_not_exist_is_4() {
    let router = Recorded::start();
    srwan(&["router", "show", "atlantis", "--socket", router.socket()]).fails(4, "SRW-R404");
    srwan(&["ping", "atlantis", "--socket", router.socket()]).fails(4, "SRW-P001");
    srwan(&["path", "why", "atlantis", "--socket", router.socket()]).fails(4, "SRW-P001");
    srwan(&["ticket", "show", "ffff", "--socket", router.socket()]).fails(4, "SRW-R405");
    srwan(&["wallet", "new", "--key-file", "/nonexistent/key"]).fails(4, "SRW-D203");
}

#[test]
fn errors_are_json_when_json_is_asked_for() {
    for arguments in [
        &["status", "--socket", "/nonexistent/router.sock", "--json"][..],
        &["--json", "status", "--wach"],
        &["config", "check", "/nonexistent/router.toml", "--json"],
    ] {
        let ran = srwan(arguments);
        let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(error["schema"], "srwan.error/1");
        assert!(error["code"].as_str().unwrap().starts_with("SRW-"), "{ran:?}");
        assert!(ran.stdout.is_empty());
    }
}

#[test]
fn a_key_is_made_for_its_owner_alone_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.key");
    let path = file.to_str().unwrap();
    let made = srwan(&["wallet", "new", "--key-file", path, "--json"]).json();
    assert_eq!(made["account"].as_str().unwrap().len(), 64);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    srwan(&["wallet", "new", "--key-file", path]).fails(1, "SRW-D203");
    assert!(srwan_router::keys::load_or_create(&file).is_ok(), "a router takes the same file");
}

#[test]
fn doctor_says_what_it_looked_at() {
    let ran = srwan(&["doctor", "tun", "--json"]);
    let report = ran.json();
    let is_well = report["checks"][0]["state"] == "ok";
    assert_eq!(ran.code, if is_well { 0 } else { 7 }, "{ran:?}");
    assert_eq!(report["checks"].as_array().unwrap().len(), 1);
    srwan(&["doctor", "ledger"]).fails(2, "SRW-D201");
    srwan(&["doctor", "weather"]).fails(2, "SRW-D201");
}

#[test]
fn the_exit_codes_of_the_manual_are_those_of_the_help() {
    let help = srwan(&["--help"]).answers().to_owned();
    let page = page("docs/operations.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `exit ")).collect();
    assert_eq!(rows.len(), 10);
    for row in rows {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let code = cells.next().unwrap().trim_matches('`').trim_start_matches("exit ").to_owned();
        assert!(help.replace('\n', " ").contains(&format!("{code} {}", cells.next().unwrap())));
    }
}
