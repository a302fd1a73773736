//! The configuration through its public door: text in, `Config` or a fault with code, line and hint out.

use super::*;
use srwan_control::SpreadMode;
use std::collections::BTreeSet;

const MINIMAL: &str = r#"
name = "lon"
state_dir = "/var/lib/srwan"
listen = "0.0.0.0:4766"
endpoints = ["198.18.1.1:4766"]
[controller]
url = "http://198.18.250.1:7080"
key = "0101010101010101010101010101010101010101010101010101010101010101"
"#;

fn parse(text: &str) -> Result<Config, Fault> {
    Config::parse(text, "router.toml")
}

/// The fault of `MINIMAL` with `extra` lines at its end.
fn refused(extra: &str) -> Fault {
    parse(&format!("{MINIMAL}{extra}")).unwrap_err()
}

/// The fault of `MINIMAL` with one line replaced.
fn replaced(from: &str, to: &str) -> Fault {
    assert!(MINIMAL.contains(from));
    parse(&MINIMAL.replace(from, to)).unwrap_err()
}

#[test]
fn a_minimal_file_gets_the_documented_defaults() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.pulse_interval, Duration::from_secs(10));
    assert_eq!(config.liveness.misses, 4);
    assert_eq!(config.price, Price::PerMegabyte(10_000_000));
    assert_eq!(config.tun, Tun { name: "srwan0".into(), mtu: 1380 });
    assert!(!config.egress.enabled);
    assert_eq!(config.ledger, None);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_a_suggestion() {
    let fault = refused("poll_mss = 3\n");
    assert_eq!(fault.code, fault::CONFIG_UNKNOWN_KEY);
    assert!(fault.what.starts_with("router.toml:9:"), "{}", fault.what);
    assert!(fault.fix.contains("`poll_ms`"), "{}", fault.fix);
}

#[test]
fn a_wrong_type_is_refused_with_its_line() {
    let fault = refused("poll_ms = \"soon\"\n");
    assert_eq!(fault.code, fault::CONFIG_SYNTAX);
    assert!(fault.what.starts_with("router.toml:9:"), "{}", fault.what);
}

#[test]
fn values_out_of_range_are_refused_with_line_and_key() {
    for (extra, key, line) in [
        ("poll_ms = 5\n", "controller.poll_ms", 9),
        ("[liveness]\nmisses = 1\n", "liveness.misses", 10),
        ("[policy]\nrelays_max = 4\n", "policy.relays_max", 10),
        ("[tun]\n\nmtu = 1279\n", "tun.mtu", 11),
        ("[tun]\nname = \"a/b\"\n", "tun.name", 10),
        ("[egress]\nports = [80, 25]\n", "egress.ports", 10),
        ("[location]\nlat = 91.0\nlon = 0.0\n", "location.lat", 10),
        ("[location]\nlon = 1.0\n", "location.lon", 10),
        ("[location]\ncountry = \"gb\"\n", "location.country", 10),
        ("[price]\ncoins_per_gb = \"9e9\"\n", "price.coins_per_gb", 10),
        ("[clock]\nskew_ms = 86400001\n", "clock.skew_ms", 10),
        ("[ledger]\nurl = \"https://x\"\n", "ledger.url", 10),
        ("[session]\nrekey_s = 1\n", "session.rekey_s", 10),
        ("[session]\nrekey_s = 121\n", "session.rekey_s", 10),
        ("[pulse]\ninterval_ms = 1\n", "pulse.interval_ms", 10),
        ("[[multipath]]\nendpoint = \"a\"\nmode = \"x\"\n", "multipath.mode", 11),
        ("[[multipath]]\nendpoint = \"a\"\npaths = 1\n", "multipath.paths", 11),
        ("[[multipath]]\nendpoint = \"a\"\nvia = [[], []]\n", "multipath.via", 11),
        ("[[multipath]]\nendpoint = \"a\"\nweights = [1]\n", "multipath.weights", 11),
    ] {
        let fault = refused(extra);
        assert_eq!(fault.code, fault::CONFIG_RANGE, "{extra}");
        assert_eq!(fault.what, format!("router.toml:{line}: `{key}` is refused"), "{extra}");
    }
}

