//! From [`RawConfig`] to [`Config`]: each range, each address, each name, with the line it was written in.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use srwan_control::Preference;
use srwan_ledger::amount::Amount;
use srwan_node::KeyLife;
use srwan_wire::id::{AccountKey, NodeKey};
use srwan_wire::roster::{
    CITY_OCTETS_MAX, ENDPOINTS_MAX, Location, MemberError, NAME_OCTETS_MAX, PREFIXES_MAX,
};

use super::raw::RawConfig;
use super::{Clock, Config, Controller, Egress, Geo, Ledger, Liveness, Policy, Tun, Xdp, XdpMode};
use super::{class, multipath, price, srv6};
use crate::fault::{self, Fault};
use crate::ledger::VALIDATORS_MAX;

/// Most watched prefixes: each is probed, so the probe rate is bounded.
const WATCH_MAX: usize = 256;

/// Most egress ports: each is one rule of the kernel's filter.
const EGRESS_PORTS_MAX: usize = 64;

/// Mail between servers is never relayed. Source: promises T14.
const PORT_SMTP: u16 = 25;

/// Longest interface name. Source: `IFNAMSIZ` - 1.
const INTERFACE_NAME_MAX: usize = 15;

/// Most interfaces of the XDP relay: each is looked at once a second, and no host has more uplinks.
const XDP_INTERFACES_MAX: usize = 16;

/// Largest size of a clock skew used as test input: one day.
const SKEW_MS_MAX: i64 = 86_400_000;

/// Where a value was written, for messages.
pub struct Source<'a> {
    pub text: &'a str,
    pub file: &'a str,
}

impl Source<'_> {
    /// The fault "`key` is wrong because `why`".
    fn refuse(&self, code: &'static str, key: &str, why: impl Into<String>) -> Fault {
        let help = super::keys::KEYS.iter().find(|known| known.path == key);
        let fix = help.map_or("see docs/operations.md", |known| known.help);
        let place = self.line_of(key).map_or(String::new(), |line| format!(":{line}"));
        Fault::new(code, format!("{}{place}: `{key}` is refused", self.file), why, fix)
    }

    /// The fault "`key` is out of its range because `why`".
    pub(super) fn range(&self, key: &str, why: impl Into<String>) -> Fault {
        self.refuse(fault::CONFIG_RANGE, key, why)
    }

    /// The line of `section.key`, or of the heading of that section, found by walking the headings.
    fn line_of(&self, path: &str) -> Option<usize> {
        let (section, key) = path.split_once('.').unwrap_or(("", path));
        let mut current = "";
        for (index, line) in self.text.lines().enumerate() {
            let line = line.trim();
            if let Some(heading) = line.strip_prefix('[') {
                let name = heading.trim_start_matches('[').split(']').next();
                current = name.unwrap_or("").trim();
                if current == path {
                    return Some(index + 1);
                }
            } else if current == section
                && line.split('=').next().is_some_and(|name| name.trim() == key)
            {
                return Some(index + 1);
            }
        }
        None
    }

    /// `value` if it lies in `range`.
    fn within<T>(&self, key: &str, value: T, range: RangeInclusive<T>) -> Result<T, Fault>
    where
        T: PartialOrd + std::fmt::Display,
    {
        if range.contains(&value) {
            return Ok(value);
        }
        let (low, high) = (range.start(), range.end());
        Err(self.range(key, format!("{value} is not between {low} and {high}")))
    }

    fn millis(&self, key: &str, value: u64, range: RangeInclusive<u64>) -> Result<Duration, Fault> {
        self.within(key, value, range).map(Duration::from_millis)
    }
}

