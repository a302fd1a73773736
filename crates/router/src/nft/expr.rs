//! The few nf_tables expressions that srwan's rules are made of, and how each is written in netlink.
//!
//! Source: include/uapi/linux/netfilter/nf_tables.h. Attribute numbers are big-endian, register contents are as the
//! kernel keeps them: packet fields in network order, marks and states in host order.

use ipnet::IpNet;

use crate::kernel::netlink::Message;

// Attributes of a rule's list of expressions.
const LIST_ELEM: u16 = 1;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;

/// The scratch register that every comparison uses.
const REGISTER: u32 = 1;

/// The register that ends a rule.
const REGISTER_VERDICT: u32 = 0;

/// A field that the kernel knows about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    Mark,
    InputName,
    OutputName,
    Family,
    Protocol,
}

impl Meta {
    /// `enum nft_meta_keys`.
    fn key(self) -> u32 {
        match self {
            Self::Mark => 3,
            Self::InputName => 6,
            Self::OutputName => 7,
            Self::Family => 15,
            Self::Protocol => 16,
        }
    }
}

/// A field of the packet's connection-tracking entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conn {
    State,
    Direction,
    Mark,
}

impl Conn {
    /// `enum nft_ct_keys`.
    fn key(self) -> u32 {
        match self {
            Self::State => 0,
            Self::Direction => 1,
            Self::Mark => 3,
        }
    }
}

/// Where in the packet a field is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Network,
    Transport,
}

/// One expression. A rule is a list of them; a comparison that fails ends the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Load a packet fact.
    LoadMeta(Meta),
    /// Load a connection fact.
    LoadConn(Conn),
    /// Load octets of the packet.
    LoadPayload { base: Base, offset: u32, octets: u32 },
    /// Load octets of an IPv6 extension header; a packet without one ends the rule.
    LoadExtension { header: u8, offset: u32, octets: u32 },
    /// Keep the bits of the mask.
    Mask(Vec<u8>),
    /// Go on if the register equals (`true`) or differs from (`false`) the value.
    Compare { equal: bool, value: Vec<u8> },
    /// Load a constant.
    Constant(u32),
    /// Load octets.
    Value(Vec<u8>),
    /// Store the register as the TCP maximum segment size, if that is smaller than what the packet says.
    LowerSegmentSize,
    /// Store the register as the packet's mark.
    StoreMark,
    /// Store the register as the connection's mark.
    StoreConnMark,
    /// Count packets and octets.
    Counter,
    /// Source NAT to the address of the interface the packet leaves by.
    Masquerade,
    /// End: accept (`true`) or drop (`false`).
    Verdict { accept: bool },
}

impl Expr {
    /// Writes this expression as one element of a rule's list.
    pub fn write(&self, message: Message) -> Message {
        let (name, data) = self.encode();
        message.nested(LIST_ELEM, |element| {
            element.attr_text(EXPR_NAME, name).nested(EXPR_DATA, |inner| inner.fixed(&data))
        })
    }

