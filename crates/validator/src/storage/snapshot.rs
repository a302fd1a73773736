//! Snapshots: the state and the index at some height, so that a start need not replay every block.
//!
//! `snapshot-<height>.bin` = "SRWSNAP1" | BLAKE3 of the rest, 32 | borsh((state, index)).
//! A snapshot is written beside its place, made durable, and renamed, so one that has the name is whole. The
//! last two are kept. A damaged one is named and passed over: the engine's blocks can always replace it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::crash;
use srwan_wire::id::Height;

/// First octets of the file: name and version of the format.
const MAGIC: &[u8; 8] = b"SRWSNAP1";
/// Snapshots that are kept: one more than needed, in case the last is damaged.
const KEPT: usize = 2;
const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".bin";

/// The snapshots in one directory.
#[derive(Debug)]
pub struct Snapshots {
    directory: PathBuf,
}

impl Snapshots {
    /// The snapshots in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Heights that have a snapshot, newest first.
    ///
    /// **Errors:** those of the host.
    pub fn heights(&self) -> io::Result<Vec<Height>> {
        let mut heights = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let height = name.to_str().and_then(|name| {
                name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok().map(Height)
            });
            heights.extend(height);
        }
        heights.sort_unstable_by(|left, right| right.cmp(left));
        Ok(heights)
    }

    /// Where the snapshot of `height` is.
    pub fn path(&self, height: Height) -> PathBuf {
        self.directory.join(format!("{PREFIX}{height}{SUFFIX}"))
    }

    /// The content of the snapshot of `height`; `None` if it is damaged.
    ///
    /// **Errors:** those of the host.
    pub fn read(&self, height: Height) -> io::Result<Option<Vec<u8>>> {
        let bytes = fs::read(self.path(height))?;
        let content = bytes.strip_prefix(MAGIC.as_slice()).and_then(|rest| {
            let (digest, content) = rest.split_first_chunk::<32>()?;
            (blake3::hash(content).as_bytes() == digest).then(|| content.to_vec())
        });
        Ok(content)
    }

    /// Writes a snapshot and removes all but the last two.
    ///
    /// **Errors:** those of the host; the snapshots before are as they were.
    pub fn write(&self, height: Height, content: &[u8]) -> io::Result<()> {
        let digest = blake3::hash(content);
        let bytes = [MAGIC.as_slice(), digest.as_bytes(), content].concat();
        write_atomically(&self.path(height), &bytes)?;
        for old in self.heights()?.into_iter().skip(KEPT) {
            fs::remove_file(self.path(old))?;
        }
        Ok(())
    }
}

/// Writes a file so that under its name there is either what was there before, or all of `bytes`.
///
/// **Errors:** those of the host.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = File::create(&beside)?;
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    crash::point(crash::Point::HalfWritten);
    file.write_all(rest)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    crash::point(crash::Point::Renamed);
    sync_directory(path)
}

/// Makes the directory entry of `path` durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
