//! One line of help per key of `router.toml`: the source of `config show`, of the suggestions for a mistyped key, and
//! of docs. A test compares this list with what the parser really accepts.

/// When a changed key takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At the next reload.
    Reload,
    /// At the next start only: it names a socket, a device, a file or an identity.
    Restart,
}

/// A key of `router.toml`.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.key`, or `key` at the top.
    pub path: &'static str,
    /// What is used when the key is absent; empty if the key is required or off by default.
    pub default: &'static str,
    /// When a change takes effect.
    pub effect: Effect,
    /// What it means, with unit and range.
    pub help: &'static str,
}

const fn key(path: &'static str, default: &'static str, effect: Effect, help: &'static str) -> Key {
    Key { path, default, effect, help }
}

use Effect::{Reload, Restart};

/// All keys, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key("name", "", Restart, "Name shown to people; 1 to 48 letters, digits, '-', '_' or '.'."),
    key("state_dir", "", Restart, "Absolute directory for keys, receipts and the admin socket."),
    key("listen", "", Restart, "UDP address and port that the router receives on."),
    key("endpoints", "", Restart, "1 to 4 addresses with port that peers are told to send to."),
    key("allow_private_endpoints", "false", Restart, "Accept private or loopback endpoints."),
    key("controller.url", "", Restart, "http:// address of the controller."),
    key("controller.key", "", Restart, "Its ed25519 public key, 64 hexadecimal digits."),
    key("controller.join_token_file", "", Restart, "File with the join token; first start only."),
    key("controller.poll_ms", "1000", Reload, "Pause between roster polls, 100 to 60000 ms."),
    key(
        "ledger.url",
        "",
        Restart,
        "http:// address of a validator, or a list; without it nothing is paid.",
    ),
    key("ledger.escrow_coins", "20", Reload, "Coins locked at start to pay relays with."),
    key("location.city", "", Reload, "City, shown to people; at most 96 octets."),
    key("location.country", "", Reload, "Two-letter country code (ISO 3166-1)."),
    key("location.lat", "", Reload, "Latitude in degrees, -90 to 90."),
    key("location.lon", "", Reload, "Longitude in degrees, -180 to 180."),
    key("location.asn", "0", Reload, "Autonomous system number of the uplink; 0 = unknown."),
    key("site.prefixes", "[]", Restart, "Up to 16 prefixes behind this router."),
    key("egress.enabled", "false", Restart, "Send others' traffic on, with source NAT."),
    key("egress.ports", "[..]", Restart, "Ports that others may reach, up to 64; never 25."),
    key("destinations.watch", "[]", Reload, "Up to 256 prefixes to keep measured."),
    key("pulse.interval_ms", "10000", Restart, "Time between pulses, 200 to 60000 ms."),
    key("session.rekey_s", "120", Restart, "Age at which keys are replaced, 2 to 120 s."),
    key("liveness.interval_ms", "100", Restart, "Probe interval on a path in use, 20 to 10000."),
    key("liveness.misses", "4", Restart, "Missed probes until a path is down, 2 to 20."),
    key("policy.gain_min_ms", "5", Restart, "Gain a relay path must bring, 0 to 10000 ms."),
    key("policy.gain_min_percent", "10", Restart, "The same in percent of the default, 0 to 100."),
    key("policy.windows", "3", Restart, "Consecutive windows that must show the gain, 1 to 100."),
    key("policy.window_ms", "300", Restart, "Length of a window, 50 to 60000 ms."),
    key("policy.hold_down_ms", "10000", Restart, "Pause between two switches, 0 to 3600000 ms."),
    key("policy.relays_max", "3", Restart, "Most relays of a path, 0 to 3."),
    key("policy.prefer", "direct-first", Restart, "direct-first, fastest or cheapest."),
    key("class.name", "", Restart, "Up to 4 kinds of packets that want other paths."),
    key("class.dscp", "", Restart, "Their code points: 0 to 63, ef, af11, cs1, va, le, df."),
    key("class.prefer", "fastest", Restart, "direct-first, fastest or cheapest."),
    key("multipath.endpoint", "", Restart, "Router to which several paths share the traffic."),
    key("multipath.mode", "flows", Restart, "\"flows\", \"packets\" (in turn) or \"copies\"."),
    key("multipath.paths", "2", Restart, "How many paths the router chooses, 2 to 4."),
    key("multipath.via", "[]", Restart, "Or these: a list of relays per path, [] = direct."),
    key("multipath.weights", "[]", Restart, "Shares of the paths in `via`, 1 to 100 each."),
    key("clock.synchronised", "true", Restart, "Whether the host's clock is disciplined."),
    key("clock.error_us", "500", Restart, "Bound on the clock's error, 0 to 10000000 us."),
    key("clock.skew_ms", "0", Restart, "Test input: added to this router's timestamps."),
    key("price.coins_per_gb", "10", Restart, "Price of 10^9 bytes in coins, or \"inf\"."),
    key("geo.asn_csv", "[]", Reload, "CSV files with lines first,last,asn[,name]."),
    key("geo.location_csv", "", Reload, "CSV file: first,last,country,city,lat,lon."),
    key("portal.listen", "127.0.0.1:7443", Restart, "TCP address of the portal."),
    key("tun.name", "srwan0", Restart, "Interface name, 1 to 15 characters."),
    key("tun.mtu", "1380", Restart, "MTU of the interface, 1280 to 9000."),
    key("xdp.mode", "off", Restart, "Relay paid packets in the driver (native), or not (off)."),
    key("xdp.interfaces", "[]", Restart, "Up to 16 interfaces that it relays between."),
    key("srv6.mode", "off", Restart, "kernel: the kernel carries unbilled paths as SRv6; or off."),
    key("srv6.block", "", Restart, "Prefix of all SIDs of the SR domain, /32 to /96."),
    key("srv6.interfaces", "[]", Restart, "1 to 16 interfaces that face the SR domain."),
    key(
        "srv6.encaps",
        "reduced",
        Restart,
        "Whether headers leave the first SID out: reduced or full.",
    ),
    key("srv6.next_hop_v4", "", Restart, "To whom End.DX4 hands packets; else their destination."),
    key(
        "srv6.next_hop_v6",
        "",
        Restart,
        "To whom End.DX6 hands packets; else there is no End.DX6.",
    ),
    key("srv6.policies", "[]", Restart, "Up to 64 {prefix, segments}: always over these SIDs."),
    key(
        "srv6.underlay",
        "{}",
        Restart,
        "Nodes of the domain: number = IPv6 neighbour or \"routed\".",
    ),
];

/// The known key most like `written`, if one is like it at all.
pub fn nearest(written: &str) -> Option<&'static str> {
    let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
    let sections = KEYS.iter().filter_map(|key| key.path.split_once('.').map(|pair| pair.0));
    KEYS.iter()
        .map(|key| last(key.path))
        .chain(sections)
        .map(|known| (edits(written, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3))
        .map(|(_, known)| known)
}

/// The number of single-character edits between two words.
///
/// Source: Levenshtein 1966, by the usual two-row table.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_finds_its_neighbour() {
        assert_eq!(nearest("intervall_ms"), Some("interval_ms"));
        assert_eq!(nearest("statedir"), Some("state_dir"));
        assert_eq!(nearest("liveliness"), Some("liveness"));
        assert_eq!(nearest("zzzzzzzzzzzz"), None);
    }
}
