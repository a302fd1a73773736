//! Which flows to destinations without a router enter the tunnel: those that begin while an egress is chosen.
//!
//! An egress puts its own address on such flows, so a flow that began on the default path would break if it moved, and
//! one that began over the egress would break if it came back. The mark of the connection remembers the side: it is set
//! once, on a packet that nothing was answered to yet, and routing goes by it until the connection ends.

use ipnet::IpNet;

use super::expr::{
    Expr, connection_mark_is, input_is, is_new_connection, is_original, mark_is_not, source_in,
    target_in,
};
use super::ruleset::{Chain, Hook};
use crate::kernel::{MARK_FLOWS, MARK_OWN};

/// Before routing, after connection tracking (-200); as nft(8) calls it, "mangle".
const MANGLE: i32 = -150;

/// The chains for flows of the site and for flows of this host itself, of which those to `prefixes` are marked.
///
/// Only flows from `site` are: the egress drops other sources, which therefore stay on the default path.
pub fn chains(interface: &str, site: &[IpNet], prefixes: &[IpNet]) -> [Chain; 2] {
    let forwarded = input_is(interface, false);
    [
        Chain {
            name: "flows_site",
            hook: Hook { number: 0, priority: MANGLE, kind: "filter" },
            rules: rules(&forwarded, site, prefixes),
        },
        // A chain of type `route` asks the routing again if it changed the packet's mark.
        Chain {
            name: "flows_host",
            hook: Hook { number: 3, priority: MANGLE, kind: "route" },
            rules: rules(&mark_is_not(MARK_OWN), site, prefixes),
        },
    ]
}

/// Connections that begin get their mark, then packets get the mark of their connection.
fn rules(condition: &[Expr], site: &[IpNet], prefixes: &[IpNet]) -> Vec<Vec<Expr>> {
    let pairs = prefixes.iter().flat_map(|prefix| site.iter().map(move |source| (source, prefix)));
    let same_family = pairs.filter(|(a, b)| a.addr().is_ipv4() == b.addr().is_ipv4());
    let begin = same_family.map(|(source, prefix)| {
        let mut rule = condition.to_vec();
        rule.extend(source_in(*source));
        rule.extend(target_in(*prefix));
        rule.extend(is_new_connection());
        rule.extend([Expr::Constant(MARK_FLOWS), Expr::StoreConnMark, Expr::Counter]);
        rule
    });
    let mut go_on = condition.to_vec();
    go_on.extend(connection_mark_is(MARK_FLOWS));
    go_on.extend(is_original());
    go_on.extend([Expr::Constant(MARK_FLOWS), Expr::StoreMark]);
    begin.chain([go_on]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_destination_only_marked_connections_are_routed() {
        for chain in chains("srwan0", &["198.18.1.0/24".parse().unwrap()], &[]) {
            assert_eq!(chain.rules.len(), 1, "{}", chain.name);
            assert!(!chain.rules[0].contains(&Expr::StoreConnMark), "{}", chain.name);
        }
    }

    #[test]
    fn the_routers_own_datagrams_are_never_marked() {
        let site = ["198.18.1.0/24".parse().unwrap()];
        let [_, host] = chains("srwan0", &site, &["203.0.113.0/24".parse().unwrap()]);
        assert_eq!(host.rules.len(), 2);
        assert!(host.rules.iter().all(|rule| rule.starts_with(&mark_is_not(MARK_OWN))));
    }
}
