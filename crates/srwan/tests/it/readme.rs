//! Each command that README.md and docs/operations.md show exists, with the flags that are shown.

use crate::help::subcommands;
use crate::run::{fences, page, srwan};

/// The commands of a line: `a x | y Z && b` is `a x`, `a y Z`, `b`; a comment is none.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default();
    let line = line.replace("cargo run --release -- ", "srwan ").replace("&&", ";");
    let mut found: Vec<Vec<String>> = Vec::new();
    for sequence in line.split(';') {
        let mut stem: Vec<String> = Vec::new();
        for (index, alternative) in sequence.split(" | ").enumerate() {
            let words: Vec<String> = alternative.split_whitespace().map(str::to_owned).collect();
            if index == 0 {
                stem = words.iter().take(2).cloned().collect();
                found.push(words);
            } else {
                found.push([stem.clone(), words].concat());
            }
        }
    }
    found.retain(|words| words.first().is_some_and(|word| word == "srwan"));
    found
}

fn check(words: &[String]) {
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let mut path: Vec<&str> = Vec::new();
    for word in &words {
        if !subcommands(&path).iter().any(|name| name == word) {
            break;
        }
        path.push(word);
    }
    assert!(!path.is_empty(), "no such command: {words:?}");
    let help = srwan(&[&path[..], &["--help"]].concat());
    let help = help.answers();
    assert!(!help.contains("\nCommands:\n"), "{words:?} lacks a verb, or its verb does not exist");
    let own = words.iter().take_while(|word| **word != "--");
    for flag in own.filter(|word| word.starts_with("--")) {
        assert!(help.contains(flag), "{words:?}: no {flag}");
    }
}

#[test]
fn every_command_that_the_pages_show_exists() {
    let mut checked = 0;
    for name in ["README.md", "docs/operations.md"] {
        for block in fences(&page(name), "sh") {
            for command in block.lines().flat_map(commands) {
                check(&command);
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "only {checked} commands were found");
}

#[test]
fn alternatives_share_their_noun() {
    let split = commands("srwan path show | get DEST  # either");
    assert_eq!(split, [vec!["srwan", "path", "show"], vec!["srwan", "path", "get", "DEST"]]);
}
