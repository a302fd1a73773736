//! The controller's configuration file: what was written, checked, with defaults.
//!
//! Unknown keys are errors with their line and a suggestion: a misspelt key that is silently
//! ignored is worse than a controller that does not start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use srwan_api::http::ApiError;
use srwan_ditex::{ExchangeConfig, MEMBERS_DEFAULT, PAROLE_AFTER_DEFAULT, PULSE_INTERVAL_DEFAULT};

use crate::limit::Rate;
use crate::problem::code;

/// Pulse intervals that work: below, pulses would be a load of their own; above, a matrix is
/// always stale.
const PULSE_INTERVAL_MS: std::ops::RangeInclusive<u64> = 100..=60_000;

/// Joins of one address, if nothing else is configured: a lab behind one address starts at once.
const JOIN_RATE_DEFAULT: Rate = Rate { burst: 128, per_minute: 60 };

/// Size of the database, if nothing else is configured: two days of history of ten full groups.
/// **Units:** 2^20 octets.
const STORE_MB_DEFAULT: u32 = 1_024;

/// Largest configuration file that is read.
const FILE_OCTETS_MAX: u64 = 64 * 1024;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where keys and the database are.
    pub state_dir: PathBuf,
    /// File with one join token per line, read at start and when an unknown token is used.
    pub join_tokens_file: Option<PathBuf>,
    /// What the exchange does.
    pub exchange: ExchangeConfig,
    /// How often one address may ask to join.
    pub join_rate: Rate,
    /// Largest size of the database. **Units:** octets.
    pub store_octets_max: u64,
    /// The ledger that this network settles on; told to whoever asks.
    pub ledger_url: Option<String>,
    /// The ledger's chain; told to whoever asks.
    pub chain_id: Option<String>,
}

