//! The list of existing sins with their numbers: what `xtask/ratchet.toml` holds.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::rule::{Rule, Sin};

const HEADER: &str = "\
# Existing sins, each with a number that may only fall (`cargo xtask tidy`).
# `cargo xtask tidy --write` lowers the numbers; raising one needs `--accept` and a reason.
";

/// Numbers by rule and place.
#[derive(Default, PartialEq, Eq)]
pub struct Ratchet(BTreeMap<(Rule, String), usize>);

impl Ratchet {
    /// Reads the file; no file is no sin.
    ///
    /// **Errors:** not TOML, or a rule that does not exist.
    pub fn read(path: &Path) -> Result<Self> {
        let Ok(text) = fs::read_to_string(path) else { return Ok(Self::default()) };
        let tables: BTreeMap<String, BTreeMap<String, usize>> =
            toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
        let mut held = BTreeMap::new();
        for (name, places) in tables {
            let known = Rule::ALL.iter().find(|(_, rule)| *rule == name);
            let (rule, _) = known.with_context(|| format!("there is no rule `{name}`"))?;
            held.extend(places.into_iter().map(|(place, number)| ((*rule, place), number)));
        }
        Ok(Self(held))
    }

    /// What there is; sins for which no exception is possible are left out.
    pub fn of(sins: &[Sin]) -> Self {
        let mut found: BTreeMap<(Rule, String), usize> = BTreeMap::new();
        for sin in sins.iter().filter(|sin| sin.number <= sin.rule.limit_of_exceptions()) {
            let number = found.entry((sin.rule, sin.place.clone())).or_default();
            *number = sin.number.max(*number);
        }
        Self(found)
    }

    /// How many sins it lists.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the sin is known and has not grown.
    pub fn allows(&self, sin: &Sin) -> bool {
        sin.number <= sin.rule.limit_of_exceptions() && sin.number <= self.number_of(sin)
    }

    /// Says what is wrong, and what was known of it.
    pub fn complain(&self, sin: &Sin) -> String {
        match self.number_of(sin) {
            0 => format!("{} [{}]", sin.what, sin.rule.name()),
            known => format!("{} [{}: was {known}, is {}]", sin.what, sin.rule.name(), sin.number),
        }
    }

    /// How many numbers have fallen since, and the list with those lowered.
    pub fn lowered_to(&self, found: &Self) -> (usize, Self) {
        let mut fallen = 0;
        let mut lowered = BTreeMap::new();
        for (key, held) in &self.0 {
            let present = found.0.get(key).copied().unwrap_or(0);
            fallen += usize::from(present < *held);
            if present > 0 {
                lowered.insert(key.clone(), present.min(*held));
            }
        }
        (fallen, Self(lowered))
    }

    /// The file's text.
    pub fn to_toml(&self) -> String {
        let mut text = HEADER.to_owned();
        for (rule, name) in Rule::ALL {
            let places = self.0.iter().filter(|((of, _), _)| *of == rule);
            let lines: Vec<String> =
                places.map(|((_, place), number)| format!("{place:?} = {number}")).collect();
            if !lines.is_empty() {
                write!(text, "\n[{name}]\n{}\n", lines.join("\n")).expect("writing to a String");
            }
        }
        text
    }

    fn number_of(&self, sin: &Sin) -> usize {
        self.0.get(&(sin.rule, sin.place.clone())).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sin(number: usize) -> Sin {
        Sin { rule: Rule::Function, place: "a.rs: f".into(), number, what: "a.rs:1: f".into() }
    }

    #[test]
    fn a_number_may_fall_but_not_rise() {
        let held = Ratchet::of(&[sin(80)]);
        assert!(held.allows(&sin(80)));
        assert!(held.allows(&sin(75)));
        assert!(!held.allows(&sin(81)));
        let (fallen, lowered) = held.lowered_to(&Ratchet::of(&[sin(75)]));
        assert_eq!(fallen, 1);
        assert!(!lowered.allows(&sin(76)));
        let (_, none) = held.lowered_to(&Ratchet::of(&[]));
        assert_eq!(none.len(), 0);
    }

    #[test]
    fn a_file_over_the_hard_limit_is_never_excused() {
        let long = Sin { rule: Rule::File, ..sin(1_001) };
        assert!(!Ratchet::of(std::slice::from_ref(&long)).allows(&long));
    }

    #[test]
    fn the_file_reads_what_it_wrote() {
        let path = std::env::temp_dir().join(format!("srwan-ratchet-{}", std::process::id()));
        let written = Ratchet::of(&[sin(80), Sin { rule: Rule::Unwrap, ..sin(2) }]);
        fs::write(&path, written.to_toml()).unwrap();
        let read = Ratchet::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(read == written);
    }
}