/// Checks every value of `raw`.
///
/// # Errors
/// The first refused value, with its line.
pub fn check(raw: RawConfig, source: &Source) -> Result<Config, Fault> {
    let config = Config {
        name: name(&raw.name, source)?,
        state_dir: state_dir(&raw, source)?,
        listen: raw.listen,
        endpoints: endpoints(&raw, source)?,
        controller: controller(&raw, source)?,
        ledger: ledger(&raw, source)?,
        location: location(&raw, source)?,
        asn: raw.location.asn,
        site_prefixes: at_most("site.prefixes", raw.site.prefixes.clone(), PREFIXES_MAX, source)?,
        egress: egress(&raw, source)?,
        watch: at_most("destinations.watch", raw.destinations.watch.clone(), WATCH_MAX, source)?,
        pulse_interval: source.millis("pulse.interval_ms", raw.pulse.interval_ms, 200..=60_000)?,
        key_life: KeyLife::new(Duration::from_secs(raw.session.rekey_s))
            .ok_or_else(|| source.range("session.rekey_s", "not between 2 and 120"))?,
        liveness: liveness(&raw, source)?,
        policy: policy(&raw, source)?,
        classes: class::classes(&raw, source)?,
        multipath: multipath::rules(&raw, source)?,
        clock: clock(&raw, source)?,
        price: price::parse(&raw.price.coins_per_gb)
            .ok_or_else(|| source.range("price.coins_per_gb", "not a decimal price, nor inf"))?,
        geo: geo(&raw),
        portal_listen: raw.portal.listen,
        tun: tun(&raw, source)?,
        xdp: xdp(&raw, source)?,
        srv6: srv6::check(&raw, source)?,
    };
    // What the roster will refuse is refused here, before anything is sent.
    let profile = config.profile(NodeKey([0; 32]), AccountKey([0; 32]));
    profile.check().map_err(|error| member_fault(&error, source))?;
    Ok(config)
}

fn member_fault(error: &MemberError, source: &Source) -> Fault {
    let (code, key) = match error {
        MemberError::BadName { .. } => (fault::CONFIG_RANGE, "name"),
        MemberError::BadLocation => (fault::CONFIG_RANGE, "location.city"),
        MemberError::EndpointCount { .. }
        | MemberError::BadEndpoint { .. }
        | MemberError::EndpointTwice { .. } => (fault::CONFIG_ENDPOINT, "endpoints"),
        MemberError::PrefixCount { .. }
        | MemberError::BadPrefix { .. }
        | MemberError::PrefixTwice { .. } => (fault::CONFIG_RANGE, "site.prefixes"),
    };
    source.refuse(code, key, error.to_string())
}

fn name(name: &str, source: &Source) -> Result<String, Fault> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_OCTETS_MAX || !name.chars().all(allowed) {
        return Err(source.range("name", "not a plain name of 1 to 48 characters"));
    }
    Ok(name.to_owned())
}

fn state_dir(raw: &RawConfig, source: &Source) -> Result<PathBuf, Fault> {
    if !raw.state_dir.is_absolute() {
        return Err(source.range("state_dir", "not an absolute path"));
    }
    Ok(raw.state_dir.clone())
}

fn endpoints(raw: &RawConfig, source: &Source) -> Result<Vec<SocketAddr>, Fault> {
    let refuse = |why: String| source.refuse(fault::CONFIG_ENDPOINT, "endpoints", why);
    if raw.endpoints.is_empty() || raw.endpoints.len() > ENDPOINTS_MAX {
        return Err(refuse(format!("{} endpoints given", raw.endpoints.len())));
    }
    for (index, endpoint) in raw.endpoints.iter().enumerate() {
        if raw.endpoints[..index].contains(endpoint) {
            return Err(refuse(format!("{endpoint} is listed twice")));
        }
        if endpoint.port() == 0 || endpoint.ip().is_unspecified() || endpoint.ip().is_multicast() {
            return Err(refuse(format!("{endpoint} is no address that a peer can send to")));
        }
        if !raw.allow_private_endpoints && is_private(endpoint.ip()) {
            return Err(refuse(format!(
                "{endpoint} is private or loopback; set allow_private_endpoints = true to mean it"
            )));
        }
    }
    Ok(raw.endpoints.clone())
}

