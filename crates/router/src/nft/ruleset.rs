//! What the packet filter says, as data: which packets from the tunnel may pass, and which get source NAT.
//!
//! - Two-ended: packets for our own site pass as they are.
//! - One-ended (egress, off by default): only listed ports, never to [`DENIED`] targets, and always with the source
//!   address of the interface they leave by (BCP 38), so that no foreign source is ever forwarded.
//! - Flows to a destination without a router: those that begin while an egress is chosen are marked ([`flows`]).
//! - An SR domain: packets for SIDs are taken from its interfaces only, and deliver to our site only ([`segments`]).
//! - Everything else from the tunnel is dropped, also towards this host itself.
//!
//! Connections are tracked only where something asks for them, an egress or a watched destination: a rule that names a
//! connection makes the kernel track every packet of the host, which costs plain forwarding 13 % (measured).

use ipnet::IpNet;

use super::expr::{
    Expr, connection_mark_is, input_is, is_known_connection, is_reply, output_is, protocol_is,
    target_in, transport_is,
};
use super::{flows, segments};
use crate::config::{Config, Egress};

use crate::kernel::MARK_RETURN;

/// Targets that a stranger's packet never reaches through an egress.
///
/// Source: promises T14; IANA special-purpose address registries (RFC 6890) without the documentation and benchmark
/// ranges, which no private network uses. Cloud metadata lies in 169.254/16, 100.64/10, 192.0.0/24 and fc00::/7.
pub const DENIED: [&str; 17] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

const PROTOCOL_ICMP: u8 = 1;
pub(super) const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ICMPV6: u8 = 58;
const ICMP_ECHO_REQUEST: u8 = 8;
const ICMPV6_ECHO_REQUEST: u8 = 128;

/// Where a chain hangs. Source: `enum nf_inet_hooks` and the usual priorities of nft(8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Hook number.
    pub number: u32,
    /// Order among the chains of a hook; lower comes first.
    pub priority: i32,
    /// `filter` or `nat`.
    pub kind: &'static str,
}

/// A base chain: name, hook, and rules in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Shown by `nft list table inet srwan`.
    pub name: &'static str,
    /// Where it hangs.
    pub hook: Hook,
    /// Its rules; a packet that no rule ends is accepted.
    pub rules: Vec<Vec<Expr>>,
}

/// The chains of a router.
pub fn chains(config: &Config) -> Vec<Chain> {
    let (interface, site) = (&config.tun.name, &config.site_prefixes);
    let known = config.egress.enabled.then(known_connections);
    let mut chains = vec![
        Chain {
            name: "input",
            hook: Hook { number: 1, priority: 0, kind: "filter" },
            rules: from_tunnel(interface, site, known.clone().into_iter().collect()),
        },
        Chain {
            name: "forward",
            hook: Hook { number: 2, priority: 0, kind: "filter" },
            rules: from_tunnel(
                interface,
                site,
                known.into_iter().chain(forward_rules(config)).collect(),
            ),
        },
    ];
    if config.egress.enabled {
        chains.extend(returning(interface));
    }
    if !config.watch.is_empty() {
        chains.extend(flows::chains(interface, site, &[]));
    }
    if let Some(srv6) = &config.srv6 {
        chains.extend(segments::chains(srv6, interface, site));
    }
    chains
}

/// The chains around source NAT: what leaves gets this host's address, and its replies find back into the tunnel.
fn returning(interface: &str) -> [Chain; 2] {
    [
        Chain {
            name: "prerouting",
            hook: Hook { number: 0, priority: -150, kind: "filter" },
            rules: vec![mark_replies(interface)],
        },
        Chain {
            name: "postrouting",
            hook: Hook { number: 4, priority: 100, kind: "nat" },
            rules: vec![masquerade(interface)],
        },
    ]
}

/// Later packets of a flow that an egress let out, and the errors that belong to it.
fn known_connections() -> Vec<Expr> {
    ended(is_known_connection(), Expr::Verdict { accept: true })
}

/// Replies of source-translated flows are marked, so that routing sends them back into the tunnel.
fn mark_replies(interface: &str) -> Vec<Expr> {
    let mut rule = input_is(interface, false).to_vec();
    rule.extend(connection_mark_is(MARK_RETURN));
    rule.extend(is_reply());
    rule.extend([Expr::Constant(MARK_RETURN), Expr::StoreMark]);
    rule
}

/// Rules for packets that the tunnel delivered: our site, then `more`, then nothing else.
fn from_tunnel(interface: &str, site: &[IpNet], more: Vec<Vec<Expr>>) -> Vec<Vec<Expr>> {
    let accept = Expr::Verdict { accept: true };
    let mut rules = vec![ended(input_is(interface, false), accept.clone())];
    rules.extend(site.iter().map(|prefix| ended(target_in(*prefix), accept.clone())));
    rules.extend(more);
    rules.push(vec![Expr::Counter, Expr::Verdict { accept: false }]);
    rules
}

