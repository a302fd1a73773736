//! The block log: torn ends are cut off, damage is refused, a failed disk is not trusted again.

use std::io;

use srwan_validator::storage::{BlockLog, LogError, LogFile, OpenReport};
use srwan_wire::id::{ChainId, Height};

use crate::people::{blocks, genesis};

/// The host's side, which fails when told to.
#[derive(Clone, Debug, Default)]
struct Disk {
    bytes: Vec<u8>,
    fails: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Half of what is appended arrives.
    ShortWrite,
    Sync,
}

impl LogFile for Disk {
    fn size(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.bytes.len()).unwrap())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let found = self.bytes.get(from..from + buffer.len());
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.fails == Some(Fault::ShortWrite) {
            self.bytes.extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.fails == Some(Fault::Sync) { Err(io::Error::other("EIO")) } else { Ok(()) }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.bytes.truncate(usize::try_from(len).unwrap());
        Ok(())
    }
}

/// A disk is lent to a log, so that the test can look at it afterwards.
impl LogFile for &mut Disk {
    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_at(buffer, offset)
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        (**self).append(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        (**self).truncate(len)
    }
}

fn chain() -> ChainId {
    genesis().chain_id()
}

fn open(disk: &mut Disk) -> Result<(BlockLog<&mut Disk>, OpenReport), LogError> {
    BlockLog::open(disk, chain())
}

/// A disk with `count` blocks, and its length after each.
fn written(count: u64) -> (Disk, Vec<usize>) {
    let mut disk = Disk::default();
    let mut lengths = Vec::new();
    for block in blocks(count) {
        open(&mut disk).unwrap().0.append(&block).unwrap();
        lengths.push(disk.bytes.len());
    }
    (disk, lengths)
}

#[test]
fn a_log_reads_what_was_appended() {
    let (mut disk, _) = written(3);
    let (log, report) = open(&mut disk).unwrap();
    assert_eq!(report, OpenReport { blocks: 3, torn_octets: 0 });
    for block in blocks(3) {
        assert_eq!(log.read(block.header.height).unwrap(), Some(block));
    }
    assert_eq!(log.read(Height(0)).unwrap(), None);
    assert_eq!(log.read(Height(4)).unwrap(), None);
}

#[test]
fn a_log_cut_at_any_octet_of_its_last_record_keeps_all_blocks_before_and_goes_on() {
    let (whole, lengths) = written(3);
    for cut in lengths[1]..lengths[2] {
        let mut disk = whole.clone();
        disk.bytes.truncate(cut);
        let (mut log, report) = open(&mut disk).unwrap();
        let torn_octets = u64::try_from(cut - lengths[1]).unwrap();
        assert_eq!(report, OpenReport { blocks: 2, torn_octets });
        log.append(&blocks(3)[2]).unwrap();
        drop(log);
        assert_eq!(disk.bytes, whole.bytes);
    }
}

#[test]
fn a_log_cut_inside_its_head_begins_again() {
    let (whole, _) = written(1);
    for cut in 0..40 {
        let mut disk = whole.clone();
        disk.bytes.truncate(cut);
        assert_eq!(open(&mut disk).unwrap().1.blocks, 0);
        assert_eq!(disk.bytes.len(), 40);
    }
}

#[test]
fn a_last_record_that_was_extended_with_zeros_is_cut_off() {
    let (whole, lengths) = written(2);
    let mut disk = whole.clone();
    disk.bytes.truncate(lengths[0]);
    disk.bytes.resize(lengths[1], 0);
    assert_eq!(open(&mut disk).unwrap().1.blocks, 1);
    // The head arrived, the payload did not.
    let mut disk = whole;
    disk.bytes[lengths[0] + 40..].fill(0);
    assert_eq!(open(&mut disk).unwrap().1.blocks, 1);
}

#[test]
fn a_flipped_bit_before_the_last_record_is_refused_and_nothing_is_cut() {
    let (whole, lengths) = written(3);
    for at in 40..lengths[1] {
        let mut disk = whole.clone();
        disk.bytes[at] ^= 1;
        let damaged = disk.bytes.clone();
        let error = open(&mut disk).map(|_| ()).unwrap_err();
        assert!(matches!(error, LogError::Damaged { .. }), "octet {at}: {error}");
        assert_eq!(disk.bytes, damaged);
    }
}

#[test]
fn a_file_of_another_ledger_or_kind_is_refused() {
    let (whole, _) = written(1);
    let other = ChainId([1; 32]);
    let error = BlockLog::open(whole.clone(), other).map(|_| ()).unwrap_err();
    assert!(matches!(error, LogError::OtherLedger { found } if found == chain()));
    let text = Disk { bytes: b"# these are my notes\n".to_vec(), fails: None };
    let error = BlockLog::open(text, chain()).map(|_| ()).unwrap_err();
    assert!(matches!(error, LogError::NotALog));
}

#[test]
fn blocks_out_of_order_are_not_appended() {
    let (mut disk, _) = written(1);
    let before = disk.bytes.clone();
    let (mut log, _) = open(&mut disk).unwrap();
    for index in [0, 2] {
        let error = log.append(&blocks(3)[index]).unwrap_err();
        assert!(matches!(error, LogError::OutOfOrder { expected: Height(2), .. }));
    }
    drop(log);
    assert_eq!(disk.bytes, before);
}

#[test]
fn after_a_failed_write_or_sync_nothing_more_is_acknowledged() {
    for fault in [Fault::ShortWrite, Fault::Sync] {
        let (mut disk, _) = written(1);
        disk.fails = Some(fault);
        let next = &blocks(2)[1];
        let (mut log, _) = open(&mut disk).unwrap();
        assert!(matches!(log.append(next), Err(LogError::Io(_))), "{fault:?}");
        assert!(matches!(log.append(next), Err(LogError::Poisoned)), "{fault:?}");
        drop(log);
        disk.fails = None;
        // What was durable is known by reading: at least all that was acknowledged.
        assert!(open(&mut disk).unwrap().1.blocks >= 1);
    }
}
