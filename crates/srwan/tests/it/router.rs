//! Every question to a router, as text and as JSON, against recorded answers.

use crate::recorded::Recorded;
use serde_json::Value;
use std::os::unix::fs::OpenOptionsExt;

const QUESTIONS: [&[&str]; 18] = [
    &["status"],
    &["router", "list"],
    &["router", "show", "fra"],
    &["router", "show", "2"],
    &["router", "drain"],
    &["path", "show"],
    &["path", "get", "sin"],
    &["path", "why", "sin"],
    &["path", "history", "sin"],
    &["matrix"],
    &["matrix", "--mode", "loss"],
    &["matrix", "--mode", "jitter"],
    &["matrix", "--mode", "gain"],
    &["wallet", "show"],
    &["wallet", "balance"],
    &["ticket", "list"],
    &["ticket", "show", "abab"],
    &["ping", "sin", "--via", "fra,bom"],
];

#[test]
fn every_answer_fits_a_hundred_columns() {
    let router = Recorded::start();
    for question in QUESTIONS {
        router.ask(question).answers();
    }
}

#[test]
fn every_answer_is_json_with_a_schema_when_asked_for() {
    let router = Recorded::start();
    for question in QUESTIONS {
        let ran = router.ask(&[question, &["--json"]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{question:?}");
        ran.json();
    }
}

#[test]
fn why_shows_each_candidate_with_its_rule_below() {
    let router = Recorded::start();
    let json = router.ask(&["path", "why", "sin", "--json"]).json();
    let text = router.ask(&["path", "why", "sin"]).stdout;
    let shown: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for candidate in json["paths"]["candidates"].as_array().unwrap() {
        let rule = candidate["rule"].as_str().unwrap();
        assert!(shown.contains(rule), "{rule} missing in:\n{text}");
    }
    assert!(shown.contains("the default path -> via fra, bom"), "{text}");
}

#[test]
fn a_matrix_is_a_line_per_pair_in_csv() {
    let router = Recorded::start();
    let csv = router.ask(&["matrix", "--csv"]).stdout;
    let matrix = router.ask(&["matrix", "--json"]).json();
    let known = matrix["cells"].as_array().unwrap().iter().filter(|cell| !cell.is_null()).count();
    assert_eq!(csv.lines().count(), 1 + known);
    assert!(csv.starts_with("from,to,owd_us,"));
}

#[test]
fn a_ping_that_loses_too_much_is_a_finding() {
    let router = Recorded::start();
    let code = |arguments: &[&str]| router.ask(arguments).code;
    assert_eq!(code(&["ping", "sin", "--loss-max", "0"]), 0, "the path is judged if there is one");
    assert_eq!(code(&["status"]), 0);
}

#[test]
fn the_address_of_the_portal_has_one_slash_and_the_token() {
    let router = Recorded::start();
    let token = "0123456789abcdef".repeat(4);
    let file = router.state_file("portal.token");
    let options = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&file);
    std::io::Write::write_all(&mut options.unwrap(), format!("{token}\n").as_bytes()).unwrap();
    let url = router.ask(&["portal", "url"]).stdout;
    assert_eq!(url.trim(), format!("http://127.0.0.1:7443/login?token={token}"));
    let json: Value = router.ask(&["portal", "url", "--json"]).json();
    assert_eq!(json["url"], url.trim());
    std::fs::remove_file(&file).unwrap();
    router.ask(&["portal", "url"]).fails(1, "SRW-D206");
}
