//! Geolocation and ASN of an address, from range files that the operator supplies; nothing is bundled.
//!
//! Lines are `first,last,asn[,name]` and `first,last,country,city,lat,lon`, addresses in text or (IPv4) as numbers, as
//! the usual public files have them. Ranges are kept sorted and looked up by bisection: O(log n), no allocation.
//! An address in no range is unknown, which is an answer and not an error.

use std::io::{self, BufRead};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use crate::config::Geo as GeoConfig;
use crate::fault::{self, Fault};

/// Most ranges of a file: the largest public files have some 4 million; more is a mistake.
const RANGES_MAX: usize = 8_000_000;

/// Most different texts (countries with cities, ASN names) that are kept.
const PLACES_MAX: usize = 1 << 24;

/// Where an address is, as far as the files say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tuple<'a> {
    /// Autonomous system; `None` = unknown.
    pub asn: Option<u32>,
    /// Country, city and degrees; `None` = unknown.
    pub place: Option<&'a Place>,
}

/// A place on earth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Two letters, or empty.
    pub country: String,
    /// May be empty.
    pub city: String,
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
}

/// Ranges that do not overlap, of both families.
#[derive(Default)]
struct Ranges {
    v4: Family<u32>,
    v6: Family<u128>,
}

/// Ranges of one family; `T` is an address as a number.
#[derive(Default)]
struct Family<T> {
    /// (first, last, value) until they are sorted.
    loaded: Vec<(T, T, u32)>,
    /// First addresses, rising: all that a bisection reads, so that as many as possible share a cache line.
    firsts: Vec<T>,
    /// (last, value) of the range at the same place.
    rest: Vec<(T, u32)>,
}

impl<T: Copy + Ord> Family<T> {
    fn find(&self, key: T) -> Option<u32> {
        let after = self.firsts.partition_point(|first| *first <= key);
        let (last, value) = self.rest.get(after.checked_sub(1)?)?;
        (key <= *last).then_some(*value)
    }

    fn sort(&mut self) {
        let mut rows = std::mem::take(&mut self.loaded);
        rows.sort_unstable();
        self.firsts = rows.iter().map(|row| row.0).collect();
        self.rest = rows.iter().map(|row| (row.1, row.2)).collect();
    }
}

impl Ranges {
    fn find(&self, address: IpAddr) -> Option<u32> {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.v4.find(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.find(v6.to_bits()),
        }
    }

    /// `None` if the range is none, or one too many.
    fn push(&mut self, (first, last): (IpAddr, IpAddr), value: u32) -> Option<()> {
        let room = self.v4.loaded.len() + self.v6.loaded.len() < RANGES_MAX;
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if room && first <= last => {
                self.v4.loaded.push((first.to_bits(), last.to_bits(), value));
            }
            (IpAddr::V6(first), IpAddr::V6(last)) if room && first <= last => {
                self.v6.loaded.push((first.to_bits(), last.to_bits(), value));
            }
            _ => return None,
        }
        Some(())
    }

    fn sort(&mut self) {
        self.v4.sort();
        self.v6.sort();
    }
}

/// The loaded files.
#[derive(Default)]
pub struct Geo {
    asns: Ranges,
    places: Ranges,
    names: Vec<Place>,
}

impl Geo {
    /// Reads the files of `config`; with none, everything is unknown.
    ///
    /// # Errors
    /// `SRW-R015` with file and line; the caller keeps what it has.
    pub fn load(config: &GeoConfig) -> Result<Self, Fault> {
        let mut geo = Self::default();
        for path in &config.asn_csv {
            read_lines(path, |fields| geo.add_asn(fields))?;
        }
        if let Some(path) = &config.location_csv {
            read_lines(path, |fields| geo.add_place(fields))?;
        }
        geo.asns.sort();
        geo.places.sort();
        Ok(geo)
    }

    /// The tuple of an address.
    pub fn find(&self, address: IpAddr) -> Tuple<'_> {
        let place = self.places.find(address).and_then(|index| usize::try_from(index).ok());
        Tuple { asn: self.asns.find(address), place: place.and_then(|index| self.names.get(index)) }
    }

    fn add_asn(&mut self, fields: &[&str]) -> Option<()> {
        let range = range(fields)?;
        let asn = fields.get(2)?.trim_start_matches("AS").parse().ok()?;
        self.asns.push(range, asn)
    }

    fn add_place(&mut self, fields: &[&str]) -> Option<()> {
        let range = range(fields)?;
        let place = Place {
            country: (*fields.get(2)?).to_owned(),
            city: (*fields.get(3)?).to_owned(),
            latitude: degrees(fields.get(4)?, 90.0)?,
            longitude: degrees(fields.get(5)?, 180.0)?,
        };
        // Neighbouring ranges are usually of one place: one comparison saves most of the memory.
        if self.names.last() != Some(&place) {
            self.names.push(place);
        }
        if self.names.len() > PLACES_MAX {
            return None;
        }
        let index = u32::try_from(self.names.len() - 1).ok()?;
        self.places.push(range, index)
    }
}

