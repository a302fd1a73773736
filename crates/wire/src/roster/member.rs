//! One router as the roster describes it, and the rules that its description keeps.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use borsh::{BorshDeserialize, BorshSerialize};
use ipnet::IpNet;

use crate::id::{AccountKey, NodeId, NodeKey};

/// Endpoints one router may name; threat T21: more would let one join aim the group at others.
pub const ENDPOINTS_MAX: usize = 4;

/// Prefixes one router may claim: a site has a few networks, a table has to stay small.
pub const PREFIXES_MAX: usize = 16;

/// Octets of a name: fits a table column and a log line.
pub const NAME_OCTETS_MAX: usize = 48;

/// Octets of a city's name: the longest in use are just under this.
pub const CITY_OCTETS_MAX: usize = 96;

/// The ASN of a router that does not know its own; reserved by RFC 7607.
pub const ASN_UNKNOWN: u32 = 0;

/// Under which rules a router's capacity is sold.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize,
)]
pub enum Class {
    /// A community router: equal shares (economics, `w_i` = 1).
    #[default]
    Public,
    /// A premium segment: its listing's weight applies (W87).
    Premium,
    /// Part of a private WAN: carries its own organisation's traffic only (W3).
    Private,
}

/// Where a router says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Location {
    /// City name as shown to people; may be empty.
    pub city: String,
    /// Two upper-case letters of ISO 3166-1, or empty.
    pub country: String,
    /// **Units:** 10^-6 degree, north positive, -90 000 000 ..= 90 000 000.
    pub lat_e6: i32,
    /// **Units:** 10^-6 degree, east positive, -180 000 000 ..= 180 000 000.
    pub lon_e6: i32,
}

/// One router of a group.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Member {
    /// Number given by the controller.
    pub node: NodeId,
    /// Static key of its handshakes.
    pub node_key: NodeKey,
    /// Signs its rows, receipts and transactions.
    pub account_key: AccountKey,
    /// Where its datagrams are to be sent: 1 to [`ENDPOINTS_MAX`], the preferred one first.
    pub endpoints: Vec<SocketAddr>,
    /// Networks behind it, at most [`PREFIXES_MAX`], host bits zero.
    #[borsh(serialize_with = "write_prefixes", deserialize_with = "read_prefixes")]
    pub prefixes: Vec<IpNet>,
    /// Where it is.
    pub location: Location,
    /// Autonomous system it is in; [`ASN_UNKNOWN`] if it does not know.
    pub asn: u32,
    /// Under which rules it sells.
    pub class: Class,
    /// What carrying costs. **Units:** base per MB (10^6 octets). `None` = infinity: never for sale.
    pub price: Option<u64>,
    /// Whether it delivers to destinations outside the WAN.
    pub egress: bool,
    /// Shown to people.
    pub name: String,
}

impl Member {
    /// Checks the rules that one member keeps by itself.
    ///
    /// **Errors:** the first rule that is broken.
    pub fn check(&self) -> Result<(), MemberError> {
        check_claims(&self.name, &self.location, &self.endpoints, &self.prefixes)
    }
}

impl Location {
    /// Checks the ranges of the coordinates and the form of the names.
    ///
    /// **Errors:** [`MemberError::BadLocation`].
    pub fn check(&self) -> Result<(), MemberError> {
        let country_ok = self.country.is_empty()
            || (self.country.len() == 2 && self.country.bytes().all(|c| c.is_ascii_uppercase()));
        let city_ok = check_text(&self.city, 0, CITY_OCTETS_MAX).is_ok();
        let lat_ok = self.lat_e6.unsigned_abs() <= 90_000_000;
        let lon_ok = self.lon_e6.unsigned_abs() <= 180_000_000;
        if country_ok && city_ok && lat_ok && lon_ok {
            Ok(())
        } else {
            Err(MemberError::BadLocation)
        }
    }
}

