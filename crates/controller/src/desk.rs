//! The exchange and its store together: one command at a time, on disk before it is answered.

use std::path::PathBuf;

use srwan_api::http::ApiError;
use srwan_ditex::{Change, Exchange};
use srwan_wire::time::Timestamp;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Config;
use crate::keys::Secret;
use crate::problem::{Refusal, code};
use crate::store::{HourRow, Store};

/// Largest join token file that is read: every token that an exchange can hold.
const TOKENS_FILE_OCTETS_MAX: u64 = 2 << 20;

/// What all requests share, behind one lock.
#[derive(Debug)]
pub struct Desk {
    exchange: Exchange,
    store: Store,
    clock: Clock,
    seed: Secret,
    tokens_file: Option<PathBuf>,
    /// Set when the memory may be ahead of the disk: nothing is answered until it was read again.
    behind: Option<ApiError>,
    version: watch::Sender<u64>,
}

impl Desk {
    /// Opens the store and brings the exchange back from it.
    ///
    /// # Errors
    /// The store's.
    pub fn open(config: &Config, seed: Secret, clock: Clock) -> Result<Self, ApiError> {
        let store = Store::open(&config.state_dir, config.store_octets_max)?;
        let exchange = Exchange::restore(config.exchange, &seed.0, store.load()?)
            .map_err(|error| store.damaged(&error))?;
        let (version, _) = watch::channel(0);
        let tokens_file = config.join_tokens_file.clone();
        let mut desk = Self { exchange, store, clock, seed, tokens_file, behind: None, version };
        desk.read_tokens_file()?;
        Ok(desk)
    }

    /// Tells of every change: a number that rises.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Answers from the exchange as it is on disk.
    ///
    /// # Errors
    /// The store's, while it cannot be read again after a failure; else the question's own.
    pub fn read<T, E: Refusal>(
        &mut self,
        ask: impl FnOnce(&Exchange, Timestamp) -> Result<T, E>,
    ) -> Result<T, ApiError> {
        self.catch_up()?;
        ask(&self.exchange, self.clock.now()).map_err(|error| error.refusal())
    }

    /// Runs a command, and answers when what it changed is on disk.
    ///
    /// # Errors
    /// The command's refusal, or the store's failure; after the latter nothing has changed.
    pub fn change<T, E: Refusal>(
        &mut self,
        command: impl FnOnce(&mut Exchange, Timestamp) -> Result<T, E>,
    ) -> Result<T, ApiError> {
        self.catch_up()?;
        let result = command(&mut self.exchange, self.clock.now());
        let changes: Vec<Change> = std::iter::from_fn(|| self.exchange.poll_change()).collect();
        if !changes.is_empty() {
            self.keep(&changes)?;
        }
        result.map_err(|error| error.refusal())
    }

    /// Lets routers out of quarantine whose time is over.
    ///
    /// # Errors
    /// The store's.
    pub fn tick(&mut self) -> Result<(), ApiError> {
        let now = self.clock.now();
        if self.exchange.poll_timeout().is_none_or(|at| at > now) {
            return Ok(());
        }
        self.change(|exchange, now| {
            exchange.handle_timeout(now);
            Ok::<(), ApiError>(())
        })
    }

    /// Issues the tokens in the operator's file that are not known yet.
    ///
    /// # Errors
    /// The store's. A file that cannot be read is logged: routers that are known need no token.
    pub fn read_tokens_file(&mut self) -> Result<(), ApiError> {
        let Some(path) = &self.tokens_file else { return Ok(()) };
        let length = std::fs::metadata(path).map(|found| found.len());
        let text = match length {
            Ok(octets) if octets > TOKENS_FILE_OCTETS_MAX => Err(format!("{octets} octets")),
            Ok(_) => std::fs::read_to_string(path).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let text = match text {
            Ok(text) => text,
            Err(why) => {
                tracing::warn!(file = %path.display(), why, "cannot read the join tokens");
                return Ok(());
            }
        };
        let tokens = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let tokens: Vec<&str> = tokens.collect();
        self.change(|exchange, _| {
            tokens.iter().try_for_each(|token| exchange.issue_token(token, None).map(drop))
        })
    }

    /// The hours of one segment.
    ///
    /// # Errors
    /// The store's.
    pub fn history(&self, from: u32, to: u32) -> Result<Vec<HourRow>, ApiError> {
        self.store.history(from, to)
    }

    fn keep(&mut self, changes: &[Change]) -> Result<(), ApiError> {
        match self.store.write(changes) {
            Ok(()) => {
                self.version.send_modify(|version| *version = version.wrapping_add(1));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(code = error.code, why = error.why, "{}", error.what);
                self.behind = Some(error.clone());
                // If that fails as well, the next command tries again.
                let _ = self.catch_up();
                Err(error)
            }
        }
    }

    /// After a failed write the memory is ahead of the disk: forgets it and reads the disk.
    fn catch_up(&mut self) -> Result<(), ApiError> {
        if self.behind.is_none() {
            return Ok(());
        }
        let snapshot = self.store.load()?;
        let config = self.exchange.config();
        self.exchange = Exchange::restore(config, &self.seed.0, snapshot)
            .map_err(|error| self.store.damaged(&error))?;
        self.behind = None;
        Ok(())
    }
}

/// The desk after the controller's stop.
pub fn closed() -> ApiError {
    ApiError::new(503, code::INTERNAL, "the controller is stopping")
        .why("its store is closed")
        .fix("ask again when it has started; nothing of this request was done")
}

/// A lock that was left by a panic: the state behind it may be half changed.
pub fn broken() -> ApiError {
    ApiError::new(500, code::INTERNAL, "the controller has an internal error")
        .why("an earlier request ended in a panic")
        .fix("restart the controller; its state on disk is whole. Please report it")
}
