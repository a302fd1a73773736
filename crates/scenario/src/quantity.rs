//! The small checked quantities of a scenario: names, probabilities, rates.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Name of a node: 1 to 16 of `a-z 0-9 -`, beginning with a letter, so that it fits a file name anywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

/// Why a text is not a node name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name: use 1 to {NAME_CHARS_MAX} of a-z, 0-9 and -, beginning with a letter"
)]
pub struct BadName(pub String);

/// A chance of something happening to one packet.
///
/// **Units:** parts per million, 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Probability(u32);

/// A serialisation rate.
///
/// **Units:** bits per second, at least 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BitRate(u64);

impl NodeName {
    /// Checks a name.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let fits = (1..=NAME_CHARS_MAX).contains(&text.len());
        let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
        let plain = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if fits && starts && plain {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName(text.to_owned()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        Self::new(&text)
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Probability {
    pub const NEVER: Self = Self(0);
    pub const ALWAYS: Self = Self(PPM);

    /// From a fraction between 0 and 1; `None` outside.
    pub fn from_fraction(fraction: f64) -> Option<Self> {
        // One millionth is one nanosecond of a millisecond: Duration does the rounding without a cast.
        let scaled = Duration::try_from_secs_f64(fraction / 1000.0).ok()?;
        let ppm = u32::try_from(scaled.as_nanos()).ok()?;
        (ppm <= PPM).then_some(Self(ppm))
    }

    /// Parts per million.
    pub fn ppm(self) -> u32 {
        self.0
    }

    /// The fraction between 0 and 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(PPM)
    }
}

impl BitRate {
    /// From megabits per second; `None` below 1 kbit/s, above 100 Gbit/s, or not a number.
    pub fn from_mbps(mbps: f64) -> Option<Self> {
        // 1 Mbit/s is one bit per microsecond, so as a Duration of seconds its microseconds are bit/s.
        let scaled = Duration::try_from_secs_f64(mbps).ok()?;
        let bps = u64::try_from(scaled.as_micros()).ok()?;
        (RATE_MIN..=RATE_MAX).contains(&bps).then_some(Self(bps))
    }

    pub fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Time that many octets take on the wire.
    pub fn time_for(self, octets: u64) -> Duration {
        let bits = u128::from(octets) * 8;
        let ns = bits * 1_000_000_000 / u128::from(self.0);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000 / 1000);
        if rest == 0 { write!(f, "{whole}Mbit/s") } else { write!(f, "{whole}.{rest:03}Mbit/s") }
    }
}

/// Interface names and the paths of unix sockets are short; the longest prefix added to a name is 20.
const NAME_CHARS_MAX: usize = 16;
const PPM: u32 = 1_000_000;
/// A slower link would hold one packet for 12 s.
const RATE_MIN: u64 = 1_000;
/// Far above what one machine forwards; a larger figure is a mistake of units.
const RATE_MAX: u64 = 100_000_000_000;