    /// The kernel's name of the expression and its attributes.
    fn encode(&self) -> (&'static str, Vec<u8>) {
        let fields = |fill: &dyn Fn(Message) -> Message| attributes(fill);
        match self {
            Self::LoadMeta(meta) => {
                ("meta", fields(&|m| m.attr_be32(1, REGISTER).attr_be32(2, meta.key())))
            }
            Self::StoreMark => {
                ("meta", fields(&|m| m.attr_be32(2, Meta::Mark.key()).attr_be32(3, REGISTER)))
            }
            Self::LoadConn(conn) => {
                ("ct", fields(&|m| m.attr_be32(1, REGISTER).attr_be32(2, conn.key())))
            }
            Self::StoreConnMark => {
                ("ct", fields(&|m| m.attr_be32(2, Conn::Mark.key()).attr_be32(4, REGISTER)))
            }
            Self::LoadPayload { base, offset, octets } => {
                let base = if *base == Base::Network { 1 } else { 2 };
                let load = |m: Message| m.attr_be32(1, REGISTER).attr_be32(2, base);
                ("payload", fields(&|m| load(m).attr_be32(3, *offset).attr_be32(4, *octets)))
            }
            Self::LoadExtension { header, offset, octets } => {
                let load = |m: Message| m.attr_be32(1, REGISTER).attr(2, &[*header]);
                ("exthdr", fields(&|m| load(m).attr_be32(3, *offset).attr_be32(4, *octets)))
            }
            Self::LowerSegmentSize => ("exthdr", fields(&write_segment_size)),
            Self::Mask(mask) => ("bitwise", fields(&|m| write_mask(m, mask))),
            Self::Compare { equal, value } => {
                let operation = u32::from(!equal);
                let data = |m: Message| m.nested(3, |inner| inner.attr(DATA_VALUE, value));
                ("cmp", fields(&|m| data(m.attr_be32(1, REGISTER).attr_be32(2, operation))))
            }
            Self::Constant(value) => load_value(&value.to_ne_bytes()),
            Self::Value(octets) => load_value(octets),
            Self::Counter => ("counter", Vec::new()),
            Self::Masquerade => ("masq", Vec::new()),
            Self::Verdict { accept } => {
                let code = u32::from(*accept);
                let verdict = |m: Message| {
                    m.nested(2, |data| {
                        data.nested(DATA_VERDICT, |v| v.attr_be32(VERDICT_CODE, code))
                    })
                };
                ("immediate", fields(&|m| verdict(m.attr_be32(1, REGISTER_VERDICT))))
            }
        }
    }
}

fn load_value(octets: &[u8]) -> (&'static str, Vec<u8>) {
    let data = |m: Message| m.nested(2, |inner| inner.attr(DATA_VALUE, octets));
    ("immediate", attributes(&|m| data(m.attr_be32(1, REGISTER))))
}

/// TCP option 2 (RFC 9293 section 3.2): kind, length, then two octets. `NFT_EXTHDR_OP_TCPOPT` is 1.
fn write_segment_size(message: Message) -> Message {
    let option = message.attr(2, &[2]).attr_be32(3, 2).attr_be32(4, 2);
    option.attr_be32(6, 1).attr_be32(7, REGISTER)
}

fn write_mask(message: Message, mask: &[u8]) -> Message {
    let length = u32::try_from(mask.len()).expect("a mask is as long as an address");
    let zero = vec![0; mask.len()];
    message
        .attr_be32(1, REGISTER)
        .attr_be32(2, REGISTER)
        .attr_be32(3, length)
        .nested(4, |inner| inner.attr(DATA_VALUE, mask))
        .nested(5, |inner| inner.attr(DATA_VALUE, &zero))
}

/// The attributes that `fill` writes, without a message header.
fn attributes(fill: &dyn Fn(Message) -> Message) -> Vec<u8> {
    let empty = Message::new(0, 0, 0).finish().len();
    fill(Message::new(0, 0, 0)).finish().split_off(empty)
}

/// Go on if the packet came by (`equal`) the interface, or did not.
pub fn input_is(name: &str, equal: bool) -> [Expr; 2] {
    [Expr::LoadMeta(Meta::InputName), Expr::Compare { equal, value: interface(name) }]
}

/// Go on if the packet leaves by (`equal`) the interface, or does not.
pub fn output_is(name: &str, equal: bool) -> [Expr; 2] {
    [Expr::LoadMeta(Meta::OutputName), Expr::Compare { equal, value: interface(name) }]
}

/// Go on if the packet's destination lies in `prefix`.
pub fn target_in(prefix: IpNet) -> Vec<Expr> {
    address_in(prefix, (16, 24))
}

/// Go on if the packet's source lies in `prefix`.
pub fn source_in(prefix: IpNet) -> Vec<Expr> {
    address_in(prefix, (12, 8))
}

/// The address lies at one offset in an IPv4 header, at the other in an IPv6 header.
fn address_in(prefix: IpNet, offsets: (u32, u32)) -> Vec<Expr> {
    let (family, offset, octets, network, mask) = match prefix {
        IpNet::V4(v4) => (
            NFPROTO_IPV4,
            offsets.0,
            4,
            v4.network().octets().to_vec(),
            v4.netmask().octets().to_vec(),
        ),
        IpNet::V6(v6) => (
            NFPROTO_IPV6,
            offsets.1,
            16,
            v6.network().octets().to_vec(),
            v6.netmask().octets().to_vec(),
        ),
    };
    vec![
        Expr::LoadMeta(Meta::Family),
        Expr::Compare { equal: true, value: vec![family] },
        Expr::LoadPayload { base: Base::Network, offset, octets },
        Expr::Mask(mask),
        Expr::Compare { equal: true, value: network },
    ]
}

