//! A validator as a process of the real binary: begun, asked, killed, started again.

use crate::run::{Daemon, srwan};
use std::path::PathBuf;

/// Height that proves that blocks are made.
const SOME_BLOCKS: u64 = 3;

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        let genesis = format!(
            "chain = \"test\"\nsupply_coins = 1000\n[[account]]\nkey = \"{}\"\ncoins = \"10.5\"\n",
            "07".repeat(32)
        );
        std::fs::write(site.path("genesis.toml"), genesis).unwrap();
        let config = "listen = \"127.0.0.1:0\"\nstate_dir = \"state\"\nblock_ms = 5\n\
                      idle_block_ms = 10\nsnapshot_blocks = 7\n";
        std::fs::write(site.path("validator.toml"), config).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn init(&self) -> String {
        let (genesis, state) = (self.path("genesis.toml"), self.path("state"));
        let (genesis, state) = (genesis.to_str().unwrap(), state.to_str().unwrap());
        let begun =
            srwan(&["ledger", "init", "--genesis", genesis, "--state-dir", state, "--json"]).json();
        begun["chain_id"].as_str().unwrap().to_owned()
    }

    fn start(&self) -> Daemon {
        Daemon::start(&["ledger", "run", "--config", self.path("validator.toml").to_str().unwrap()])
    }
}

/// Asks until the ledger has `least` blocks; returns height and sum.
fn height_and_sum(daemon: &Daemon, least: u64) -> (u64, String) {
    loop {
        let status = srwan(&["ledger", "status", "--url", &daemon.url, "--json"]).json();
        assert_eq!(status["supply"]["conserved"], true);
        let height = status["status"]["height"].as_u64().unwrap();
        if height >= least {
            return (height, status["supply"]["total_coins"].as_str().unwrap().to_owned());
        }
    }
}

#[test]
fn kill_9_and_a_restart_keep_height_and_sum() {
    let site = Site::new();
    let chain = site.init();
    assert_eq!(site.init(), chain, "beginning twice does no harm");
    let daemon = site.start();
    let (height, sum) = height_and_sum(&daemon, SOME_BLOCKS);
    assert_eq!(sum, "1000");
    daemon.kill_9();
    let daemon = site.start();
    let (after, sum) = height_and_sum(&daemon, height);
    assert!(after >= height);
    assert_eq!(sum, "1000");
    let (status, log) = daemon.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains('\u{1b}'), "logs that are no terminal's have no colour: {log}");
}

#[test]
fn the_ledger_answers_people_and_programs() {
    let site = Site::new();
    site.init();
    let daemon = site.start();
    height_and_sum(&daemon, SOME_BLOCKS);
    let account = "07".repeat(32);
    for question in [&["status"][..], &["block", "1"], &["account", &account]] {
        let arguments = [&["ledger"], question, &["--url", &daemon.url]].concat();
        srwan(&arguments).answers();
        srwan(&[&arguments[..], &["--json"]].concat()).json();
    }
    let shown = srwan(&["ledger", "status", "--url", &daemon.url]).stdout;
    assert!(shown.starts_with("sum conserved: 1000 coins of 1000 at height "), "{shown}");
    let nowhere = "00".repeat(32);
    srwan(&["ledger", "tx", &nowhere, "--url", &daemon.url]).fails(4, "SRW-L904");
    srwan(&["ledger", "block", "99999999", "--url", &daemon.url]).fails(4, "SRW-L904");
    srwan(&["ledger", "account", "xyz", "--url", &daemon.url]).fails(2, "SRW-L901");
}

#[test]
fn a_second_validator_on_one_state_directory_is_refused() {
    let site = Site::new();
    site.init();
    let _daemon = site.start();
    let config = site.path("validator.toml");
    let ran = srwan(&["ledger", "run", "--config", config.to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("error[SRW-L801]"), "{ran:?}");
}
