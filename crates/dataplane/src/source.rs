//! Which inner source addresses a peer may use (I19).

use core::net::IpAddr;
use ipnet::IpNet;

/// Prefixes per peer; what a site announces is bounded by the roster, the rest is a default route
/// for egress.
pub const SOURCES_MAX: usize = 64;

/// A list of more than [`SOURCES_MAX`] prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a peer may have at most {SOURCES_MAX} source prefixes")]
pub struct TooManySources;

/// The inner source addresses that one peer may use; none at first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(Vec<IpNet>);

impl Sources {
    pub(crate) fn new(prefixes: Vec<IpNet>) -> Result<Self, TooManySources> {
        if prefixes.len() > SOURCES_MAX { Err(TooManySources) } else { Ok(Self(prefixes)) }
    }

    pub(crate) fn allow(&self, source: IpAddr) -> bool {
        self.0.iter().any(|prefix| prefix.contains(&source))
    }
}
