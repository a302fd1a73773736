//! The tables, and what is demanded of a file before it is used.

use std::time::Duration;

use rusqlite::Connection;

use super::{PAGE_OCTETS, StoreError};

/// Version of the tables.
pub const VERSION: i64 = 1;

/// How long to wait for another process's lock: a predecessor that is shutting down.
const BUSY_WAIT: Duration = Duration::from_secs(3);

const TABLES: &str = "
CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), node_last INTEGER NOT NULL) STRICT;
INSERT INTO meta (id, node_last) VALUES (1, 0);
CREATE TABLE token (
    digest BLOB PRIMARY KEY NOT NULL,
    expires INTEGER,               -- ns since 1970
    spent_by BLOB                  -- node key
) STRICT, WITHOUT ROWID;
CREATE TABLE router_group (
    group_id INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    psk_epoch INTEGER NOT NULL,
    issued INTEGER NOT NULL        -- ns since 1970
) STRICT;
CREATE TABLE router (
    node INTEGER PRIMARY KEY,
    group_id INTEGER NOT NULL REFERENCES router_group (group_id) DEFERRABLE INITIALLY DEFERRED,
    member BLOB NOT NULL,          -- borsh of wire::roster::Member
    issued INTEGER NOT NULL,       -- ns since 1970, by the router's clock
    joined INTEGER NOT NULL,       -- ns since 1970
    name TEXT NOT NULL,
    reason TEXT,                   -- of its quarantine
    since INTEGER,                 -- of its quarantine, ns since 1970
    evidence TEXT                  -- strikes/observations/headends
) STRICT;
CREATE TABLE matrix_row (
    measurer INTEGER PRIMARY KEY,
    octets BLOB NOT NULL,          -- wire::pulse::Row::to_bytes
    signature BLOB NOT NULL,
    received INTEGER NOT NULL,     -- ns since 1970
    reporter INTEGER NOT NULL,
    round INTEGER NOT NULL
) STRICT;
CREATE TABLE segment_hour (
    hour INTEGER NOT NULL,         -- hours since 1970
    a INTEGER NOT NULL,
    z INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    owd_us_min INTEGER NOT NULL,
    owd_us_sum INTEGER NOT NULL,
    owd_us_max INTEGER NOT NULL,
    loss_ppm_sum INTEGER NOT NULL,
    PRIMARY KEY (hour, a, z)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
";

/// Sets the connection up, checks the file, and makes the tables in an empty one.
pub fn prepare(connection: &Connection, pages_max: u32) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "page_size", PAGE_OCTETS)?;
    // Held from the first access on: the lock that keeps a second controller out.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "max_page_count", pages_max)?;
    check(connection)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        VERSION => Ok(()),
        0 => Ok(connection.execute_batch(&format!("BEGIN IMMEDIATE;{TABLES}COMMIT;"))?),
        later => Err(StoreError::Version(later)),
    }
}

fn check(connection: &Connection) -> Result<(), StoreError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Check(found)) }
}
