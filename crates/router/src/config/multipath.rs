//! `[[multipath]]`: for which routers several paths share the traffic. Names are resolved by the roster, later.

use srwan_control::{SPREAD_PATHS_MAX, SpreadMode};
use srwan_node::multipath::{MultipathRule, RULES_MAX};
use srwan_wire::sid::RELAYS_MAX;

use super::check::Source;
use super::raw::{RawConfig, RawMultipath};
use crate::fault::Fault;

/// Largest weight of a path: shares are dealt in 256 parts.
const WEIGHT_MAX: u8 = 100;

/// Checks every rule; each endpoint has at most one.
///
/// # Errors
/// The first refused value.
pub fn rules(raw: &RawConfig, source: &Source) -> Result<Vec<MultipathRule>, Fault> {
    let rules = &raw.multipath;
    if rules.len() > RULES_MAX {
        let why = format!("{} rules given, {RULES_MAX} allowed", rules.len());
        return Err(source.range("multipath.endpoint", why));
    }
    for (index, rule) in rules.iter().enumerate() {
        if rules[..index].iter().any(|other| other.endpoint == rule.endpoint) {
            let why = format!("{:?} has two rules", rule.endpoint);
            return Err(source.range("multipath.endpoint", why));
        }
    }
    rules.iter().map(|rule| check(rule, source)).collect()
}

fn check(raw: &RawMultipath, source: &Source) -> Result<MultipathRule, Fault> {
    let of = |why: String| format!("{why} (rule for {:?})", raw.endpoint);
    let most = u8::try_from(SPREAD_PATHS_MAX).unwrap_or(u8::MAX);
    if !(2..=most).contains(&raw.paths) {
        let why = of(format!("{} is not between 2 and {most}", raw.paths));
        return Err(source.range("multipath.paths", why));
    }
    Ok(MultipathRule {
        endpoint: raw.endpoint.clone(),
        mode: mode(&raw.mode)
            .ok_or_else(|| source.range("multipath.mode", of(format!("{:?}", raw.mode))))?,
        paths: raw.paths,
        explicit: explicit(raw, &of, source)?,
    })
}

fn mode(word: &str) -> Option<SpreadMode> {
    match word {
        "flows" => Some(SpreadMode::Flows),
        "packets" => Some(SpreadMode::Packets),
        "copies" => Some(SpreadMode::Copies),
        _ => None,
    }
}

fn explicit(
    raw: &RawMultipath,
    of: &dyn Fn(String) -> String,
    source: &Source,
) -> Result<Vec<(Vec<String>, u8)>, Fault> {
    let refuse = |key: &str, why: &str| Err(source.range(key, of(why.to_owned())));
    let is_twice = |at: usize| raw.via[..at].contains(&raw.via[at]);
    if raw.via.len() > SPREAD_PATHS_MAX || raw.via.iter().any(|path| path.len() > RELAYS_MAX) {
        return refuse("multipath.via", "at most four paths of at most three relays");
    }
    if (0..raw.via.len()).any(is_twice) {
        return refuse("multipath.via", "a path stands there twice");
    }
    if !raw.weights.is_empty() && raw.weights.len() != raw.via.len() {
        return refuse("multipath.weights", "as many as there are paths in `via`");
    }
    if raw.weights.iter().any(|weight| !(1..=WEIGHT_MAX).contains(weight)) {
        return refuse("multipath.weights", "a weight is not between 1 and 100");
    }
    let weights = raw.weights.iter().copied().chain(std::iter::repeat(1));
    Ok(raw.via.iter().cloned().zip(weights).collect())
}
