//! `srwan sim score`: the shipped measurements give the figures that docs/routing.md holds.

use std::path::Path;
use std::process::Command;

fn score(args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_srwan"))
        .args(["sim", "score"])
        .args(args)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// Every table that the command writes stands in the document, letter by letter.
fn check(part: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/routing.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (is_done, text) = score(&["--only", part]);
    assert!(is_done && !text.trim().is_empty(), "{text}");
    let lines = text.lines().filter(|line| line.starts_with('|'));
    for line in lines {
        assert!(page.lines().any(|of_page| of_page == line), "{part}: not in the page:\n{line}");
    }
}

#[test]
fn detection_scores_as_documented() {
    check("detection");
}

#[test]
fn path_choice_scores_as_documented() {
    check("choice");
}

#[test]
fn grouping_scores_as_documented() {
    check("grouping");
}

#[test]
fn learning_scores_as_documented() {
    check("learning");
}

#[test]
fn files_of_the_same_formats_are_taken_from_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let atlas = "trace,epoch_s,rtt_ms,change\nx,0,10,0\nx,240,,1\n";
    std::fs::write(dir.path().join("atlas_mine.csv"), atlas).unwrap();
    let data = dir.path().to_str().unwrap();
    let (is_done, text) = score(&["--data", data, "--only", "detection", "--json"]);
    assert!(is_done && text.contains("srwan.sim.score/v1"), "{text}");
    std::fs::write(dir.path().join("atlas_mine.csv"), "trace\nbroken\n").unwrap();
    assert!(!score(&["--data", data, "--only", "detection"]).0);
    assert!(!score(&["--data", "/nonexistent"]).0);
}
