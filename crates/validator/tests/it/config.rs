//! Configuration and genesis files: defaults, and what is refused with which words.

use std::path::Path;
use std::time::Duration;

use srwan_api::http::ApiError;
use srwan_ledger::amount::Amount;
use srwan_validator::config::Config;
use srwan_validator::{code, genesis_file};

use crate::people::{coins, genesis_toml, key};

fn written(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file.toml"), text).unwrap();
    directory
}

fn config(text: &str) -> Result<Config, ApiError> {
    Config::load(&written(text).path().join("file.toml"))
}

fn genesis(text: &str) -> Result<srwan_ledger::genesis::Genesis, ApiError> {
    genesis_file::load(&written(text).path().join("file.toml"), key(9))
}

#[test]
fn a_config_needs_only_a_state_directory() {
    let directory = written("state_dir = \"state\"");
    let config = Config::load(&directory.path().join("file.toml")).unwrap();
    assert_eq!(config.state_dir, directory.path().join("state"));
    assert_eq!(config.validator_key, directory.path().join("state/validator.key"));
    assert_eq!(config.pacing.block, Duration::from_millis(200));
    assert_eq!(config.pacing.idle_block, Duration::from_secs(2));
    assert_eq!(config.listen.port(), 7090);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_key_that_was_meant() {
    let error = config("state_dir = \"s\"\nblok_ms = 3\n").unwrap_err();
    assert_eq!(error.code, code::BAD_CONFIG);
    assert!(error.what.contains("file.toml:2: unknown field `blok_ms`"), "{error}");
    assert_eq!(error.fix, "did you mean `block_ms`?");
    let error = genesis("chain = \"x\"\nsupply_coin = 1\n").unwrap_err();
    assert_eq!(error.code, code::BAD_GENESIS);
    assert_eq!(error.fix, "did you mean `supply_coins`?");
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    for (line, named) in [
        ("block_ms = 0", "block_ms is 0, must be 1 to 60000"),
        ("idle_block_ms = 100", "idle_block_ms is 100, must be 200 to 3600000"),
        ("snapshot_blocks = 0", "snapshot_blocks is 0, must be 1 to 1000000"),
        ("connections_max = 0", "connections_max is 0, must be 1 to 65536"),
        ("connections_per_ip_max = 2000", "connections_per_ip_max is 2000, must be 1 to 1024"),
    ] {
        let error = config(&format!("state_dir = \"s\"\n{line}\n")).unwrap_err();
        assert_eq!((error.code.as_str(), error.why.as_str()), (code::BAD_CONFIG, named));
        assert!(error.what.contains("file.toml:2:"), "{error}");
    }
    let error = config("state_dir = \"s\"\nlisten = \"nowhere\"\n").unwrap_err();
    assert!(error.what.contains(":2:"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nonexistent/validator.toml")).unwrap_err();
    assert_eq!(error.code, code::UNREADABLE);
    assert!(error.what.contains("/nonexistent/validator.toml"));
}

#[test]
fn a_genesis_file_gives_everyone_their_coins_and_the_rest_to_the_treasury() {
    let genesis = genesis(&genesis_toml()).unwrap();
    assert_eq!(genesis.accounts[&key(1)], coins(1_000));
    assert_eq!(genesis.treasury(), Ok(coins(96_000)));
    let (consensus_key, validator) = genesis.validators.first_key_value().unwrap();
    assert_eq!((consensus_key.0, validator.account), (key(9).0, key(9)));
    assert_eq!(genesis.params.claim_window_blocks, 3);
    assert_eq!(genesis.params.infra_bps, 1_000);
}

#[test]
fn coins_are_whole_numbers_or_strings_and_never_floats() {
    let with = |coins: &str| genesis(&format!("chain = \"x\"\nsupply_coins = {coins}\n"));
    assert_eq!(with("\"0.25\"").unwrap().supply, Amount::from_base(250_000_000));
    assert!(with("0.25").is_err());
    assert!(with("-1").is_err());
    assert!(with("\"1e9\"").unwrap_err().why.contains("not a decimal"));
}

#[test]
fn a_genesis_that_nothing_can_begin_from_is_refused_with_the_reason() {
    let text = genesis_toml();
    let why = |text: String| genesis(&text).unwrap_err().why;
    assert!(why(text.replace("100000", "3999")).contains("more than the supply"));
    assert!(why(text.replace(&key(2).to_string(), &key(1).to_string())).contains("listed twice"));
    assert!(why(text.replace(&key(2).to_string(), "12")).contains("64 hex digits"));
    assert!(why(format!("{text}infra_bps = 10001\n")).contains("infra_bps is 10001"));
    let error = genesis(&format!("{text}infra_bps = 10001\n")).unwrap_err();
    let line = text.lines().count() + 1;
    assert!(error.what.contains(&format!("file.toml:{line}:")), "{error}");
}

#[test]
fn validators_say_who_is_paid_and_where_they_are_reached() {
    let text = genesis_toml();
    let (consensus, account) = (key(7), key(2));
    let one = format!(
        "[[validator]]\nkey = \"{consensus}\"\naccount = \"{account}\"\n\
         address = \"10.0.0.1:7091\"\nbond_coins = 5\n"
    );
    let two = one.replace(&key(7).to_string(), &key(8).to_string());
    let with = |validators: &str| genesis(&format!("{text}{validators}"));
    let both = with(&format!("{one}{two}")).unwrap();
    let (_, first) = both.validators.first_key_value().unwrap();
    assert_eq!((first.account, first.bond, first.power), (key(2), coins(5), 1));
    assert_eq!(first.address, ([10, 0, 0, 1], 7_091).into());
    let why = |validators: &str| with(validators).unwrap_err().why;
    assert!(why(&format!("{one}{one}")).contains("listed twice"));
    let lost = two.replace("10.0.0.1:7091", "0.0.0.0:7091");
    assert!(why(&format!("{one}{lost}")).contains("cannot connect"));
    let silent = two.replace("address = \"10.0.0.1:7091\"\n", "");
    assert!(why(&format!("{one}{silent}")).contains("no address"));
}
