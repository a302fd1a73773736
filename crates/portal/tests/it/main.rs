//! The portal over loopback, in front of a recorded admin API on a unix socket.

mod desk;
mod guard;
mod live;
mod login;
mod page;