/// What may be written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    listen: Option<String>,
    state_dir: Option<PathBuf>,
    join_tokens_file: Option<PathBuf>,
    group_max: Option<usize>,
    pulse_interval_ms: Option<u64>,
    chain_id: Option<String>,
    #[serde(default)]
    ledger: RawLedger,
    #[serde(default)]
    join: RawJoin,
    #[serde(default)]
    quarantine: RawQuarantine,
    #[serde(default)]
    store: RawStore,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLedger {
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJoin {
    burst: Option<u32>,
    per_minute: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuarantine {
    by_evidence: Option<bool>,
    parole_s: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStore {
    mb_max: Option<u32>,
}

impl Config {
    /// A configuration with this state directory, listening on a free loopback port, and defaults.
    #[must_use]
    pub fn local(state_dir: &Path) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            state_dir: state_dir.to_owned(),
            join_tokens_file: None,
            exchange: ExchangeConfig::default(),
            join_rate: JOIN_RATE_DEFAULT,
            store_octets_max: u64::from(STORE_MB_DEFAULT) << 20,
            ledger_url: None,
            chain_id: None,
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// `code::CONFIG_FILE`, `code::CONFIG_SYNTAX` or `code::CONFIG_VALUE`, with file and
    /// line.
    pub fn load(path: &Path) -> Result<Self, ApiError> {
        let shown = path.display();
        let unreadable = |why: String| {
            ApiError::new(0, code::CONFIG_FILE, format!("cannot read {shown}"))
                .why(why)
                .fix("name the controller's configuration file with --config")
        };
        let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if length > FILE_OCTETS_MAX {
            return Err(unreadable(format!("{length} octets are no configuration file")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let here = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, here)
            .map_err(|error| ApiError { what: format!("{shown}{}", error.what), ..error })
    }

    /// Checks the text of a file; relative paths start at `here`. The error's first words are the
    /// line: `:3: unknown key ...`.
    ///
    /// # Errors
    /// `code::CONFIG_SYNTAX` or `code::CONFIG_VALUE`.
    pub fn parse(text: &str, here: &Path) -> Result<Self, ApiError> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| syntax(text, &error))?;
        let value = |key: &str, why: String| bad_value(text, key, why);
        let listen = raw.listen.unwrap_or_else(|| "0.0.0.0:7080".to_owned());
        let listen = listen.parse().map_err(|_| {
            value("listen", format!("`{listen}` is not an IP address and port, as 0.0.0.0:7080"))
        })?;
        let state_dir = raw.state_dir.ok_or_else(|| {
            value("state_dir", "it is missing: keys and data need a place".into())
        })?;
        let members_max = raw.group_max.unwrap_or(MEMBERS_DEFAULT);
        if !(1..=MEMBERS_DEFAULT).contains(&members_max) {
            let why = format!("{members_max} is not between 1 and {MEMBERS_DEFAULT}");
            return Err(value("group_max", why));
        }
        let pulse_interval = match raw.pulse_interval_ms {
            None => PULSE_INTERVAL_DEFAULT,
            Some(ms) if PULSE_INTERVAL_MS.contains(&ms) => Duration::from_millis(ms),
            Some(ms) => {
                let why = format!("{ms} ms is not between 100 and 60000");
                return Err(value("pulse_interval_ms", why));
            }
        };
        let store_mb_max = raw.store.mb_max.unwrap_or(STORE_MB_DEFAULT);
        if store_mb_max == 0 {
            return Err(value("mb_max", "a database needs at least 1 MB".into()));
        }
        Ok(Self {
            listen,
            state_dir: here.join(state_dir),
            join_tokens_file: raw.join_tokens_file.map(|file| here.join(file)),
            exchange: ExchangeConfig {
                members_max,
                pulse_interval,
                parole_after: raw
                    .quarantine
                    .parole_s
                    .map_or(PAROLE_AFTER_DEFAULT, Duration::from_secs),
                quarantine_by_evidence: raw.quarantine.by_evidence.unwrap_or(true),
            },
            join_rate: Rate {
                burst: raw.join.burst.unwrap_or(JOIN_RATE_DEFAULT.burst).max(1),
                per_minute: raw.join.per_minute.unwrap_or(JOIN_RATE_DEFAULT.per_minute),
            },
            store_octets_max: u64::from(store_mb_max) << 20,
            ledger_url: raw.ledger.url,
            chain_id: raw.chain_id,
        })
    }
}

fn syntax(text: &str, error: &toml::de::Error) -> ApiError {
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    let message = error.message().lines().next().unwrap_or_default();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let problem = ApiError::new(0, code::CONFIG_SYNTAX, format!(":{line}: {message}"));
    match (message.starts_with("unknown field"), quoted.split_first()) {
        (true, Some((unknown, known))) => {
            let what = format!(":{line}: unknown key `{unknown}`");
            let nearest = known.iter().min_by_key(|key| distance(unknown, key));
            let fix =
                nearest.map_or("remove it".to_owned(), |key| format!("did you mean `{key}`?"));
            ApiError { what, ..problem }.why(format!("known keys: {}", known.join(", "))).fix(fix)
        }
        _ => problem.fix("see docs/operations.md for the keys of the controller"),
    }
}

fn bad_value(text: &str, key: &str, why: String) -> ApiError {
    let at = text.lines().position(|line| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    });
    let place = at.map_or(String::new(), |index| format!(":{}", index + 1));
    ApiError::new(0, code::CONFIG_VALUE, format!("{place}: `{key}` cannot be used")).why(why)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// How many letters have to change (Levenshtein distance).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let change = corner + usize::from(l != *r);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> ApiError {
        Config::parse(text, Path::new("/etc/srwan")).unwrap_err()
    }

    #[test]
    fn a_short_file_has_sensible_defaults() {
        let config = Config::parse("state_dir = \"state\"", Path::new("/etc/srwan")).unwrap();
        assert_eq!(config.listen, "0.0.0.0:7080".parse().unwrap());
        assert_eq!(config.state_dir, Path::new("/etc/srwan/state"));
        assert_eq!(config.exchange, ExchangeConfig::default());
    }

    #[test]
    fn all_keys_are_read() {
        let text = "listen = \"[::1]:1\"\nstate_dir = \"/s\"\njoin_tokens_file = \"/t\"\n\
            group_max = 5\npulse_interval_ms = 1000\nchain_id = \"ab\"\n\
            [ledger]\nurl = \"http://l\"\n[join]\nburst = 3\nper_minute = 4\n\
            [quarantine]\nby_evidence = false\nparole_s = 6\n[store]\nmb_max = 7\n";
        let expected = Config {
            listen: "[::1]:1".parse().unwrap(),
            state_dir: "/s".into(),
            join_tokens_file: Some("/t".into()),
            exchange: ExchangeConfig {
                members_max: 5,
                pulse_interval: Duration::from_secs(1),
                parole_after: Duration::from_secs(6),
                quarantine_by_evidence: false,
            },
            join_rate: Rate { burst: 3, per_minute: 4 },
            store_octets_max: 7 << 20,
            ledger_url: Some("http://l".into()),
            chain_id: Some("ab".into()),
        };
        assert_eq!(Config::parse(text, Path::new("/")), Ok(expected));
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_the_likely_one() {
        let error = refused("state_dir = \"/s\"\ngroup_maks = 3\n");
        assert_eq!(error.code, code::CONFIG_SYNTAX);
        assert_eq!(error.what, ":2: unknown key `group_maks`");
        assert_eq!(error.fix, "did you mean `group_max`?");
        let error = refused("state_dir = \"/s\"\n[join]\nbrust = 3\n");
        assert_eq!(
            (&*error.what, &*error.fix),
            (":3: unknown key `brust`", "did you mean `burst`?")
        );
    }

    #[test]
    fn values_that_cannot_be_are_named_with_their_line() {
        let check = |text: &str, what: &str| {
            let error = refused(text);
            assert_eq!((&*error.code, &*error.what), (code::CONFIG_VALUE, what));
        };
        check("", ": `state_dir` cannot be used");
        check("state_dir = \"/s\"\nlisten = \"7080\"", ":2: `listen` cannot be used");
        check("state_dir = \"/s\"\n\ngroup_max = 101", ":3: `group_max` cannot be used");
        check(
            "pulse_interval_ms = 5\nstate_dir = \"/s\"",
            ":1: `pulse_interval_ms` cannot be used",
        );
        check("state_dir = \"/s\"\n[store]\nmb_max = 0", ":3: `mb_max` cannot be used");
        assert_eq!(refused("state_dir = 3").code, code::CONFIG_SYNTAX);
        assert_eq!(refused("state_dir = ").what.split(':').nth(1), Some("1"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Config::load(Path::new("/nonexistent/c.toml")).unwrap_err();
        assert_eq!(error.code, code::CONFIG_FILE);
        assert!(error.what.contains("/nonexistent/c.toml"));
    }
}