/// Loopback, link-local, RFC 1918, RFC 6598 and unique local addresses.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_broadcast() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn controller(raw: &RawConfig, source: &Source) -> Result<Controller, Fault> {
    let key = AccountKey::from_hex(&raw.controller.key)
        .ok_or_else(|| source.range("controller.key", "not 64 hexadecimal digits"))?;
    Ok(Controller {
        url: http_url("controller.url", &raw.controller.url, source)?,
        key,
        join_token_file: raw.controller.join_token_file.clone(),
        poll: source.millis("controller.poll_ms", raw.controller.poll_ms, 100..=60_000)?,
    })
}

fn http_url(key: &str, url: &str, source: &Source) -> Result<String, Fault> {
    let trimmed = url.trim_end_matches('/');
    let authority = trimmed.strip_prefix("http://").unwrap_or("");
    if authority.is_empty() || authority.contains(['/', '@', ' ', '?', '#']) {
        return Err(source.range(key, format!("{url:?} is not of the form http://host:port")));
    }
    Ok(trimmed.to_owned())
}

fn ledger(raw: &RawConfig, source: &Source) -> Result<Option<Ledger>, Fault> {
    let Some(ledger) = &raw.ledger else { return Ok(None) };
    let escrow = Amount::parse_coins(&ledger.escrow_coins)
        .map_err(|error| source.range("ledger.escrow_coins", error.to_string()))?;
    let key = "ledger.url";
    let urls = ledger.url.as_slice().iter().map(|url| http_url(key, url, source));
    let urls = urls.collect::<Result<Vec<_>, _>>()?;
    let distinct: std::collections::BTreeSet<_> = urls.iter().collect();
    if urls.is_empty() || urls.len() > VALIDATORS_MAX || distinct.len() != urls.len() {
        return Err(source.range(key, format!("not 1 to {VALIDATORS_MAX} different addresses")));
    }
    Ok(Some(Ledger { urls, escrow }))
}

fn location(raw: &RawConfig, source: &Source) -> Result<Location, Fault> {
    let location = &raw.location;
    if location.city.len() > CITY_OCTETS_MAX || location.city.chars().any(char::is_control) {
        return Err(source.range("location.city", "too long or not printable"));
    }
    let country = &location.country;
    let letters = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    if !country.is_empty() && !letters {
        return Err(source.range("location.country", "not two capital letters"));
    }
    let (lat_e6, lon_e6) = match (location.lat, location.lon) {
        (Some(lat), Some(lon)) => (
            micro_degrees(source.within("location.lat", lat, -90.0..=90.0)?),
            micro_degrees(source.within("location.lon", lon, -180.0..=180.0)?),
        ),
        (None, None) => (0, 0),
        (Some(_), None) => return Err(source.range("location.lat", "needs location.lon")),
        (None, Some(_)) => return Err(source.range("location.lon", "needs location.lat")),
    };
    Ok(Location { city: location.city.clone(), country: country.clone(), lat_e6, lon_e6 })
}

/// Degrees within +-180 as millionths.
fn micro_degrees(degrees: f64) -> i32 {
    let text = format!("{:.0}", degrees * 1e6);
    text.parse().expect("at most 180 million after the check of the range")
}

fn at_most<T>(key: &str, values: Vec<T>, most: usize, source: &Source) -> Result<Vec<T>, Fault> {
    if values.len() > most {
        return Err(source.range(key, format!("{} given, {most} allowed", values.len())));
    }
    Ok(values)
}

fn egress(raw: &RawConfig, source: &Source) -> Result<Egress, Fault> {
    let mut ports = raw.egress.ports.clone();
    ports.sort_unstable();
    ports.dedup();
    if ports.contains(&PORT_SMTP) || ports.contains(&0) {
        return Err(source.range("egress.ports", "ports 0 and 25 are never relayed"));
    }
    let ports = at_most("egress.ports", ports, EGRESS_PORTS_MAX, source)?;
    Ok(Egress { enabled: raw.egress.enabled, ports })
}

