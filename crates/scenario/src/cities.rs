//! Cities with measured delays between them: a slice of the WonderNetwork pings of July 2020.
//!
//! **What the numbers are:** averages of round-trip times. A scenario that names cities gets half of the
//! average for each direction: *an assumption*, since the set has no one-way delays, and shown as one.
//! Credits are in the project's NOTICE.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

/// A city that hosts one of the measured servers.
#[derive(Clone, Debug, PartialEq)]
pub struct City {
    pub name: &'static str,
    /// ISO 3166 code.
    pub country: &'static str,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Number of the server in the measured set.
    server: u32,
    /// One of the twelve regions of the whitepaper, section 11.
    pub whitepaper_region: bool,
}

/// All cities, in the order of the data file: the twelve regions first.
pub fn all() -> &'static [City] {
    &CITIES
}

/// The city of that name, whatever its case.
pub fn find(name: &str) -> Option<&'static City> {
    CITIES.iter().find(|city| city.name.eq_ignore_ascii_case(name))
}

/// Half of the average round-trip time, or half a millisecond within one city.
pub fn owd_assumed(from: &City, to: &City) -> Duration {
    if from.server == to.server {
        return OWD_SAME_CITY;
    }
    let rtt = RTT_AVERAGE_US.get(&(from.server, to.server));
    let rtt = rtt.expect("the data file holds every pair of its cities; a test checks that");
    Duration::from_micros(rtt / 2)
}

/// Two machines in one city: a metro network, a few hops.
const OWD_SAME_CITY: Duration = Duration::from_micros(500);

static CITIES: LazyLock<Vec<City>> = LazyLock::new(|| {
    let lines = include_str!("../data/cities.csv").lines().skip(1);
    lines
        .map(|line| city(line).expect("cities.csv is part of the program; a test reads it all"))
        .collect()
});

static RTT_AVERAGE_US: LazyLock<BTreeMap<(u32, u32), u64>> = LazyLock::new(|| {
    let lines = include_str!("../data/city_pairs.csv").lines().skip(1);
    lines
        .map(|line| pair(line).expect("city_pairs.csv is part of the program; a test reads it all"))
        .collect()
});

fn city(line: &'static str) -> Option<City> {
    let mut field = line.split(',');
    Some(City {
        name: field.next()?,
        country: field.next()?,
        lat: field.next()?.parse().ok()?,
        lon: field.next()?.parse().ok()?,
        server: field.next()?.parse().ok()?,
        whitepaper_region: field.next()? == "yes",
    })
}

/// `src,dst,min_us,avg_us,max_us,sd_us`
fn pair(line: &str) -> Option<((u32, u32), u64)> {
    let mut field = line.split(',');
    let (from, to) = (field.next()?.parse().ok()?, field.next()?.parse().ok()?);
    let average = field.nth(1)?.parse().ok()?;
    Some(((from, to), average))
}
