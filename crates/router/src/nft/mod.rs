//! The packet filter of a router: one nf_tables table, `inet srwan`, written in one netlink transaction.
//!
//! [`ruleset`] says what, [`expr`] how an expression is written, this file how a table is made and removed.
//! The table is *owned* by the netlink socket that made it: the kernel removes it when this process dies, also by
//! SIGKILL. Kernels before 5.12 lack that flag; there the next start or `host cleanup` removes the table.

pub mod expr;
pub mod flows;
pub mod ruleset;
pub mod segments;

use std::io;

use nix::sys::socket::SockProtocol;

use crate::kernel::netlink::{self, Message, Netlink};
use ruleset::{Chain, Hook};

/// Name of the table.
pub const TABLE: &str = "srwan";

// include/uapi/linux/netfilter/nfnetlink.h and nf_tables.h
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_DELRULE: u16 = 8;
const NFT_TABLE_F_OWNER: u32 = 2;
const NFPROTO_INET: u8 = 1;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;

/// The installed table; it goes when this is dropped.
pub struct Filter {
    /// The owner of the table, in the kernel's eyes.
    owner: Netlink,
}

impl Filter {
    /// Replaces whatever `inet srwan` there is by these chains, all or nothing.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN` or if another live router owns the table; `EOPNOTSUPP` or `ENOENT` if the
    /// kernel lacks nf_tables, connection tracking or masquerading.
    pub fn install(chains: &[Chain]) -> io::Result<Self> {
        let mut socket = Netlink::open(SockProtocol::NetlinkNetFilter)?;
        match write(&mut socket, chains, NFT_TABLE_F_OWNER) {
            Err(error) if is_unsupported(&error) => write(&mut socket, chains, 0)?,
            other => other?,
        }
        Ok(Self { owner: socket })
    }

    /// Replaces the rules of chains that are installed, all or nothing; no packet sees a chain without its rules.
    ///
    /// # Errors
    /// As [`Filter::install`].
    pub fn replace_rules(&mut self, chains: &[Chain]) -> io::Result<()> {
        let mut batch = Batch::begin(&mut self.owner);
        for chain in chains {
            batch.flush(&mut self.owner, chain);
            batch.rules(&mut self.owner, chain);
        }
        batch.commit(&mut self.owner)
    }
}

/// Removes the table if there is one that no live router owns.
///
/// # Errors
/// `EPERM` if another process owns it, or without `CAP_NET_ADMIN`.
pub fn remove() -> io::Result<()> {
    if !is_installed()? {
        return Ok(());
    }
    let mut socket = Netlink::open(SockProtocol::NetlinkNetFilter)?;
    let mut batch = Batch::begin(&mut socket);
    batch.table(&mut socket, NFT_MSG_DELTABLE, 0);
    batch.commit(&mut socket)
}

/// Says whether the table exists.
///
/// # Errors
/// A kernel without nf_tables.
pub fn is_installed() -> io::Result<bool> {
    let mut socket = Netlink::open(SockProtocol::NetlinkNetFilter)?;
    let found = socket.call(subsystem(NFT_MSG_GETTABLE), 0, |message| {
        message.fixed(&family(NFPROTO_INET)).attr_text(NFTA_TABLE_NAME, TABLE)
    });
    match found {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn write(socket: &mut Netlink, chains: &[Chain], flags: u32) -> io::Result<()> {
    // Create, delete, create: the delete in the middle never fails for want of a table.
    if !is_installed()? {
        let mut batch = Batch::begin(socket);
        batch.table(socket, NFT_MSG_NEWTABLE, 0);
        batch.commit(socket)?;
    }
    let mut batch = Batch::begin(socket);
    batch.table(socket, NFT_MSG_DELTABLE, 0);
    batch.table(socket, NFT_MSG_NEWTABLE, flags);
    for chain in chains {
        batch.chain(socket, chain);
    }
    batch.commit(socket)
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL))
}

/// A transaction: messages between a begin and an end, applied all or not at all.
struct Batch {
    octets: Vec<u8>,
    last: u32,
}

impl Batch {
    fn begin(socket: &mut Netlink) -> Self {
        let mut batch = Self { octets: Vec::new(), last: 0 };
        batch.bracket(socket, NFNL_MSG_BATCH_BEGIN);
        batch
    }

    fn bracket(&mut self, socket: &mut Netlink, kind: u16) {
        let sequence = socket.next_sequence();
        let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
        let message = Message::new(kind, netlink::REQUEST, sequence).fixed(&[0, 0, high, low]);
        self.octets.extend(message.finish());
    }

    fn push(
        &mut self,
        socket: &mut Netlink,
        kind: u16,
        flags: u16,
        fill: impl FnOnce(Message) -> Message,
    ) {
        self.last = socket.next_sequence();
        let flags = flags | netlink::REQUEST | netlink::ACK;
        let message = Message::new(subsystem(kind), flags, self.last).fixed(&family(NFPROTO_INET));
        self.octets.extend(fill(message).finish());
    }

    fn table(&mut self, socket: &mut Netlink, kind: u16, flags: u32) {
        let create = if kind == NFT_MSG_NEWTABLE { netlink::CREATE } else { 0 };
        self.push(socket, kind, create, |message| {
            message.attr_text(NFTA_TABLE_NAME, TABLE).attr_be32(NFTA_TABLE_FLAGS, flags)
        });
    }

    fn chain(&mut self, socket: &mut Netlink, chain: &Chain) {
        self.push(socket, NFT_MSG_NEWCHAIN, netlink::CREATE, |message| {
            let message = message
                .attr_text(NFTA_CHAIN_TABLE, TABLE)
                .attr_text(NFTA_CHAIN_NAME, chain.name)
                .nested(NFTA_CHAIN_HOOK, |inner| hook(inner, chain.hook));
            message.attr_text(NFTA_CHAIN_TYPE, chain.hook.kind)
        });
        self.rules(socket, chain);
    }

    /// Takes all rules out of a chain.
    fn flush(&mut self, socket: &mut Netlink, chain: &Chain) {
        self.push(socket, NFT_MSG_DELRULE, 0, |message| {
            message.attr_text(NFTA_RULE_TABLE, TABLE).attr_text(NFTA_RULE_CHAIN, chain.name)
        });
    }

    fn rules(&mut self, socket: &mut Netlink, chain: &Chain) {
        for rule in &chain.rules {
            self.push(socket, NFT_MSG_NEWRULE, netlink::CREATE | netlink::APPEND, |message| {
                let message = message
                    .attr_text(NFTA_RULE_TABLE, TABLE)
                    .attr_text(NFTA_RULE_CHAIN, chain.name);
                message.nested(NFTA_RULE_EXPRESSIONS, |inner| {
                    rule.iter().fold(inner, |inner, expr| expr.write(inner))
                })
            });
        }
    }

    fn commit(mut self, socket: &mut Netlink) -> io::Result<()> {
        let last = self.last;
        self.bracket(socket, NFNL_MSG_BATCH_END);
        socket.exchange(&self.octets, last).map(drop)
    }
}

fn hook(message: Message, hook: Hook) -> Message {
    let priority = hook.priority.to_be_bytes();
    message.attr_be32(NFTA_HOOK_HOOKNUM, hook.number).attr(NFTA_HOOK_PRIORITY, &priority)
}

fn subsystem(kind: u16) -> u16 {
    NFNL_SUBSYS_NFTABLES << 8 | kind
}

/// `struct nfgenmsg`: family, version, resource id.
fn family(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}
