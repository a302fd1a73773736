//! The rules that lead packets to srwan's routing tables. Those of an SR domain are there only if the router is in one.
//!
//! ```text
//! 4755  to BLOCK lookup 4769                 SR domain: a packet for a SID goes where SIDs go, whatever is engaged
//! 4756  fwmark OWN goto 4769                 SR domain: our own datagrams take no policy
//! 4757  fwmark SEGMENTS from P lookup main   SR domain: from beyond a policy to our own networks (no default route),
//! 4757  fwmark SEGMENTS from P lookup 4767     and otherwise into the tunnel
//! 4758  fwmark SEGMENTS goto 4769            SR domain: what a segment list delivered never enters a path again
//! 4759  lookup 4770                          SR domain: prefixes that are behind us over native SRv6
//! 4760  fwmark RETURN lookup 4767            replies of flows that left here with source NAT
//! 4761  iif srwan0 goto 4769                 what the tunnel delivered never goes back into the tunnel
//! 4762  not fwmark OWN lookup 4766           everything but our own datagrams, if its prefix is engaged
//! 4763  fwmark FLOWS lookup 4768             flows that began while their destination went over an egress
//! 4769  nop
//! ```

use std::io;

use ipnet::IpNet;

use super::netlink::{self, Message, find_u32};
use super::route::{FAMILIES, Routing, octets};
use super::{
    MARK_FLOWS, MARK_OWN, MARK_RETURN, MARK_SEGMENTS, PROTOCOL, RULE_PRIORITY_FIRST,
    RULE_PRIORITY_LAST, TABLE_ENGAGED, TABLE_FLOWS, TABLE_POLICIES, TABLE_RETURN, TABLE_SIDS,
};
use crate::config::srv6::Srv6;

const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;

// include/uapi/linux/fib_rules.h
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_PROTOCOL: u16 = 21;
const FR_ACT_TO_TBL: u8 = 1;
const FR_ACT_GOTO: u8 = 2;
const FR_ACT_NOP: u8 = 3;
const FIB_RULE_INVERT: u32 = 2;

/// `RT_TABLE_MAIN`.
const TABLE_MAIN: u32 = 254;

/// Octets of `struct fib_rule_hdr`.
const FIXED_OCTETS: usize = 12;

// Priorities, in the order of the drawing above.
const TO_SIDS: u32 = RULE_PRIORITY_FIRST;
const OWN_DATAGRAMS: u32 = RULE_PRIORITY_FIRST + 1;
const FROM_BEYOND: u32 = RULE_PRIORITY_FIRST + 2;
const FROM_SEGMENTS: u32 = RULE_PRIORITY_FIRST + 3;
const TO_BEYOND: u32 = RULE_PRIORITY_FIRST + 4;
const RETURNING: u32 = RULE_PRIORITY_FIRST + 5;
const FROM_TUNNEL: u32 = RULE_PRIORITY_FIRST + 6;
const ENGAGED: u32 = RULE_PRIORITY_FIRST + 7;
const FLOWS: u32 = RULE_PRIORITY_FIRST + 8;

/// A rule of ours, as the kernel lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// 4 or 6.
    pub version: u8,
    /// In `RULE_PRIORITY_FIRST..=RULE_PRIORITY_LAST`.
    pub priority: u32,
}

/// What a rule asks of a packet.
#[derive(Clone, Copy)]
enum Condition<'a> {
    Mark(u32),
    NoMark(u32),
    Input(&'a str),
    From(IpNet),
    To(IpNet),
    /// Not a question about the packet: a default route that the table has does not count.
    NoDefault,
}

/// What a rule does.
#[derive(Clone, Copy)]
enum Act {
    Lookup(u32),
    /// To the last rule: past all tables of ours.
    Pass,
    Nothing,
}

use Act::{Lookup, Nothing, Pass};
use Condition::{From, Input, Mark, NoDefault, NoMark, To};

impl Routing {
    /// Installs the rules for packets and `interface`, after removing whatever rule of ours is there.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN`.
    pub fn install_rules(&mut self, interface: &str) -> io::Result<()> {
        self.remove_rules()?;
        for family in FAMILIES {
            self.rule(family, RULE_PRIORITY_LAST, &[], Nothing)?;
            self.rule(family, RETURNING, &[Mark(MARK_RETURN)], Lookup(TABLE_RETURN))?;
            self.rule(family, FROM_TUNNEL, &[Input(interface)], Pass)?;
            self.rule(family, ENGAGED, &[NoMark(MARK_OWN)], Lookup(TABLE_ENGAGED))?;
            self.rule(family, FLOWS, &[Mark(MARK_FLOWS)], Lookup(TABLE_FLOWS))?;
        }
        Ok(())
    }

    /// Installs the rules of an SR domain beside the others.
    ///
    /// # Errors
    /// As [`Routing::install_rules`], which goes first.
    pub fn install_segment_rules(&mut self, srv6: &Srv6) -> io::Result<()> {
        let block = IpNet::from(srv6.block.prefix());
        self.rule(family_of(block), TO_SIDS, &[To(block)], Lookup(TABLE_SIDS))?;
        for family in FAMILIES {
            self.rule(family, OWN_DATAGRAMS, &[Mark(MARK_OWN)], Pass)?;
            self.rule(family, FROM_SEGMENTS, &[Mark(MARK_SEGMENTS)], Pass)?;
            self.rule(family, TO_BEYOND, &[], Lookup(TABLE_POLICIES))?;
        }
        for prefix in srv6.policies.keys() {
            let from = [Mark(MARK_SEGMENTS), From(*prefix), NoDefault];
            let family = family_of(*prefix);
            self.rule(family, FROM_BEYOND, &from, Lookup(TABLE_MAIN))?;
            self.rule(family, FROM_BEYOND, &from[..2], Lookup(TABLE_RETURN))?;
        }
        Ok(())
    }