fn liveness(raw: &RawConfig, source: &Source) -> Result<Liveness, Fault> {
    Ok(Liveness {
        interval: source.millis("liveness.interval_ms", raw.liveness.interval_ms, 20..=10_000)?,
        misses: source.within("liveness.misses", raw.liveness.misses, 2..=20)?,
    })
}

fn policy(raw: &RawConfig, source: &Source) -> Result<Policy, Fault> {
    let policy = &raw.policy;
    Ok(Policy {
        gain_min: source.millis("policy.gain_min_ms", policy.gain_min_ms, 0..=10_000)?,
        gain_min_percent: source.within(
            "policy.gain_min_percent",
            policy.gain_min_percent,
            0..=100,
        )?,
        windows: source.within("policy.windows", policy.windows, 1..=100)?,
        window: source.millis("policy.window_ms", policy.window_ms, 50..=60_000)?,
        hold_down: source.millis("policy.hold_down_ms", policy.hold_down_ms, 0..=3_600_000)?,
        relays_max: source.within("policy.relays_max", policy.relays_max, 0..=3)?,
        preference: preference(&policy.prefer)
            .ok_or_else(|| source.range("policy.prefer", format!("{:?}", policy.prefer)))?,
    })
}

pub fn preference(word: &str) -> Option<Preference> {
    match word {
        "direct-first" => Some(Preference::DirectFirst),
        "fastest" => Some(Preference::Fastest),
        "cheapest" => Some(Preference::Cheapest),
        _ => None,
    }
}

fn clock(raw: &RawConfig, source: &Source) -> Result<Clock, Fault> {
    let error_us = source.within("clock.error_us", raw.clock.error_us, 0..=10_000_000)?;
    Ok(Clock {
        synchronised: raw.clock.synchronised,
        error: Duration::from_micros(error_us),
        skew_ms: source.within("clock.skew_ms", raw.clock.skew_ms, -SKEW_MS_MAX..=SKEW_MS_MAX)?,
    })
}

fn geo(raw: &RawConfig) -> Geo {
    let location_csv = Some(&raw.geo.location_csv).filter(|path| !path.is_empty());
    Geo { asn_csv: raw.geo.asn_csv.clone(), location_csv: location_csv.map(PathBuf::from) }
}

fn tun(raw: &RawConfig, source: &Source) -> Result<Tun, Fault> {
    let name = &raw.tun.name;
    if !is_interface_name(name) {
        return Err(source.range("tun.name", "not an interface name of 1 to 15 characters"));
    }
    Ok(Tun { name: name.clone(), mtu: source.within("tun.mtu", raw.tun.mtu, 1280..=9000)? })
}

fn xdp(raw: &RawConfig, source: &Source) -> Result<Xdp, Fault> {
    let (mode, names) = (raw.xdp.mode, &raw.xdp.interfaces);
    if names.iter().any(|name| !is_interface_name(name)) {
        return Err(source.range("xdp.interfaces", "not interface names of 1 to 15 characters"));
    }
    if (1..names.len()).any(|index| names[..index].contains(&names[index])) {
        return Err(source.range("xdp.interfaces", "an interface is listed twice"));
    }
    if mode != XdpMode::Off && names.is_empty() {
        return Err(source.range("xdp.mode", "it is on, but xdp.interfaces names none"));
    }
    let interfaces = if mode == XdpMode::Off { Vec::new() } else { names.clone() };
    let interfaces = at_most("xdp.interfaces", interfaces, XDP_INTERFACES_MAX, source)?;
    Ok(Xdp { mode, interfaces })
}
/// Whether a network interface can have this name.
pub(super) fn is_interface_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= INTERFACE_NAME_MAX && name.bytes().all(plain)
}