#[test]
fn a_rule_for_several_paths_is_read_with_names_and_weights() {
    let text = "[[multipath]]\nendpoint = \"sin\"\nmode = \"copies\"\npaths = 3\n\
                [[multipath]]\nendpoint = \"fra\"\n\
                via = [[], [\"lon\", \"ams\"]]\nweights = [1, 4]\n";
    let config = parse(&format!("{MINIMAL}{text}")).unwrap();
    let relays = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let copies = MultipathRule {
        endpoint: "sin".into(),
        mode: SpreadMode::Copies,
        paths: 3,
        explicit: vec![],
    };
    let flows = MultipathRule {
        endpoint: "fra".into(),
        mode: SpreadMode::Flows,
        paths: 2,
        explicit: vec![(relays(&[]), 1), (relays(&["lon", "ams"]), 4)],
    };
    assert_eq!(config.multipath, [copies, flows]);
    let twice = "[[multipath]]\nendpoint = \"sin\"\n[[multipath]]\nendpoint = \"sin\"\n";
    assert_eq!(refused(twice).code, fault::CONFIG_RANGE);
}

#[test]
fn endpoints_that_no_peer_could_use_are_refused() {
    let endpoint = "[\"198.18.1.1:4766\"]";
    for wrong in [
        "[]",
        "[\"198.18.1.1:4766\", \"198.18.1.1:4766\"]",
        "[\"127.0.0.1:4766\"]",
        "[\"10.0.0.1:4766\"]",
        "[\"100.64.0.1:4766\"]",
        "[\"[fe80::1]:4766\"]",
        "[\"[::1]:4766\"]",
        "[\"[::ffff:192.168.0.1]:4766\"]",
        "[\"0.0.0.0:4766\"]",
        "[\"198.18.1.1:0\"]",
        "[\"1.1.1.1:1\",\"1.1.1.1:2\",\"1.1.1.1:3\",\"1.1.1.1:4\",\"1.1.1.1:5\"]",
    ] {
        assert_eq!(replaced(endpoint, wrong).code, fault::CONFIG_ENDPOINT, "{wrong}");
    }
}

#[test]
fn a_private_endpoint_is_accepted_when_it_is_meant() {
    let text = MINIMAL.replace("198.18.1.1:4766", "10.0.0.1:4766");
    let text = text.replace("name =", "allow_private_endpoints = true\nname =");
    assert!(parse(&text).is_ok());
}

#[test]
fn names_paths_and_keys_are_checked() {
    assert_eq!(replaced("\"lon\"", "\"l n\"").code, fault::CONFIG_RANGE);
    assert_eq!(replaced("/var/lib/srwan", "state").code, fault::CONFIG_RANGE);
    assert_eq!(replaced("0101\"", "01\"").code, fault::CONFIG_RANGE);
    assert_eq!(replaced("http://198.18.250.1:7080", "http://a/b").code, fault::CONFIG_RANGE);
}

#[test]
fn a_missing_file_is_a_fault_of_its_own() {
    let fault = Config::load(Path::new("/nonexistent/router.toml")).unwrap_err();
    assert_eq!(fault.code, fault::CONFIG_UNREADABLE);
}

#[test]
fn every_key_of_the_parser_is_documented_and_no_other() {
    let text = format!(
        "{MINIMAL}join_token_file = \"t\"\n[ledger]\nurl = \"http://a\"\n\
         [location]\nlat = 0.0\nlon = 0.0\n[[multipath]]\nendpoint = \"sin\"\n"
    );
    let raw: raw::RawConfig = toml::from_str(&text).unwrap();
    let table = toml::Table::try_from(&raw).unwrap();
    let mut accepted = BTreeSet::new();
    for (name, value) in &table {
        let first = value.as_array().and_then(|entries| entries.first());
        match value.as_table().or(first.and_then(toml::Value::as_table)) {
            Some(section) => accepted.extend(section.keys().map(|key| format!("{name}.{key}"))),
            None => drop(accepted.insert(name.clone())),
        }
    }
    let documented: BTreeSet<String> = keys::KEYS.iter().map(|key| key.path.to_owned()).collect();
    assert_eq!(accepted, documented);
}
