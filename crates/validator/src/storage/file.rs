//! The operating system's side of the block log, behind a trait so that a test can make it fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// An append-only file as the block log needs it.
pub trait LogFile {
    /// The file's length in octets.
    fn size(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything written durable, and only then returns.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `len` octets.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// A file of the host.
#[derive(Debug)]
pub struct DiskFile(File);

impl DiskFile {
    /// Opens the file at `path`, and makes it durable as a directory entry if it is not there yet.
    ///
    /// **Errors:** those of the host.
    pub fn open(path: &Path) -> io::Result<Self> {
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        if is_new {
            file.sync_all()?;
            sync_directory(path)?;
        }
        Ok(Self(file))
    }
}

impl LogFile for DiskFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.0.sync_all()
    }
}

/// Makes the directory entry of `path` durable.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
