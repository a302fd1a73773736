//! The exchange's state in one SQLite file.
//!
//! Write-ahead log, synced at every commit: what was committed survives a kill and a power cut.
//! One transaction holds all changes of one command. The file is locked for as long as it is open,
//! so that two controllers never share one, and checked when it is opened, so that damage is named
//! rather than served. Signed objects and members are kept as the octets that were signed or
//! issued; columns beside them are what queries and people need.

mod history;
mod read;
mod schema;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, Transaction, params};
use srwan_api::http::ApiError;
use srwan_ditex::{
    Change, GroupRecord, HeldRow, Quarantine, QuarantineCause, RouterRecord, Snapshot, TokenDigest,
    TokenState,
};

use crate::problem::code;

pub use self::history::HourRow;

/// File name of the database in the state directory.
pub const STORE_FILE: &str = "controller.db";

/// Size of a database page. **Units:** octets. Source: SQLite's default since 3.12.
const PAGE_OCTETS: u32 = 4_096;

/// Anything that stops the store, before it is given words.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's own.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A row that no store wrote.
    #[error("the {0} cannot be read")]
    Damaged(&'static str),
    /// The file's own check found damage.
    #[error("{0}")]
    Check(String),
    /// Written by a later version.
    #[error("the database has version {0}, later than this program knows")]
    Version(i64),
}

/// An open database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens or makes the database in this directory, of at most this many octets.
    ///
    /// # Errors
    /// `code::STORE_CORRUPT`, `code::STORE_BUSY`, `code::STORE_FULL` or
    /// `code::STORE_FAILED`.
    pub fn open(state_dir: &Path, octets_max: u64) -> Result<Self, ApiError> {
        let path = state_dir.join(STORE_FILE);
        let connection = Connection::open(&path).map_err(StoreError::from);
        let opened = connection.and_then(|connection| {
            let pages_max = octets_max / u64::from(PAGE_OCTETS);
            schema::prepare(&connection, u32::try_from(pages_max).unwrap_or(u32::MAX))?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => Ok(Self { connection, path }),
            Err(error) => Err(in_words(&error, &path)),
        }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn load(&self) -> Result<Snapshot, ApiError> {
        read::snapshot(&self.connection).map_err(|error| in_words(&error, &self.path))
    }

    /// Writes all changes of one command, or none of them.
    ///
    /// # Errors
    /// `code::STORE_FULL` or `code::STORE_FAILED`; nothing was written.
    pub fn write(&mut self, changes: &[Change]) -> Result<(), ApiError> {
        let path = self.path.clone();
        self.commit(changes).map_err(|error| in_words(&error, &path))
    }

    /// The hours of one segment, oldest first.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn history(&self, from: u32, to: u32) -> Result<Vec<HourRow>, ApiError> {
        history::read(&self.connection, from, to).map_err(|error| in_words(&error, &self.path))
    }

    /// What could not be made of the stored state.
    pub fn damaged(&self, error: &srwan_ditex::RestoreError) -> ApiError {
        in_words(&StoreError::Check(error.to_string()), &self.path)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        changes.iter().try_for_each(|change| write_change(&transaction, change))?;
        Ok(transaction.commit()?)
    }
}

fn write_change(to: &Transaction<'_>, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Token(digest, state) => write_token(to, *digest, *state),
        Change::Router(router) => write_router(to, router),
        Change::RouterRemoved(node) => {
            to.execute("DELETE FROM router WHERE node = ?1", [node.get()])?;
            to.execute("DELETE FROM matrix_row WHERE measurer = ?1", [node.get()])?;
            Ok(())
        }
        Change::Group(group) => write_group(to, group),
        Change::Row(row) => {
            write_row(to, &row.held)?;
            history::add(to, row)
        }
    }
}

