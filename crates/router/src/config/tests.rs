//! The configuration through its public door: text in, `Config` or a fault with code, line and hint out.

use super::*;
use srwan_control::{Preference, SpreadMode};
use srwan_dataplane::seg6::{Encaps, LocatorRoute};
use srwan_node::{DscpSet, ForwardingClass};
use srwan_wire::id::NodeId;
use std::collections::{BTreeMap, BTreeSet};

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
    assert_eq!(config.xdp, Xdp { mode: XdpMode::Off, interfaces: Vec::new() });
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
        ("[ledger]\nurl = []\n", "ledger.url", 10),
        ("[ledger]\nurl = [\"http://a\", \"http://a/\"]\n", "ledger.url", 10),
        ("[session]\nrekey_s = 1\n", "session.rekey_s", 10),
        ("[session]\nrekey_s = 121\n", "session.rekey_s", 10),
        ("[pulse]\ninterval_ms = 1\n", "pulse.interval_ms", 10),
        ("[xdp]\nmode = \"native\"\n", "xdp.mode", 10),
        ("[xdp]\ninterfaces = [\"a b\"]\n", "xdp.interfaces", 10),
        ("[xdp]\nmode = \"native\"\ninterfaces = [\"a\", \"a\"]\n", "xdp.interfaces", 11),
        ("[[class]]\nname = \"\"\ndscp = [1]\n", "class.name", 10),
        ("[[class]]\nname = \"a\"\ndscp = []\n", "class.dscp", 11),
        ("[[class]]\nname = \"a\"\ndscp = [64]\n", "class.dscp", 11),
        ("[[class]]\nname = \"a\"\ndscp = [\"af51\"]\n", "class.dscp", 11),
        ("[[class]]\nname = \"a\"\ndscp = [1]\nprefer = \"x\"\n", "class.prefer", 12),
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
fn classes_are_read_with_code_points_by_name_and_number() {
    let text = "[[class]]\nname = \"voice\"\ndscp = [\"ef\", 44]\n\
                [[class]]\nname = \"backup\"\ndscp = [\"cs1\"]\nprefer = \"cheapest\"\n";
    let config = parse(&format!("{MINIMAL}{text}")).unwrap();
    let class = |name: &str, points: &[u8], preference| ForwardingClass {
        name: name.into(),
        dscp: DscpSet::of(points.iter().copied()),
        preference,
    };
    let voice = class("voice", &[44, 46], Preference::Fastest);
    assert_eq!(config.classes, [voice, class("backup", &[8], Preference::Cheapest)]);
    let one = "[[class]]\nname = \"a\"\ndscp = [1]\n";
    assert_eq!(refused(&[one, one].concat()).code, fault::CONFIG_RANGE);
    let other = one.replace("\"a\"", "\"b\"");
    assert!(refused(&[one, &other].concat()).why.contains("code point"));
    let many: String = (1..=5)
        .map(|at| one.replace("\"a\"", &format!("\"{at}\"")).replace("[1]", &format!("[{at}]")))
        .collect();
    assert!(refused(&many).why.contains("4 allowed"));
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
fn a_ledger_has_one_validator_or_several() {
    for (url, urls) in [
        ("\"http://a:1/\"", vec!["http://a:1"]),
        ("[\"http://a:1\", \"http://b:1\"]", vec!["http://a:1", "http://b:1"]),
    ] {
        let config = parse(&format!("{MINIMAL}[ledger]\nurl = {url}\n")).unwrap();
        assert_eq!(config.ledger.unwrap().urls, urls);
    }
    let fault = refused("[ledger]\nurl = 5\n");
    assert_eq!(fault.code, fault::CONFIG_SYNTAX);
}

#[test]
fn a_missing_file_is_a_fault_of_its_own() {
    let fault = Config::load(Path::new("/nonexistent/router.toml")).unwrap_err();
    assert_eq!(fault.code, fault::CONFIG_UNREADABLE);
}

/// A router in an SR domain with two more nodes, and one prefix beyond.
const SRV6: &str = r#"
[srv6]
mode = "kernel"
block = "fd53:1::/48"
interfaces = ["eth1"]
policies = [{ prefix = "198.19.9.0/24", segments = ["fd53:1:0:0:7001::", "fd53:1:0:0:9003::"] }]
[srv6.underlay]
7 = "2001:db8::7"
9 = "routed"
"#;

#[test]
fn a_router_is_in_no_sr_domain_unless_it_says_so() {
    assert_eq!(parse(MINIMAL).unwrap().srv6, None);
    let off = SRV6.replace("kernel", "off");
    assert_eq!(parse(&format!("{MINIMAL}{off}")).unwrap().srv6, None);
}

#[test]
fn an_sr_domain_is_what_the_section_says_less_this_node() {
    let srv6 = parse(&format!("{MINIMAL}{SRV6}")).unwrap().srv6.unwrap();
    assert_eq!((srv6.encaps, srv6.next_hop_v6), (Encaps::Reduced, None));
    let node = |raw| NodeId::new(raw).unwrap();
    let neighbour = LocatorRoute::Via("2001:db8::7".parse().unwrap());
    let domain = srv6.domain(node(9));
    assert_eq!(domain.locators, BTreeMap::from([(node(7), neighbour)]));
    let segments = ["fd53:1:0:0:7001::", "fd53:1:0:0:9003::"].map(|s| s.parse().unwrap());
    let prefix = "198.19.9.0/24".parse().unwrap();
    assert_eq!(domain.policies, BTreeMap::from([(prefix, segments.to_vec())]));
}

#[test]
fn what_cannot_be_an_sr_domain_is_refused_with_its_line() {
    for (from, to, key, line) in [
        ("\"kernel\"", "\"xdp\"", "mode", 11),
        ("block = \"fd53:1::/48\"\n", "", "block", 0),
        ("fd53:1::/48", "fd53:1::/24", "block", 12),
        ("fd53:1::/48", "fd53:1::1/48", "block", 12),
        ("fd53:1::/48", "fe80::/48", "block", 12),
        ("[\"eth1\"]", "[]", "interfaces", 13),
        ("eth1", "srwan0", "interfaces", 13),
        ("eth1", "lo", "interfaces", 13),
        ("interfaces", "encaps = \"inline\"\ninterfaces", "encaps", 13),
        ("interfaces", "next_hop_v6 = \"fe80::1\"\ninterfaces", "next_hop_v6", 13),
        ("198.19.9.0/24", "fd53::/16", "policies", 14),
        ("198.19.9.0/24", "fd53:1:0:0:7000::/68", "policies", 14),
        ("fd53:1:0:0:9003::", "fd53:2:0:0:9003::", "policies", 14),
        ("7 = ", "0 = ", "underlay", 15),
        ("7 = ", "par = ", "underlay", 15),
        ("2001:db8::7", "198.18.1.7", "underlay", 15),
        ("2001:db8::7", "fd53:1:0:0:7000::", "underlay", 15),
        ("2001:db8::7", "fe80::7", "underlay", 15),
    ] {
        assert!(SRV6.contains(from), "{from}");
        let fault = refused(&SRV6.replacen(from, to, 1));
        assert_eq!(fault.code, fault::CONFIG_RANGE, "{to}");
        let place = if line == 0 { String::new() } else { format!(":{line}") };
        let expected = format!("router.toml{place}: `srv6.{key}` is refused");
        assert_eq!(fault.what, expected, "{to}: {}", fault.why);
    }
}

#[test]
fn an_unknown_key_of_an_sr_domain_is_refused_with_a_suggestion() {
    let fault = refused(&SRV6.replace("interfaces", "interface"));
    assert_eq!(fault.code, fault::CONFIG_UNKNOWN_KEY);
    assert!(fault.fix.contains("`interfaces`"), "{}", fault.fix);
}

#[test]
fn every_key_of_the_parser_is_documented_and_no_other() {
    let text = format!(
        "{MINIMAL}join_token_file = \"t\"\n[ledger]\nurl = \"http://a\"\n\
         [location]\nlat = 0.0\nlon = 0.0\n\
         [srv6]\nblock = \"fd53::/48\"\nnext_hop_v4 = \"10.0.0.1\"\nnext_hop_v6 = \"fd00::1\"\n\
         [[class]]\nname = \"a\"\ndscp = [1]\n\
         [[multipath]]\nendpoint = \"sin\"\n"
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
