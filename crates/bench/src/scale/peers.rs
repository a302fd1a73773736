//! A router with many idle peers: each shook hands and exchanged a keepalive, so that keys and replay windows are
//! there.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use srwan_dataplane::{Dataplane, Identity, PeerConfig, Reach};
use srwan_wire::id::NodeId;
use srwan_wire::time::{Instant, Timestamp, WallClock};

use crate::strain::resident_kib;

/// What idle peers cost.
#[derive(Clone, Debug, Serialize)]
pub struct Peers {
    pub count: u32,
    /// Resident memory of the whole process that they added, divided by their number.
    pub kib_each: f64,
    /// Handshakes a second on one core, both sides in one thread.
    pub handshakes_per_s: f64,
}

/// Lets `count` peers shake hands with one router.
pub fn measure(count: u32) -> Result<Peers> {
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut hub = plane(HUB, now)?;
    // One peer first: what is allocated once is not a peer's.
    meet(&mut hub, HUB + 1, now)?;
    let own = i32::try_from(std::process::id()).context("a process number fits")?;
    let (before, begun) = (resident_kib(own)?, std::time::Instant::now());
    for number in (HUB + 2..).take(usize::try_from(count)?) {
        now = now + HANDSHAKE_INTERVAL;
        meet(&mut hub, number, now)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let grown = resident_kib(own)?.saturating_sub(before);
    Ok(Peers {
        count,
        kib_each: grown as f64 / f64::from(count.max(1)),
        handshakes_per_s: f64::from(count) / seconds,
    })
}

/// The hub calls a new peer, which answers, and is heard once more.
fn meet(hub: &mut Dataplane, number: u32, now: Instant) -> Result<()> {
    let mut peer = plane(number, now)?;
    introduce(hub, number, now)?;
    introduce(&mut peer, HUB, now)?;
    hub.connect(node(number)?, Reach::Direct, now);
    peer.connect(node(HUB)?, Reach::Direct, now);
    let mut is_moving = true;
    while is_moving {
        // The second time it calls with the cookie that the first call got.
        hub.handle_timeout(now);
        is_moving = carry(hub, HUB, &mut peer, now);
        is_moving |= carry(&mut peer, number, hub, now);
    }
    while hub.poll_event().is_some() {}
    anyhow::ensure!(hub.is_up(node(number)?), "peer {number} has no session");
    let silent = now + KEEPALIVE;
    peer.handle_timeout(silent);
    carry(&mut peer, number, hub, now);
    Ok(())
}

fn introduce(plane: &mut Dataplane, other: u32, now: Instant) -> Result<()> {
    let key = identity(other)?.public();
    let peer = PeerConfig::new(key, vec![address(other)], PSK);
    plane.set_peer(node(other)?, peer, now);
    let site = ipnet::Ipv4Net::new(Ipv4Addr::from_bits(0x0a00_0000 | other), 32)?;
    plane.allow_source(node(other)?, vec![site.into()])?;
    Ok(())
}

/// Hands over what `from` has to send; whether there was anything.
fn carry(from: &mut Dataplane, number: u32, to: &mut Dataplane, now: Instant) -> bool {
    let mut is_moving = false;
    while let Some(transmit) = from.poll_transmit() {
        let mut bytes = transmit.bytes;
        to.receive(address(number), &mut bytes, 0, now);
        is_moving = true;
    }
    is_moving
}

fn plane(number: u32, now: Instant) -> Result<Dataplane> {
    Ok(Dataplane::new(identity(number)?, secret(number), now))
}

fn identity(number: u32) -> Result<Identity> {
    Ok(Identity {
        node: node(number)?,
        secret: secret(number ^ 0x5a5a_0000).into(),
        clock: WallClock::new(Timestamp::from_nanos(1_700_000_000_000_000_000)),
        last_stamp: Timestamp::default(),
    })
}

fn secret(number: u32) -> [u8; 32] {
    let mut secret = [7; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    secret
}

fn node(number: u32) -> Result<NodeId> {
    NodeId::new(number).with_context(|| format!("{number} is no number of a node"))
}

/// Each in a network of its own.
fn address(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x1000_0000 | number << 8), 4_766))
}

const HUB: u32 = 1;
const PSK: [u8; 32] = [42; 32];
/// Slower than the gate's budget for handshakes, and all of them within the life of a session.
const HANDSHAKE_INTERVAL: Duration = Duration::from_millis(4);
/// After so long in silence a peer is heard again.
const KEEPALIVE: Duration = Duration::from_secs(26);
