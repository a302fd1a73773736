//! Wallets without a router: keys in files, coins on a real ledger.

use crate::chain::{Chain, key};
use crate::run::{Daemon, Ran, srwan};
use std::os::unix::fs::PermissionsExt;

fn ask(chain: &Chain, arguments: &[&str]) -> Ran {
    srwan(&[&["wallet"], arguments, &["--ledger", chain.url()]].concat())
}

/// Runs a verb that signs as `person`; progress goes to stderr, and never the key.
fn sign(chain: &Chain, person: u8, arguments: &[&str]) -> Ran {
    let file = chain.key_file(person);
    let ran = ask(chain, &[arguments, &["--key-file", &file]].concat());
    let secret = hex::encode([person; 32]);
    assert!(!ran.stdout.contains(&secret) && !ran.stderr.contains(&secret));
    ran
}

fn balance(chain: &Chain, person: u8) -> String {
    let account = key(person).to_string();
    ask(chain, &["balance", "--account", &account]).answers().trim().to_owned()
}

#[test]
fn coins_are_sent_and_seen_when_they_are_final() {
    let chain = Chain::start();
    let to = key(5).to_string();
    let sent = sign(&chain, 1, &["send", &to, "1.5", "--json"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    assert!(sent.stderr.starts_with("sent "), "{sent:?}");
    let sent = sent.json();
    assert_eq!((&sent["state"], &sent["effect"]["coins"]), (&"final".into(), &"1.5".into()));
    assert_eq!(balance(&chain, 5), "1.5");
    assert_eq!(sent["balance_coins"], balance(&chain, 1));
    let tx = srwan(&["ledger", "tx", sent["hash"].as_str().unwrap(), "--url", chain.url()]);
    assert!(tx.answers().contains("applied"));
}

#[test]
fn the_history_has_what_was_sent_and_what_came_in() {
    let chain = Chain::start();
    let to = key(5).to_string();
    for coins in ["1", "2"] {
        assert_eq!(sign(&chain, 1, &["send", &to, coins]).code, 0);
    }
    let moves = ask(&chain, &["history", "--account", &to, "--json"]).json();
    let coins: Vec<_> = moves["entries"].as_array().unwrap().iter().map(|e| &e["coins"]).collect();
    assert_eq!(coins, ["2", "1"]);
    let spent = sign(&chain, 1, &["history", "--limit", "1", "--json"]).json();
    assert_eq!(spent["entries"].as_array().unwrap().len(), 1);
    assert!(spent["entries"][0]["coins"].as_str().unwrap().starts_with("-2.0"), "{spent}");
    ask(&chain, &["history", "--account", &to]).answers();
}

#[test]
fn an_escrow_is_filled_and_emptied() {
    let chain = Chain::start();
    assert_eq!(sign(&chain, 1, &["escrow", "add", "10"]).code, 0);
    assert_eq!(chain.account(1).escrow_free_coins, "10");
    sign(&chain, 1, &["escrow", "withdraw", "11"]).fails(9, "SRW-L203");
    assert_eq!(sign(&chain, 1, &["escrow", "withdraw", "4"]).code, 0);
    assert_eq!(chain.account(1).escrow_free_coins, "6");
    let shown = ask(&chain, &["show", "--key-file", &chain.key_file(1)]);
    assert!(shown.answers().contains("escrow_free_coins    6"), "{shown:?}");
}

#[test]
fn a_vote_is_opened_joined_changed_and_left() {
    let chain = Chain::start();
    let leader = key(1).to_string();
    assert_eq!(sign(&chain, 1, &["vote", "open", "--commission-bps", "100"]).code, 0);
    assert_eq!(sign(&chain, 2, &["vote", "join", &leader]).code, 0);
    assert_eq!(chain.account(2).vote.unwrap().leader, leader);
    assert_eq!(sign(&chain, 1, &["vote", "commission", "50"]).code, 0);
    assert_eq!(sign(&chain, 2, &["vote", "leave"]).code, 0);
    let ran = sign(&chain, 2, &["vote", "leave"]);
    assert!(ran.stderr.contains("error[SRW-L602]"), "{ran:?}");
    assert_eq!(ran.code, 2);
}

#[test]
fn missing_coins_cost_no_fee_and_have_their_exit_code() {
    let chain = Chain::start();
    let to = key(5).to_string();
    sign(&chain, 1, &["send", &to, "1000"]).fails(9, "SRW-L202");
    sign(&chain, 7, &["send", &to, "0.1"]).fails(9, "SRW-L202");
    assert_eq!(balance(&chain, 1), "1000");
    sign(&chain, 1, &["send", &to, "0"]).fails(2, "SRW-L201");
    sign(&chain, 1, &["send", &to, "1,5"]).fails(2, "SRW-D201");
    sign(&chain, 1, &["send", "xyz", "1"]).fails(2, "SRW-D201");
}

#[test]
fn a_key_that_is_missing_or_open_to_others_is_refused() {
    let chain = Chain::start();
    let (to, file) = (key(5).to_string(), chain.key_file(1));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let send = ["send", &to, "1", "--key-file"];
    ask(&chain, &[&send[..], &[&file]].concat()).fails(1, "SRW-R004");
    ask(&chain, &[&send[..], &["/nonexistent/key"]].concat()).fails(4, "SRW-D203");
}

#[test]
fn a_ledger_that_is_away_is_said_so() {
    let chain = Chain::start();
    let (to, file) = (key(5).to_string(), chain.key_file(1));
    let url = "http://127.0.0.1:1";
    let arguments = ["wallet", "send", &to, "1", "--key-file", &file, "--ledger", url];
    srwan(&arguments).fails(3, "SRW-D101");
}

#[test]
fn a_ledger_of_one_needs_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("state");
    std::fs::create_dir(&directory).unwrap();
    // The port of the file that would be made may be taken on this machine.
    let config = "listen = \"127.0.0.1:0\"\nstate_dir = \"state\"\ngenesis = \"genesis.toml\"\n";
    std::fs::write(directory.join("validator.toml"), config).unwrap();
    let start = || Daemon::start(&["ledger", "run", "--state-dir", directory.to_str().unwrap()]);
    let treasury = directory.join("treasury.key");
    let show = |url: &str| {
        let key = treasury.to_str().unwrap();
        srwan(&["wallet", "balance", "--key-file", key, "--ledger", url]).answers().to_owned()
    };
    let daemon = start();
    assert_eq!(show(&daemon.url), "1000000\n");
    let (status, log) = daemon.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(log.starts_with(&format!("no config: one validator in {}", directory.display())));
    let again = start();
    assert_eq!(show(&again.url), "1000000\n");
}

#[test]
fn a_validator_s_key_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.key");
    let path = path.to_str().unwrap();
    let made = srwan(&["ledger", "keygen", "--key-file", path]);
    assert_eq!(made.answers().trim().len(), 64);
    srwan(&["ledger", "keygen", "--key-file", path]).fails(1, "SRW-D203");
}
