//! The help of every subcommand, and what clap makes of it.

use crate::run::{fits, srwan};

/// Subcommands that the help of `path` lists.
pub fn subcommands(path: &[&str]) -> Vec<String> {
    let help = srwan(&[path, &["--help"]].concat());
    let text = help.answers();
    let listed = text.split("\nCommands:\n").nth(1).unwrap_or_default();
    let listed = listed.lines().take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn walk(path: &[&str], seen: &mut usize) {
    *seen += 1;
    srwan(&[path, &["-h"]].concat()).answers();
    for name in subcommands(path) {
        walk(&[path, &[&name]].concat(), seen);
    }
}

#[test]
fn every_subcommand_has_help_that_fits() {
    let mut seen = 0;
    walk(&[], &mut seen);
    assert!(seen > 55, "only {seen} commands were found");
}

#[test]
fn the_nouns_of_the_product_exist() {
    let nouns = subcommands(&[]);
    let wanted = "up down status ping doctor router path matrix wallet ticket controller ledger \
                  config host portal lab bench completion man version";
    for noun in wanted.split_whitespace() {
        assert!(nouns.iter().any(|known| known == noun), "{noun}");
    }
}

#[test]
fn the_version_is_said_in_three_ways() {
    let said = srwan(&["version"]).answers().to_owned();
    assert_eq!(said, srwan(&["--version"]).answers());
    let json = srwan(&["version", "--json"]).json();
    assert_eq!(said.trim(), format!("srwan {}", json["version"].as_str().unwrap()));
}

#[test]
fn completions_and_manual_pages_are_written() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(srwan(&["completion", shell]).stdout.contains("srwan"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    assert_eq!(srwan(&["man", "--dir", pages.to_str().unwrap()]).code, 0);
    assert!(pages.join("srwan-path-why.1").exists());
}

#[test]
fn a_command_without_its_verb_shows_help_on_stderr() {
    let ran = srwan(&["ledger"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("Usage: srwan ledger"), "{ran:?}");
    fits(&ran.stderr);
}
