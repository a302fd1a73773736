//! The file that keeps handshake timestamps from going back: peers take an older one for a replay (I25).
//!
//! It is written ahead: the file names a timestamp [`AHEAD`] after the newest in use, and is written again before that
//! one is reached. A router that starts goes on from what the file names, so a kill -9, or a wall clock that was set
//! back while the router was off, never makes it use a timestamp twice.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use srwan_wire::time::Timestamp;

use crate::fault::{self, Fault};
use crate::packet_loop::Handle;
use crate::shared::Shared;

/// File name in the state directory: nanoseconds since the UNIX epoch in decimal digits.
pub const STAMP_FILE: &str = "handshake.stamp";

/// How far the file is ahead of what is in use: a disk may stand still for half of it.
const AHEAD: Duration = Duration::from_secs(60);

/// The file is written again when this much is left.
const LEFT_MIN: Duration = Duration::from_secs(30);

/// How often that is looked at; several looks fit into what is left.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The file, and what it names.
pub struct StampFile {
    path: PathBuf,
    reserved: Timestamp,
}

impl StampFile {
    /// Reads what an earlier run reserved (zero if nothing, or if the file is damaged), and reserves on from there or
    /// from the wall clock, whichever is later.
    ///
    /// # Errors
    /// `SRW-R018` if the file cannot be written.
    pub fn open(state_dir: &Path, wall: Timestamp) -> Result<(Self, Timestamp), Fault> {
        let path = state_dir.join(STAMP_FILE);
        let last = read(&path).map_err(|error| write_fault(&path, &error))?;
        let mut file = Self { path, reserved: Timestamp::default() };
        file.advance(last, wall)?;
        Ok((file, last))
    }

    /// Reserves on, if less than [`LEFT_MIN`] is left above the newest handshake and the wall clock.
    ///
    /// # Errors
    /// `SRW-R018` if the file cannot be written; what it named before stays.
    pub fn advance(&mut self, newest: Timestamp, wall: Timestamp) -> Result<(), Fault> {
        let used = newest.max(wall);
        if self.reserved >= after(used, LEFT_MIN) {
            return Ok(());
        }
        let reserved = after(used, AHEAD);
        write(&self.path, reserved).map_err(|error| write_fault(&self.path, &error))?;
        self.reserved = reserved;
        Ok(())
    }
}

/// Keeps the file ahead of the node until the node ends.
pub async fn keep(mut file: StampFile, node: Handle, shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Ok(newest) = node.ask(|node, _, _| node.handshake_stamp()).await else { return };
        let wall = shared.wall();
        let advanced =
            tokio::task::spawn_blocking(move || (file.advance(newest, wall), file)).await;
        let Ok((result, back)) = advanced else { return };
        file = back;
        match result {
            Ok(()) => shared.clear(fault::HANDSHAKE_STAMP),
            Err(fault) => shared.raise(fault),
        }
    }
}

fn after(stamp: Timestamp, length: Duration) -> Timestamp {
    let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    Timestamp::from_nanos(stamp.as_nanos().saturating_add(nanos))
}

fn read(path: &Path) -> io::Result<Timestamp> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Timestamp::default()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        other => other?,
    };
    let nanos = text.trim().parse().unwrap_or_else(|_| {
        tracing::warn!(path = %path.display(), "damaged; handshakes go on from the wall clock");
        0
    });
    Ok(Timestamp::from_nanos(nanos))
}

/// Writes the file whole or not at all.
fn write(path: &Path, stamp: Timestamp) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(&part)?;
    writeln!(file, "{}", stamp.as_nanos())?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn write_fault(path: &Path, error: &io::Error) -> Fault {
    Fault::new(
        fault::HANDSHAKE_STAMP,
        format!("cannot keep handshake timestamps in {}", path.display()),
        error.to_string(),
        "give the state directory's disk some room, and keep the clock from going back",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000_000);

    fn seconds_later(seconds: u64) -> Timestamp {
        after(NOW, Duration::from_secs(seconds))
    }

    #[test]
    fn what_an_earlier_run_may_have_used_is_below_what_the_next_one_starts_from() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, last) = StampFile::open(dir.path(), NOW).unwrap();
        assert_eq!(last, Timestamp::default());
        file.advance(seconds_later(25), seconds_later(29)).unwrap();
        let (_, last) = StampFile::open(dir.path(), Timestamp::default()).unwrap();
        assert_eq!(last, seconds_later(60), "29 seconds are within what is reserved");
    }

    #[test]
    fn the_file_moves_on_with_handshakes_and_with_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = StampFile::open(dir.path(), NOW).unwrap();
        file.advance(NOW, seconds_later(31)).unwrap();
        assert_eq!(StampFile::open(dir.path(), NOW).unwrap().1, seconds_later(91));
        file.advance(seconds_later(500), NOW).unwrap();
        assert_eq!(StampFile::open(dir.path(), NOW).unwrap().1, seconds_later(560));
    }

    #[test]
    fn a_run_with_its_clock_set_back_reserves_above_the_run_before() {
        let dir = tempfile::tempdir().unwrap();
        drop(StampFile::open(dir.path(), seconds_later(3_600)).unwrap());
        let (_, last) = StampFile::open(dir.path(), NOW).unwrap();
        assert_eq!(last, seconds_later(3_660));
        assert_eq!(StampFile::open(dir.path(), NOW).unwrap().1, seconds_later(3_720));
    }

    #[test]
    fn a_damaged_file_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        for text in [&b""[..], b"soon\n", b"\xff\xfe", b"-5"] {
            std::fs::write(dir.path().join(STAMP_FILE), text).unwrap();
            assert_eq!(StampFile::open(dir.path(), NOW).unwrap().1, Timestamp::default());
        }
    }
}