/// Go on if the packet has an IPv6 routing header of this type.
pub fn routing_header_is(kind: u8) -> [Expr; 2] {
    /// `IPPROTO_ROUTING`.
    const ROUTING: u8 = 43;
    [
        Expr::LoadExtension { header: ROUTING, offset: 2, octets: 1 },
        Expr::Compare { equal: true, value: vec![kind] },
    ]
}

/// Go on if the packet is of this IP protocol.
pub fn protocol_is(protocol: u8) -> [Expr; 2] {
    [Expr::LoadMeta(Meta::Protocol), Expr::Compare { equal: true, value: vec![protocol] }]
}

/// Go on if the first `octets.len()` octets of the transport header, from `offset`, are these.
pub fn transport_is(offset: u32, octets: Vec<u8>) -> [Expr; 2] {
    let length = u32::try_from(octets.len()).expect("a port or a type");
    [
        Expr::LoadPayload { base: Base::Transport, offset, octets: length },
        Expr::Compare { equal: true, value: octets },
    ]
}

/// Go on if the octet at `offset` of the transport header has any of these bits.
pub fn transport_is_any(offset: u32, bits: u8) -> [Expr; 3] {
    [
        Expr::LoadPayload { base: Base::Transport, offset, octets: 1 },
        Expr::Mask(vec![bits]),
        Expr::Compare { equal: false, value: vec![0] },
    ]
}

/// Go on if the connection is established or related to one that is.
pub fn is_known_connection() -> [Expr; 3] {
    /// `NF_CT_STATE_BIT` of established and related.
    const KNOWN: u32 = 0b110;
    [
        Expr::LoadConn(Conn::State),
        Expr::Mask(KNOWN.to_ne_bytes().to_vec()),
        Expr::Compare { equal: false, value: vec![0; 4] },
    ]
}

/// Go on if the packet may begin a connection: none of its kind was answered yet.
pub fn is_new_connection() -> [Expr; 3] {
    /// `NF_CT_STATE_BIT` of new.
    const NEW: u32 = 0b1000;
    [
        Expr::LoadConn(Conn::State),
        Expr::Mask(NEW.to_ne_bytes().to_vec()),
        Expr::Compare { equal: false, value: vec![0; 4] },
    ]
}

/// Go on if the packet carries this mark.
pub fn mark_is(mark: u32) -> [Expr; 2] {
    let value = mark.to_ne_bytes().to_vec();
    [Expr::LoadMeta(Meta::Mark), Expr::Compare { equal: true, value }]
}

/// Go on if the packet does not carry this mark.
pub fn mark_is_not(mark: u32) -> [Expr; 2] {
    let value = mark.to_ne_bytes().to_vec();
    [Expr::LoadMeta(Meta::Mark), Expr::Compare { equal: false, value }]
}

/// Go on if the packet flows in the direction its connection was opened in.
pub fn is_original() -> [Expr; 2] {
    [Expr::LoadConn(Conn::Direction), Expr::Compare { equal: true, value: vec![0] }]
}

/// Go on if the connection carries this mark.
pub fn connection_mark_is(mark: u32) -> [Expr; 2] {
    let value = mark.to_ne_bytes().to_vec();
    [Expr::LoadConn(Conn::Mark), Expr::Compare { equal: true, value }]
}

/// Go on if the packet flows against the direction its connection was opened in.
pub fn is_reply() -> [Expr; 2] {
    [Expr::LoadConn(Conn::Direction), Expr::Compare { equal: true, value: vec![1] }]
}

const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;

/// Octets of an interface name in a register. Source: `IFNAMSIZ`.
const INTERFACE_OCTETS: usize = 16;

fn interface(name: &str) -> Vec<u8> {
    let mut value = name.as_bytes().to_vec();
    value.resize(INTERFACE_OCTETS, 0);
    value
}