fn range(fields: &[&str]) -> Option<(IpAddr, IpAddr)> {
    Some((address(fields.first()?)?, address(fields.get(1)?)?))
}

/// An address; an IPv4-mapped one is IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let parsed = text.parse::<IpAddr>().ok();
    let number = || text.parse::<u32>().ok().map(|bits| Ipv4Addr::from_bits(bits).into());
    parsed.or_else(number).map(|address| address.to_canonical())
}

fn degrees(text: &str, most: f64) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.abs() <= most)
}

/// Hands each line's fields to `add`; a first line that is no range is taken for a heading.
fn read_lines(path: &Path, mut add: impl FnMut(&[&str]) -> Option<()>) -> Result<(), Fault> {
    let file = std::fs::File::open(path).map_err(|error| file_fault(path, 0, error.to_string()))?;
    for (index, line) in io::BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| file_fault(path, index + 1, error.to_string()))?;
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if add(&split(line)).is_none() && index > 0 {
            return Err(file_fault(path, index + 1, "not a range of addresses".into()));
        }
    }
    Ok(())
}

/// Fields of a CSV line; quotes protect commas, a doubled quote inside quotes does not occur in such files.
fn split(line: &str) -> Vec<&str> {
    let mut in_quotes = false;
    let fields = line.split(|c| {
        in_quotes ^= c == '"';
        c == ',' && !in_quotes
    });
    fields.map(|field| field.trim().trim_matches('"')).collect()
}

fn file_fault(path: &Path, line: usize, why: String) -> Fault {
    Fault::new(
        fault::GEO_FILES,
        format!("cannot use {}:{line}", path.display()),
        why,
        "expected: first,last,asn[,name] or first,last,country,city,lat,lon",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(asn: &str, places: &str) -> Result<Geo, Fault> {
        let dir = tempfile::tempdir().unwrap();
        let (asn_file, place_file) = (dir.path().join("asn.csv"), dir.path().join("place.csv"));
        std::fs::write(&asn_file, asn).unwrap();
        std::fs::write(&place_file, places).unwrap();
        Geo::load(&GeoConfig { asn_csv: vec![asn_file], location_csv: Some(place_file) })
    }

    const ASN: &str = "first,last,asn,name\n\
        198.18.2.0,198.18.2.255,AS64502,\"B, Inc\"\n\
        198.18.1.0,198.18.1.255,64501\n\
        2001:db8::,2001:db8::ffff,64503\n\
        3222405120,3222405375,64504\n";
    const PLACES: &str = "198.18.1.0,198.18.2.127,GB,London,51.5,-0.1\n";

    fn check_asn(address: &str, expected: Option<u32>) {
        let geo = load(ASN, PLACES).unwrap();
        assert_eq!(geo.find(address.parse().unwrap()).asn, expected, "{address}");
    }

    #[test]
    fn an_address_is_found_in_its_range_only() {
        check_asn("198.18.1.0", Some(64501));
        check_asn("198.18.1.255", Some(64501));
        check_asn("198.18.2.1", Some(64502));
        check_asn("198.18.3.0", None);
        check_asn("198.17.255.255", None);
        check_asn("2001:db8::1", Some(64503));
        check_asn("2001:db8::1:0", None);
        check_asn("192.17.0.0", None);
        check_asn("192.17.1.1", None);
        check_asn("192.17.0.1", None);
        check_asn("::ffff:198.18.1.9", Some(64501));
    }

    #[test]
    fn an_address_written_as_a_number_is_understood() {
        let bits = 3_222_405_120;
        check_asn(&Ipv4Addr::from_bits(bits).to_string(), Some(64504));
    }

    #[test]
    fn a_place_comes_with_its_coordinates() {
        let geo = load(ASN, PLACES).unwrap();
        let tuple = geo.find("198.18.2.100".parse().unwrap());
        assert_eq!(
            tuple.place.map(|place| (&place.city[..], place.latitude)),
            Some(("London", 51.5))
        );
        assert_eq!(geo.find("198.18.2.200".parse().unwrap()).place, None);
    }

    #[test]
    fn a_bad_line_is_named() {
        let fault = load(ASN, "a\n198.18.9.9,198.18.1.0,GB,London,51.5,-0.1\n").err().unwrap();
        assert_eq!(fault.code, fault::GEO_FILES);
        assert!(fault.what.ends_with("place.csv:2"), "{}", fault.what);
    }

    #[test]
    fn without_files_everything_is_unknown() {
        let geo = Geo::load(&GeoConfig::default()).unwrap();
        assert_eq!(geo.find(IpAddr::from([1, 1, 1, 1])), Tuple::default());
    }
}