fn write_token(
    to: &Transaction<'_>,
    digest: TokenDigest,
    state: TokenState,
) -> Result<(), StoreError> {
    let (expires, spent_by) = match state {
        TokenState::Open { expires } => (expires.map(|at| signed(at.as_nanos())), None),
        TokenState::Spent { by } => (None, Some(by.0)),
    };
    to.prepare_cached(
        "INSERT OR REPLACE INTO token (digest, expires, spent_by) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![digest.0, expires, spent_by])?;
    Ok(())
}

fn write_router(to: &Transaction<'_>, router: &RouterRecord) -> Result<(), StoreError> {
    let member = borsh::to_vec(&router.member).map_err(|_| StoreError::Damaged("member"))?;
    let (node, quarantine) = (router.member.node.get(), router.quarantine.as_ref());
    to.execute(
        "INSERT OR REPLACE INTO router
         (node, group_id, member, issued, joined, name, reason, since, evidence)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            node,
            router.group.0,
            member,
            signed(router.issued.as_nanos()),
            signed(router.joined.as_nanos()),
            router.member.name,
            quarantine.map(|quarantine| quarantine.reason.as_str()),
            quarantine.map(|quarantine| signed(quarantine.since.as_nanos())),
            quarantine.and_then(evidence_text),
        ],
    )?;
    to.execute("UPDATE meta SET node_last = max(node_last, ?1)", [node])?;
    Ok(())
}

/// `strikes/observations/headends`, or nothing for an operator's decision.
fn evidence_text(quarantine: &Quarantine) -> Option<String> {
    match quarantine.cause {
        QuarantineCause::Manual => None,
        QuarantineCause::Evidence { strikes, observations, headends } => {
            Some(format!("{strikes}/{observations}/{headends}"))
        }
    }
}

fn write_group(to: &Transaction<'_>, group: &GroupRecord) -> Result<(), StoreError> {
    to.execute(
        "INSERT OR REPLACE INTO router_group (group_id, seq, psk_epoch, issued)
         VALUES (?1, ?2, ?3, ?4)",
        params![group.group.0, signed(group.seq), group.psk_epoch, signed(group.issued.as_nanos())],
    )?;
    Ok(())
}

fn write_row(to: &Transaction<'_>, held: &HeldRow) -> Result<(), StoreError> {
    let row = &held.row;
    to.prepare_cached(
        "INSERT OR REPLACE INTO matrix_row (measurer, octets, signature, received, reporter, round)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        row.row.measurer.get(),
        row.row.to_bytes(),
        row.signature.0.as_slice(),
        signed(held.received.as_nanos()),
        held.reporter.get(),
        signed(held.round),
    ])?;
    Ok(())
}

/// SQLite's integers are signed; times and counts stay far below 2^63.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn in_words(error: &StoreError, path: &Path) -> ApiError {
    let shown = path.display();
    let new = |status, code, what: String| ApiError::new(status, code, what).why(error.to_string());
    match sqlite_code(error) {
        Some(ErrorCode::DiskFull) => {
            new(507, code::STORE_FULL, format!("there is no room to write {shown}"))
                .fix("free space on the disk, or raise [store] mb_max")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            new(503, code::STORE_BUSY, format!("another program has {shown} open"))
                .fix("stop the other controller; two must not share a state_dir")
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => {
            new(503, code::STORE_CORRUPT, format!("{shown} is damaged")).fix(format!(
                "restore it from a backup, or move it away: routers keep their groups' last roster \
                 and need new join tokens (damaged: {shown})"
            ))
        }
        Some(_) => new(503, code::STORE_FAILED, format!("cannot read or write {shown}"))
            .fix("check the disk, and that state_dir belongs to the user that runs the controller"),
    }
}

fn sqlite_code(error: &StoreError) -> Option<ErrorCode> {
    match error {
        StoreError::Sqlite(error) => error.sqlite_error_code(),
        StoreError::Damaged(_) | StoreError::Check(_) | StoreError::Version(_) => None,
    }
}
