//! `srwan config check`, and daemons that refuse what it refuses.

use crate::run::srwan;
use std::path::{Path, PathBuf};

const ROUTER: &str = r#"name = "lon"
state_dir = "/var/lib/srwan"
listen = "0.0.0.0:4766"
endpoints = ["198.18.1.1:4766"]
[controller]
url = "http://198.18.250.1:7080"
key = "0101010101010101010101010101010101010101010101010101010101010101"
"#;

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path: PathBuf = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn good_files_of_every_role_are_told_from_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let controller = "state_dir = \"/s\"\n";
    let genesis = "chain = \"c\"\nsupply_coins = 10\n";
    for (name, role, text) in [
        ("router.toml", "router", ROUTER),
        ("x.toml", "router", ROUTER),
        ("controller-eu.toml", "controller", controller),
        ("y.toml", "controller", "state_dir = \"/s\"\ngroup_max = 10\n"),
        ("validator.toml", "validator", controller),
        ("z.toml", "validator", "state_dir = \"/s\"\nblock_ms = 100\n"),
        ("genesis.toml", "genesis", genesis),
    ] {
        let path = file(folder.path(), name, text);
        let checked = srwan(&["config", "check", &path, "--json"]).json();
        assert_eq!((checked["role"].as_str(), checked["state"].as_str()), (Some(role), Some("ok")));
    }
    let unclear = file(folder.path(), "what.toml", controller);
    srwan(&["config", "check", &unclear]).fails(6, "SRW-D205");
    srwan(&["config", "check", "/nonexistent/what.toml"]).fails(4, "SRW-D203");
    srwan(&["config", "check", &unclear, "--role", "validator"]).answers();
}

#[test]
fn an_unknown_key_is_refused_with_file_line_and_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, line, code, hint) in [
        ("router.toml", format!("{ROUTER}poll_mss = 3\n"), 8, "SRW-K003", "`poll_ms`"),
        (
            "controller.toml",
            "state_dir = \"/s\"\ngroup_maks = 3\n".into(),
            2,
            "SRW-K302",
            "`group_max`",
        ),
        (
            "validator.toml",
            "state_dir = \"/s\"\nblock_mss = 3\n".into(),
            2,
            "SRW-K302",
            "`block_ms`",
        ),
        (
            "genesis.toml",
            "chain = \"c\"\nsupply_coin = 3\n".into(),
            2,
            "SRW-K303",
            "`supply_coins`",
        ),
    ] {
        let path = file(folder.path(), name, &text);
        let ran = srwan(&["config", "check", &path]);
        ran.fails(6, code);
        let said = ran.stderr.replace("\n", " ").replace("  ", " ");
        assert!(said.contains(&format!("{name}:{line}: ")), "{said}");
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn a_value_out_of_range_is_refused_with_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "router.toml", &format!("{ROUTER}poll_ms = 5\n"));
    let ran = srwan(&["config", "check", &path]);
    ran.fails(6, "SRW-K004");
    assert!(ran.stderr.contains("router.toml:8: `controller.poll_ms`"), "{ran:?}");
    let path = file(folder.path(), "controller.toml", "state_dir = \"/s\"\ngroup_max = 999\n");
    let ran = srwan(&["config", "check", &path]);
    ran.fails(6, "SRW-K303");
    assert!(ran.stderr.contains("controller.toml:2: `group_max`"), "{ran:?}");
}

#[test]
fn daemons_refuse_the_same_files_with_the_same_code() {
    let folder = tempfile::tempdir().unwrap();
    let router = file(folder.path(), "router.toml", &format!("{ROUTER}poll_mss = 3\n"));
    let other = file(folder.path(), "other.toml", "state_dir = \"/s\"\nnonsense = 3\n");
    for arguments in [
        &["up", "--config", &router][..],
        &["router", "run", "--config", &router],
        &["doctor", "--config", &router],
        &["controller", "run", "--config", &other],
        &["ledger", "run", "--config", &other],
        &["up", "--config", "/nonexistent/router.toml"],
    ] {
        let ran = srwan(arguments);
        assert_eq!(ran.code, 6, "{ran:?}");
        assert!(ran.stderr.starts_with("error[SRW-K"), "{ran:?}");
    }
}
