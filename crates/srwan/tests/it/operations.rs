//! docs/operations.md: its examples are read by the real parsers, its tables name every key and every code.

use crate::run::{fences, page, root, srwan};
use srwan_router::config::keys::KEYS;
use std::collections::BTreeSet;
use std::path::Path;

fn operations() -> String {
    page("docs/operations.md")
}

#[test]
fn every_example_is_a_configuration_that_its_role_takes() {
    let folder = tempfile::tempdir().unwrap();
    let mut roles = BTreeSet::new();
    for block in fences(&operations(), "toml") {
        // The first line is a comment with the file's name.
        let name = block.lines().next().unwrap().trim_start_matches('#').trim().to_owned();
        let path = folder.path().join(&name);
        std::fs::write(&path, &block).unwrap();
        let checked = srwan(&["config", "check", path.to_str().unwrap(), "--json"]);
        assert_eq!(checked.code, 0, "{name}: {checked:?}");
        roles.insert(checked.json()["role"].as_str().unwrap().to_owned());
    }
    let all = ["controller", "genesis", "router", "validator"].map(str::to_owned);
    assert_eq!(roles, BTreeSet::from(all));
}

#[test]
fn every_key_of_a_router_stands_with_its_default_and_meaning() {
    let page = operations();
    for key in KEYS {
        let row = format!("| `{}` | {} |", key.path, default_cell(key.default));
        let line = page.lines().find(|line| line.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("missing: {row}"));
        assert!(line.contains(key.help), "{}: {line}", key.path);
    }
}

fn default_cell(default: &str) -> String {
    if default.is_empty() { "-".to_owned() } else { format!("`{default}`") }
}

/// The keys that the parser of a role lists when it refuses one.
fn known_keys(role: &str, text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let ran = srwan(&["config", "check", path, "--role", role, "--json"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    let said =
        format!("{} {}", error["what"].as_str().unwrap(), error["why"].as_str().unwrap_or(""));
    let said = said.split("expected").last().unwrap().split("known keys:").last().unwrap();
    let words = said.split(|c: char| !c.is_ascii_lowercase() && c != '_' && !c.is_ascii_digit());
    let words = words.filter(|word| !word.is_empty() && !["one", "of", "or"].contains(word));
    words.map(str::to_owned).collect()
}

#[test]
fn every_key_of_the_other_roles_stands_in_its_table() {
    let page = operations();
    for (role, section) in [
        ("controller", ""),
        ("controller", "ledger"),
        ("controller", "join"),
        ("controller", "quarantine"),
        ("controller", "store"),
        ("validator", ""),
        ("genesis", ""),
        ("genesis", "params"),
    ] {
        let begin = if role == "genesis" {
            "chain = \"c\"\nsupply_coins = 1\n"
        } else {
            "state_dir = \"/s\"\n"
        };
        let head = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let keys = known_keys(role, &format!("{begin}{head}nonsense = 1\n"));
        assert!(!keys.is_empty(), "{role} {section}");
        for key in keys {
            let path = if section.is_empty() { key } else { format!("{section}.{key}") };
            let is_section =
                page.contains(&format!("`{path}.")) || page.contains(&format!("`[[{path}]]"));
            assert!(is_section || page.contains(&format!("| `{path}` |")), "{role}: {path}");
        }
    }
}

/// Every `SRW-` code in a text.
fn codes(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("SRW-").map(|(at, _)| &text[at..]);
    let codes = starts.filter_map(|rest| rest.get(..8));
    let is_code = |code: &&str| {
        let tail = code.as_bytes();
        tail[4].is_ascii_uppercase() && tail[5..].iter().all(u8::is_ascii_digit)
    };
    codes.filter(is_code).map(str::to_owned).collect()
}

fn codes_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(codes(&std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn every_code_of_the_sources_is_explained_and_no_other() {
    let mut used = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        codes_below(&entry.unwrap().path().join("src"), &mut used);
    }
    let page = operations();
    let rows = page.lines().filter(|line| line.starts_with("| SRW-"));
    let explained: BTreeSet<String> =
        rows.flat_map(|row| codes(row.split('|').nth(1).unwrap())).collect();
    let missing: Vec<_> = used.difference(&explained).collect();
    let unknown: Vec<_> = explained.difference(&used).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}

#[test]
fn every_range_that_no_stranger_reaches_is_listed() {
    let page = operations();
    for prefix in srwan_router::nft::ruleset::DENIED {
        assert!(page.contains(&format!("`{prefix}`")), "{prefix}");
    }
}
