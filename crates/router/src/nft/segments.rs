//! The packet filter of a router in an SR domain: its edge, what segment lists may deliver, and how large TCP segments
//! may be.
//!
//! ```text
//!  interface of the domain --> source and target in the block? --> mark --> seg6local --> inner packet, still marked
//!  any other               --> target in the block, or a segment routing header? --> drop
//! ```
//!
//! The kernel authenticates no segment list, so trust ends at the interfaces that face the domain (RFC 8754 section
//! 5.1: drop what comes from outside for a SID; drop at each node what comes from a source outside). An inner packet
//! carries the mark of what it was wrapped in, and by the mark it reaches our site or, from beyond a policy, the
//! tunnel; nothing else. Neither the inner packet nor what the kernel wraps meets connection tracking, so the rules
//! here know no connections.

use ipnet::IpNet;

use super::expr::{
    Expr, input_is, mark_is, output_is, protocol_is, routing_header_is, source_in, target_in,
    transport_is_any,
};
use super::ruleset::{Chain, Hook, PROTOCOL_TCP};
use crate::config::srv6::Srv6;
use crate::kernel::MARK_SEGMENTS;

/// Before connection tracking (-200); as nft(8) calls it, "raw".
const RAW: i32 = -300;

/// Before routing, after connection tracking; as nft(8) calls it, "mangle".
const MANGLE: i32 = -150;

/// Before the chains that judge what the tunnel delivers (0).
const BEFORE_FILTER: i32 = -10;

/// Routing header type of RFC 8754.
const SRH_TYPE: u8 = 4;

/// `SYN` in the octet of flags, which is the 13th of a TCP header.
const TCP_FLAGS_OFFSET: u32 = 13;
const TCP_SYN: u8 = 0x02;

/// Octets of an IP and a TCP header without options.
const HEADERS_V4: u16 = 40;
const HEADERS_V6: u16 = 60;

/// The chains of a router in an SR domain.
pub fn chains(srv6: &Srv6, tunnel: &str, site: &[IpNet]) -> Vec<Chain> {
    let chain = |name, number, priority, rules| {
        let hook = Hook { number, priority, kind: "filter" };
        Chain { name, hook, rules }
    };
    let mut chains = vec![
        chain("segments_edge", 0, RAW, edge(srv6)),
        chain("segments_input", 1, BEFORE_FILTER, delivered(site, Vec::new())),
        chain("segments_forward", 2, BEFORE_FILTER, forward(srv6, tunnel, site)),
    ];
    chains.extend(segment_sizes(&[], 0));
    chains
}

/// The chains that keep TCP segments to these prefixes within `inner_mtu`: what a host behind us offers on its way
/// there, and what is offered to it on the way back, whatever the other end does.
///
/// A packet of a host behind us that is too large for its path once it is wrapped is lost without a word: the kernel
/// tells the source of the wrapped packet, which is this router.
pub fn segment_sizes(prefixes: &[IpNet], inner_mtu: u16) -> [Chain; 2] {
    let there = prefixes.iter().map(|prefix| limit(target_in(*prefix), *prefix, inner_mtu));
    let back = prefixes.iter().map(|prefix| limit(source_in(*prefix), *prefix, inner_mtu));
    let hook = |number, priority| Hook { number, priority, kind: "filter" };
    [
        Chain { name: "segments_there", hook: hook(0, MANGLE), rules: there.collect() },
        Chain { name: "segments_back", hook: hook(2, MANGLE), rules: back.collect() },
    ]
}

fn limit(condition: Vec<Expr>, prefix: IpNet, inner_mtu: u16) -> Vec<Expr> {
    let headers = if prefix.addr().is_ipv4() { HEADERS_V4 } else { HEADERS_V6 };
    let size = inner_mtu.saturating_sub(headers).to_be_bytes().to_vec();
    let mut rule = protocol_is(PROTOCOL_TCP).to_vec();
    rule.extend(transport_is_any(TCP_FLAGS_OFFSET, TCP_SYN));
    rule.extend(condition);
    rule.extend([Expr::Value(size), Expr::LowerSegmentSize]);
    rule
}

fn edge(srv6: &Srv6) -> Vec<Vec<Expr>> {
    let block = IpNet::from(srv6.block.prefix());
    let from_domain = srv6.interfaces.iter().map(|interface| {
        let mut rule = input_is(interface, true).to_vec();
        rule.extend(source_in(block));
        rule.extend(target_in(block));
        rule.extend([Expr::Constant(MARK_SEGMENTS), Expr::StoreMark]);
        rule.extend([Expr::Counter, Expr::Verdict { accept: true }]);
        rule
    });
    let mut to_sids = input_is("lo", false).to_vec();
    to_sids.extend(target_in(block));
    let trusted = srv6.interfaces.iter().map(|name| accept(input_is(name, true)));
    from_domain
        .chain([drop_counted(to_sids)])
        .chain(trusted)
        .chain([drop_counted(routing_header_is(SRH_TYPE))])
        .collect()
}

/// What a segment list delivered, by its mark: `more`, our site, nothing else.
fn delivered(site: &[IpNet], more: Vec<Vec<Expr>>) -> Vec<Vec<Expr>> {
    let to_site = site.iter().map(|prefix| {
        let mut rule = mark_is(MARK_SEGMENTS).to_vec();
        rule.extend(target_in(*prefix));
        accept(rule)
    });
    more.into_iter().chain(to_site).chain([drop_counted(mark_is(MARK_SEGMENTS))]).collect()
}

/// Only what the edge let in, or this host wrapped, has a target in the block. A SID of this node that does nothing
/// leads into the tunnel, and no further.
fn forward(srv6: &Srv6, tunnel: &str, site: &[IpNet]) -> Vec<Vec<Expr>> {
    let block = IpNet::from(srv6.block.prefix());
    let mut without_behavior = output_is(tunnel, true).to_vec();
    without_behavior.extend(target_in(block));
    let mut more = vec![drop_counted(without_behavior), accept(target_in(block))];
    more.extend(srv6.policies.keys().map(|prefix| {
        let mut rule = mark_is(MARK_SEGMENTS).to_vec();
        rule.extend(source_in(*prefix));
        rule.extend(output_is(tunnel, true));
        accept(rule)
    }));
    delivered(site, more)
}

fn accept(conditions: impl IntoIterator<Item = Expr>) -> Vec<Expr> {
    conditions.into_iter().chain([Expr::Verdict { accept: true }]).collect()
}

fn drop_counted(conditions: impl IntoIterator<Item = Expr>) -> Vec<Expr> {
    let end = [Expr::Counter, Expr::Verdict { accept: false }];
    conditions.into_iter().chain(end).collect()
}
