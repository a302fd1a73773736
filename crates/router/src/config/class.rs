//! `[[class]]`: packets that want other paths than the rest, told apart by their code points.

use srwan_control::CLASSES_MAX;
use srwan_node::{DSCP_COUNT, DscpSet, ForwardingClass};

use super::check::{Source, preference};
use super::raw::{RawClass, RawConfig, RawDscp};
use crate::fault::Fault;

/// Longest name of a class: it stands in events and tables.
const NAME_OCTETS_MAX: usize = 32;

/// Checks every class; a name and a code point belong to one.
///
/// # Errors
/// The first refused value.
pub fn classes(raw: &RawConfig, source: &Source) -> Result<Vec<ForwardingClass>, Fault> {
    let classes = &raw.class;
    if classes.len() > CLASSES_MAX {
        let why = format!("{} classes given, {CLASSES_MAX} allowed", classes.len());
        return Err(source.range("class.name", why));
    }
    let mut checked: Vec<ForwardingClass> = Vec::new();
    for raw in classes {
        let class = check(raw, source)?;
        if checked.iter().any(|other| other.name == class.name) {
            return Err(source.range("class.name", format!("{:?} stands there twice", class.name)));
        }
        if let Some(other) = checked.iter().find(|other| other.dscp.overlaps(class.dscp)) {
            let why = format!("a code point of {:?} is {:?}'s already", class.name, other.name);
            return Err(source.range("class.dscp", why));
        }
        checked.push(class);
    }
    Ok(checked)
}

fn check(raw: &RawClass, source: &Source) -> Result<ForwardingClass, Fault> {
    let of = |why: String| format!("{why} (class {:?})", raw.name);
    let is_printable = !raw.name.is_empty() && !raw.name.chars().any(char::is_control);
    if !is_printable || raw.name.len() > NAME_OCTETS_MAX {
        return Err(source.range("class.name", of("empty, too long or not printable".to_owned())));
    }
    if raw.dscp.is_empty() {
        return Err(source.range("class.dscp", of("no code point".to_owned())));
    }
    let point = |dscp: &RawDscp| {
        let known = match dscp {
            RawDscp::Number(number) => Some(*number).filter(|number| *number < DSCP_COUNT),
            RawDscp::Name(name) => code_point(name),
        };
        known.ok_or_else(|| source.range("class.dscp", of(word(dscp) + " is no code point")))
    };
    let points = raw.dscp.iter().map(point).collect::<Result<Vec<u8>, Fault>>()?;
    Ok(ForwardingClass {
        name: raw.name.clone(),
        dscp: DscpSet::of(points),
        preference: preference(&raw.prefer)
            .ok_or_else(|| source.range("class.prefer", of(format!("{:?}", raw.prefer))))?,
    })
}

/// A code point as it was written.
fn word(dscp: &RawDscp) -> String {
    match dscp {
        RawDscp::Number(number) => number.to_string(),
        RawDscp::Name(name) => format!("{name:?}"),
    }
}

/// The code point of a name: RFC 2474 (cs), 2597 (af), 3246 (ef), 5865 (va), 8622 (le).
fn code_point(name: &str) -> Option<u8> {
    let digit = |text: &str, most: u8| text.parse().ok().filter(|digit: &u8| *digit <= most);
    match name.split_at_checked(2)? {
        ("ef", "") => Some(46),
        ("va", "") => Some(44),
        ("le", "") => Some(1),
        ("df", "") => Some(0),
        ("cs", class) => digit(class, 7).map(|class| class << 3),
        ("af", both) => {
            let (class, drop) = both.split_at_checked(1)?;
            let (class, drop) = (digit(class, 4)?, digit(drop, 3)?);
            (class > 0 && drop > 0).then_some(class << 3 | drop << 1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::code_point;

    #[test]
    fn names_mean_the_code_points_of_their_standards() {
        let known = [
            ("ef", 46),
            ("va", 44),
            ("le", 1),
            ("df", 0),
            ("cs0", 0),
            ("cs7", 56),
            ("af11", 10),
            ("af23", 22),
            ("af41", 34),
            ("af43", 38),
        ];
        for (name, point) in known {
            assert_eq!(code_point(name), Some(point), "{name}");
        }
        for name in ["", "e", "EF", "cs8", "cs", "cs-1", "af01", "af14", "af51", "af4", "af411"] {
            assert_eq!(code_point(name), None, "{name}");
        }
    }
}
