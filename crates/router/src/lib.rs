//! The shell of a segment router: sockets, TUN, kernel and disk around the pure `node` machine.
//!
//! ```text
//!   udp, tun <-> packet_loop (a thread; runs the node) -> events -> dispatch -> host (kernel thread: routes)
//!                      ^ orders                                        |-> evidence (thread: journal)
//!                      +------------- facts, rosters, questions <------+-> ledger, controller, admin (async tasks)
//! ```
//!
//! Rooms: [`config`] and [`keys`] read what the operator wrote; [`udp`], [`tun`] and [`outbox`] move packets;
//! [`packet_loop`] runs the node; [`xdp`] spares it what is only relayed; [`kernel`], [`nft`] and [`host`] change the
//! host, and undo it; [`journal`] and [`evidence`] keep money on disk, [`stamp`] handshake timestamps; [`controller`]
//! and [`ledger`] speak to the other daemons; [`admin`] answers people; [`daemon`] joins all of it. This crate decides
//! nothing about paths, peers or
//! money.

pub mod admin;
pub mod clock;
pub mod config;
pub mod controller;
pub mod daemon;
mod dispatch;
pub mod doctor;
pub mod event_log;
pub mod evidence;
pub mod fault;
pub mod geo;
pub mod host;
pub mod journal;
pub mod kernel;
pub mod keys;
pub mod ledger;
pub mod membership;
pub mod names;
pub mod nft;
pub mod outbox;
pub mod packet_loop;
pub mod prober;
pub mod shared;
pub mod stamp;
pub mod tun;
pub mod udp;
pub mod xdp;

pub use daemon::run;
pub use doctor::doctor;
pub use host::host_cleanup;
