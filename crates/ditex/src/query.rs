//! Which segments are asked for.

use core::str::FromStr;
use core::time::Duration;

use srwan_wire::id::NodeId;

use crate::segment::{Segment, Side};

/// Segments in one answer: the whole matrix of a full group.
pub const SEGMENTS_PER_ANSWER_MAX: usize = 10_000;

/// A condition on one side of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SideFilter {
    /// Any router.
    #[default]
    Any,
    /// This router.
    Node(NodeId),
    /// Routers in this network.
    Asn(u32),
    /// Routers in this city, in any case of letters.
    City(String),
    /// Routers in this country.
    Country(String),
    /// The router of this name, or routers in the city of this name.
    NameOrCity(String),
}

/// The text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of node:N, asn:N, city:NAME, country:XX, or a router's or city's name")]
pub struct SideFilterError(pub String);

impl FromStr for SideFilter {
    type Err = SideFilterError;

    /// Reads `node:3`, `asn:64501`, `AS64501`, `city:London`, `country:GB`, or a name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || SideFilterError(text.to_owned());
        match text.split_once(':') {
            Some(("node", number)) => parse_node(number).map(Self::Node).ok_or_else(bad),
            Some(("asn", number)) => number.parse().map(Self::Asn).map_err(|_| bad()),
            Some(("city", name)) => Ok(Self::City(name.to_owned())),
            Some(("country", code)) => Ok(Self::Country(code.to_owned())),
            Some(_) => Err(bad()),
            None if text.is_empty() => Ok(Self::Any),
            None => Ok(parse_bare(text)),
        }
    }
}

fn parse_bare(text: &str) -> SideFilter {
    let asn = text.strip_prefix("AS").and_then(|digits| digits.parse().ok());
    match (asn, parse_node(text)) {
        (Some(asn), _) => SideFilter::Asn(asn),
        (None, Some(node)) => SideFilter::Node(node),
        (None, None) => SideFilter::NameOrCity(text.to_owned()),
    }
}

fn parse_node(text: &str) -> Option<NodeId> {
    let digits = text.strip_prefix('n').unwrap_or(text);
    NodeId::new(digits.parse().ok()?)
}

impl SideFilter {
    /// Says whether a side meets the condition.
    #[must_use]
    pub fn matches(&self, side: &Side) -> bool {
        let in_city = |name: &str| side.location.city.eq_ignore_ascii_case(name);
        match self {
            Self::Any => true,
            Self::Node(node) => side.node == *node,
            Self::Asn(asn) => side.asn == *asn,
            Self::City(name) => in_city(name),
            Self::Country(code) => side.location.country.eq_ignore_ascii_case(code),
            Self::NameOrCity(name) => side.name.eq_ignore_ascii_case(name) || in_city(name),
        }
    }
}

/// A query of the segment database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentQuery {
    /// Condition on the A-side.
    pub from: SideFilter,
    /// Condition on the Z-side.
    pub to: SideFilter,
    /// Leaves out figures older than this.
    pub age_max: Option<Duration>,
}

impl SegmentQuery {
    /// Says whether a segment meets all conditions.
    #[must_use]
    pub fn matches(&self, segment: &Segment) -> bool {
        self.from.matches(&segment.a)
            && self.to.matches(&segment.z)
            && self.age_max.is_none_or(|max| segment.figures.age <= max)
    }
}

#[cfg(test)]
mod tests {
    use srwan_wire::roster::Location;

    use super::*;

    fn check(text: &str, expected: bool) {
        let location =
            Location { city: "London".into(), country: "GB".into(), ..Location::default() };
        let node = NodeId::new(3).unwrap();
        let side = Side { node, name: "lon".into(), endpoint: None, location, asn: 64_501 };
        let filter: SideFilter = text.parse().unwrap();
        assert_eq!(filter.matches(&side), expected, "{text}");
    }

    #[test]
    fn sides_are_found_by_number_network_place_and_name() {
        for text in ["", "3", "n3", "node:3", "AS64501", "asn:64501", "city:london", "country:gb"] {
            check(text, true);
        }
        check("lon", true);
        check("LONDON", true);
        for text in ["4", "node:4", "AS1", "city:Paris", "country:FR", "par", "AS"] {
            check(text, false);
        }
    }

    #[test]
    fn what_cannot_be_a_condition_is_refused() {
        for text in ["node:0", "node:x", "asn:-1", "port:80"] {
            assert_eq!(text.parse::<SideFilter>(), Err(SideFilterError(text.to_owned())));
        }
    }
}