/// Why a router's description is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// Empty, too long, or with control characters.
    #[error("the name `{name}` is empty, over {NAME_OCTETS_MAX} octets or has control characters")]
    BadName {
        /// The name, escaped.
        name: String,
    },
    /// A coordinate, country code or city name that cannot be.
    #[error("the location has impossible coordinates, country code or city name")]
    BadLocation,
    /// No endpoint, or too many.
    #[error("{count} endpoints, must be 1 to {ENDPOINTS_MAX}")]
    EndpointCount {
        /// What was given.
        count: usize,
    },
    /// Nobody can reach a router there, or somebody else would be reached.
    #[error("the endpoint {endpoint} is loopback, unspecified, multicast or has no port")]
    BadEndpoint {
        /// What was given.
        endpoint: SocketAddr,
    },
    /// One endpoint twice.
    #[error("the endpoint {endpoint} is listed twice")]
    EndpointTwice {
        /// What was given.
        endpoint: SocketAddr,
    },
    /// Too many prefixes.
    #[error("{count} prefixes, at most {PREFIXES_MAX}")]
    PrefixCount {
        /// What was given.
        count: usize,
    },
    /// A default route, a loopback, link-local or multicast network, or set host bits.
    #[error("the prefix {prefix} is not a network that a site can have")]
    BadPrefix {
        /// What was given.
        prefix: IpNet,
    },
    /// One prefix twice, or one inside the other.
    #[error("the prefix {prefix} overlaps another of the same router")]
    PrefixTwice {
        /// What was given.
        prefix: IpNet,
    },
}

/// Checks what a router says about itself, whether or not it has a number yet.
pub(super) fn check_claims(
    name: &str,
    location: &Location,
    endpoints: &[SocketAddr],
    prefixes: &[IpNet],
) -> Result<(), MemberError> {
    check_text(name, 1, NAME_OCTETS_MAX)
        .map_err(|()| MemberError::BadName { name: name.escape_debug().to_string() })?;
    location.check()?;
    check_endpoints(endpoints)?;
    check_prefixes(prefixes)
}

fn check_text(text: &str, octets_min: usize, octets_max: usize) -> Result<(), ()> {
    let length_ok = (octets_min..=octets_max).contains(&text.len());
    let trimmed = text.trim() == text;
    if length_ok && trimmed && !text.chars().any(char::is_control) { Ok(()) } else { Err(()) }
}

fn check_endpoints(endpoints: &[SocketAddr]) -> Result<(), MemberError> {
    if endpoints.is_empty() || endpoints.len() > ENDPOINTS_MAX {
        return Err(MemberError::EndpointCount { count: endpoints.len() });
    }
    let mut seen = BTreeSet::new();
    for &endpoint in endpoints {
        if endpoint.port() == 0 || !is_unicast(endpoint.ip()) {
            return Err(MemberError::BadEndpoint { endpoint });
        }
        if !seen.insert(endpoint) {
            return Err(MemberError::EndpointTwice { endpoint });
        }
    }
    Ok(())
}

fn check_prefixes(prefixes: &[IpNet]) -> Result<(), MemberError> {
    if prefixes.len() > PREFIXES_MAX {
        return Err(MemberError::PrefixCount { count: prefixes.len() });
    }
    for (index, prefix) in prefixes.iter().enumerate() {
        let network = prefix.network();
        if prefix.prefix_len() == 0
            || prefix.addr() != network
            || !is_unicast(network)
            || is_link_local(network)
        {
            return Err(MemberError::BadPrefix { prefix: *prefix });
        }
        let earlier = prefixes.iter().take(index);
        if earlier.into_iter().any(|other| other.contains(prefix) || prefix.contains(other)) {
            return Err(MemberError::PrefixTwice { prefix: *prefix });
        }
    }
    Ok(())
}

/// Says whether a packet to this address reaches one other machine.
///
/// An IPv4-mapped IPv6 address is judged as the IPv4 address that it hides.
fn is_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address.to_canonical(), IpAddr::V4(v4) if v4.is_broadcast());
    let address = address.to_canonical();
    !(broadcast || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Encodes prefixes as a count and, each, a borsh `IpAddr` and its length.
pub(super) fn write_prefixes<W: borsh::io::Write>(
    prefixes: &[IpNet],
    writer: &mut W,
) -> borsh::io::Result<()> {
    let pairs: Vec<(IpAddr, u8)> =
        prefixes.iter().map(|prefix| (prefix.addr(), prefix.prefix_len())).collect();
    pairs.serialize(writer)
}

/// Decodes what [`write_prefixes`] wrote; a length that the family cannot have is an error.
pub(super) fn read_prefixes<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Vec<IpNet>> {
    let pairs = Vec::<(IpAddr, u8)>::deserialize_reader(reader)?;
    let parsed = pairs.into_iter().map(|(address, length)| IpNet::new(address, length));
    parsed.collect::<Result<_, _>>().map_err(|_| borsh::io::ErrorKind::InvalidData.into())
}