/// What leaves for a SID was wrapped here: a packet that the tunnel delivered for one ended at the edge of the domain.
fn forward_rules(config: &Config) -> Vec<Vec<Expr>> {
    let block = config.srv6.iter().map(|srv6| IpNet::from(srv6.block.prefix()));
    let wrapped = block.map(|block| ended(target_in(block), Expr::Verdict { accept: true }));
    wrapped.chain(egress_rules(&config.egress)).collect()
}

/// Denied targets first, then each allowed port, then echo requests.
fn egress_rules(egress: &Egress) -> Vec<Vec<Expr>> {
    if !egress.enabled {
        return Vec::new();
    }
    let denied = DENIED.iter().map(|prefix| {
        let prefix = prefix.parse().expect("the list above holds prefixes");
        let mut rule = target_in(prefix);
        rule.extend([Expr::Counter, Expr::Verdict { accept: false }]);
        rule
    });
    let ports = egress.ports.iter().flat_map(|port| {
        [PROTOCOL_TCP, PROTOCOL_UDP]
            .map(|protocol| allowed(protocol, 2, port.to_be_bytes().to_vec()))
    });
    let echo = [
        allowed(PROTOCOL_ICMP, 0, vec![ICMP_ECHO_REQUEST]),
        allowed(PROTOCOL_ICMPV6, 0, vec![ICMPV6_ECHO_REQUEST]),
    ];
    denied.chain(ports).chain(echo).collect()
}

/// Accepts and marks for source NAT what has these octets at `offset` of its transport header.
fn allowed(protocol: u8, offset: u32, octets: Vec<u8>) -> Vec<Expr> {
    let mut rule = protocol_is(protocol).to_vec();
    rule.extend(transport_is(offset, octets));
    rule.extend([Expr::Constant(MARK_RETURN), Expr::StoreConnMark, Expr::Counter]);
    rule.push(Expr::Verdict { accept: true });
    rule
}

fn masquerade(interface: &str) -> Vec<Expr> {
    let mut rule = connection_mark_is(MARK_RETURN).to_vec();
    rule.extend(output_is(interface, false));
    rule.extend([Expr::Counter, Expr::Masquerade]);
    rule
}

fn ended(conditions: impl IntoIterator<Item = Expr>, verdict: Expr) -> Vec<Expr> {
    conditions.into_iter().chain([verdict]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains_of(egress: bool, watch: &str) -> Vec<Chain> {
        let text = format!(
            "name = \"a\"\nstate_dir = \"/s\"\nlisten = \"0.0.0.0:4766\"\n\
             endpoints = [\"198.18.1.1:4766\"]\n[controller]\nurl = \"http://127.0.0.1:1\"\n\
             key = \"{}\"\n[site]\nprefixes = [\"198.18.1.0/24\"]\n\
             [destinations]\nwatch = [{watch}]\n\
             [egress]\nenabled = {egress}\nports = [80, 443]\n",
            "01".repeat(32)
        );
        chains(&Config::parse(&text, "router.toml").unwrap())
    }

    fn rules_of(egress: bool, chain: &str) -> Vec<Vec<Expr>> {
        chains_of(egress, "").into_iter().find(|c| c.name == chain).unwrap().rules
    }

    fn names_of(chains: &[Chain]) -> Vec<&'static str> {
        chains.iter().map(|chain| chain.name).collect()
    }

    fn tracks_connections(chains: &[Chain]) -> bool {
        let named = |expr: &Expr| matches!(expr, Expr::LoadConn(_) | Expr::StoreConnMark);
        chains.iter().flat_map(|c| &c.rules).flatten().any(named)
    }

    #[test]
    fn without_egress_only_our_site_is_reached() {
        for chain in ["input", "forward"] {
            assert_eq!(rules_of(false, chain).len(), 3, "{chain}");
        }
    }

    #[test]
    fn connections_are_tracked_only_for_an_egress_or_a_watched_destination() {
        let plain = chains_of(false, "");
        assert_eq!(names_of(&plain), ["input", "forward"]);
        assert!(!tracks_connections(&plain));
        let egress = chains_of(true, "");
        assert_eq!(names_of(&egress), ["input", "forward", "prerouting", "postrouting"]);
        assert!(tracks_connections(&egress));
        let watching = chains_of(false, "\"203.0.113.0/24\"");
        assert_eq!(names_of(&watching), ["input", "forward", "flows_site", "flows_host"]);
        assert!(tracks_connections(&watching));
    }

    #[test]
    fn denied_targets_come_before_allowed_ports() {
        let rules = rules_of(true, "forward");
        let position = |wanted: &dyn Fn(&Vec<Expr>) -> bool| rules.iter().position(wanted).unwrap();
        let metadata = target_in("169.254.0.0/16".parse().unwrap());
        let denied = position(&|rule| rule.starts_with(&metadata));
        let allowed = position(&|rule| rule.contains(&Expr::StoreConnMark));
        assert!(denied < allowed);
    }

    #[test]
    fn the_last_rule_drops() {
        let last = rules_of(true, "forward").pop().unwrap();
        assert_eq!(last.last(), Some(&Expr::Verdict { accept: false }));
    }
}