    /// Removes every rule in our range of priorities.
    ///
    /// # Errors
    /// As [`Routing::install_rules`].
    pub fn remove_rules(&mut self) -> io::Result<()> {
        for rule in self.rules()? {
            let family = if rule.version == 4 { FAMILIES[0] } else { FAMILIES[1] };
            self.netlink.call(RTM_DELRULE, 0, |message| {
                message.fixed(&any(family)).attr_u32(FRA_PRIORITY, rule.priority)
            })?;
        }
        Ok(())
    }

    /// The rules in our range, IPv4 first, by priority.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn rules(&mut self) -> io::Result<Vec<Rule>> {
        let mut rules = Vec::new();
        for family in FAMILIES {
            let answers =
                self.netlink.call(RTM_GETRULE, netlink::DUMP, |m| m.fixed(&any(family)))?;
            let version = if family == FAMILIES[0] { 4 } else { 6 };
            let priorities = answers
                .iter()
                .filter_map(|answer| find_u32(answer.get(FIXED_OCTETS..)?, FRA_PRIORITY));
            let ours =
                priorities.filter(|p| (RULE_PRIORITY_FIRST..=RULE_PRIORITY_LAST).contains(p));
            rules.extend(ours.map(|priority| Rule { version, priority }));
        }
        Ok(rules)
    }

    fn rule(
        &mut self,
        family: u8,
        priority: u32,
        conditions: &[Condition],
        act: Act,
    ) -> io::Result<()> {
        self.netlink.call(RTM_NEWRULE, netlink::CREATE | netlink::EXCLUSIVE, |message| {
            let message = message
                .fixed(&header(family, act, conditions))
                .attr(FRA_PROTOCOL, &[PROTOCOL])
                .attr_u32(FRA_PRIORITY, priority);
            let message = conditions.iter().fold(message, |message, it| it.write(message));
            match act {
                Lookup(table) => message.attr_u32(FRA_TABLE, table),
                Pass => message.attr_u32(FRA_GOTO, RULE_PRIORITY_LAST),
                Nothing => message,
            }
        })?;
        Ok(())
    }
}

impl Condition<'_> {
    fn write(&self, message: Message) -> Message {
        match self {
            Mark(mark) | NoMark(mark) => message.attr_u32(FRA_FWMARK, *mark),
            Input(interface) => message.attr_text(FRA_IIFNAME, interface),
            From(prefix) => message.attr(FRA_SRC, &octets(prefix.network())),
            To(prefix) => message.attr(FRA_DST, &octets(prefix.network())),
            NoDefault => message.attr_u32(FRA_SUPPRESS_PREFIXLEN, 0),
        }
    }
}

fn family_of(prefix: IpNet) -> u8 {
    if prefix.addr().is_ipv4() { FAMILIES[0] } else { FAMILIES[1] }
}

/// `struct fib_rule_hdr`: family, target length, source length, TOS, table, two reserved, action, flags.
fn header(family: u8, act: Act, conditions: &[Condition]) -> [u8; FIXED_OCTETS] {
    let action = match act {
        Lookup(_) => FR_ACT_TO_TBL,
        Pass => FR_ACT_GOTO,
        Nothing => FR_ACT_NOP,
    };
    let (mut target, mut source, mut flags) = (0, 0, 0);
    for condition in conditions {
        match condition {
            To(prefix) => target = prefix.prefix_len(),
            From(prefix) => source = prefix.prefix_len(),
            NoMark(_) => flags = FIB_RULE_INVERT,
            Mark(_) | Input(_) | NoDefault => {}
        }
    }
    let [f0, f1, f2, f3] = flags.to_ne_bytes();
    [family, target, source, 0, 0, 0, 0, action, f0, f1, f2, f3]
}

/// A header that every rule of the family suits.
fn any(family: u8) -> [u8; FIXED_OCTETS] {
    let mut header = [0; FIXED_OCTETS];
    header[0] = family;
    header
}

/// What a rule is for, in words for `host show`.
pub fn explain(rule: Rule) -> &'static str {
    match rule.priority {
        TO_SIDS => "packets for a SID of the SR domain go where SIDs go",
        OWN_DATAGRAMS => "the router's own datagrams take no policy of the SR domain",
        FROM_BEYOND => "answers from beyond a policy go back into the tunnel",
        FROM_SEGMENTS => "what a segment list delivered enters no path again",
        TO_BEYOND => "prefixes that are behind this router over native SRv6",
        RETURNING => "replies of source-translated flows go back into the tunnel",
        FROM_TUNNEL => "what the tunnel delivered does not enter it again",
        ENGAGED => "engaged prefixes enter the tunnel, except for the router's own datagrams",
        FLOWS => "flows that began over an egress stay there",
        _ => "end of the srwan rules",
    }
}
