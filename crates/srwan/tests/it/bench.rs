//! The benchmark as a process: a short run with real daemons where that is possible, and its errors everywhere.

use crate::run::{Ran, srwan};
use std::io::Write;
use std::path::Path;

#[test]
fn the_hot_steps_are_measured_without_rights() {
    let micro = srwan(&["bench", "net", "--micro", "--json"]).json();
    assert_eq!(micro["schema"], "srwan.bench-micro/1");
    for size in micro["sizes"].as_array().unwrap() {
        assert!(size["forward_ns"]["median"].as_f64().unwrap() > 0.0, "{size}");
    }
    srwan(&["bench", "net", "--micro"]).answers();
}

#[test]
fn an_unknown_contender_is_refused_with_those_there_are() {
    let ran = srwan(&["bench", "net", "--contender", "srwan,pigeon"]);
    ran.fails(4, "SRW-B009");
    assert!(ran.stderr.contains("`pigeon`") && ran.stderr.contains("wireguard-go"), "{ran:?}");
}

#[test]
fn forwarding_and_every_way_of_srwan_get_figures_and_nothing_is_left() {
    let arguments = ["bench", "net", "--quick", "--contender", "forwarding,srwan", "--json"];
    let ran = srwan(&arguments);
    if let Some(why) = cannot(&ran) {
        let _unseen = writeln!(std::io::stderr(), "SKIPPED: {why}");
        return;
    }
    let report = ran.json();
    assert_eq!(report["schema"], "srwan.bench-net/1");
    let ways = |name: &str| -> Vec<serde_json::Value> {
        let mut entries = report["contenders"].as_array().unwrap().iter();
        let entry = entries.find(|entry| entry["name"] == name).unwrap();
        assert_eq!(entry["state"], "measured", "{ran:?}");
        entry["ways"].as_array().unwrap().clone()
    };
    let all = ["tcp_1_gbps", "tcp_4_gbps", "flows_64_gbps", "udp_100_kpps"];
    let mut seen = Vec::new();
    for way in ways("forwarding").into_iter().chain(ways("srwan")) {
        for figure in all {
            let median = way["figures"][figure]["median"].as_f64().unwrap();
            assert!(median > 0.0, "{figure} of {way}");
        }
        seen.push(way["way"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, ["plain", "pass-through", "direct", "relay"]);
    assert!(!Path::new("/run/srwan-lab/bench").exists());
    let namespaces = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let is_ours = |name: std::ffi::OsString| name.to_string_lossy().contains("srwan-lab-bench--");
    assert!(!namespaces.map(|entry| entry.file_name()).any(is_ours));
}

/// Why this machine cannot run it, if it cannot: no rights, no program, or another run.
fn cannot(ran: &Ran) -> Option<String> {
    let codes = ["SRW-B001", "SRW-B004", "SRW-B008"];
    let said = codes.iter().any(|code| ran.stderr.contains(code));
    said.then(|| ran.stderr.lines().last().unwrap_or_default().to_owned())
}
