//! The block log: every final block, once, in order, in one append-only file.
//!
//! ```text
//! file    "SRWBLOG1" | chain id 32 | record 1 | record 2 | ...
//! record  length u32 | height u64 | head check 8 | payload check 16 | payload = borsh(Block)
//! ```
//!
//! Integers are little-endian; a check is the start of a BLAKE3 digest. The head check covers
//! length
//! and height, so a damaged length is told from a record that was cut off. A block is acknowledged
//! after [`BlockLog::append`] returned, which is after the disk said that the record is durable.
//!
//! On opening, an unfinished last record is cut off: it was never acknowledged. Damage anywhere
//! else is refused with its place, because cutting there would lose final blocks. After a failed
//! write or sync the log takes nothing more: what the disk holds then is only known by reading it
//! again (PostgreSQL's "fsyncgate": a sync that is tried again may wrongly succeed).

use srwan_ledger::block::{BLOCK_OCTETS_MAX, Block};
use srwan_wire::id::{ChainId, Height};
use std::io;

use super::file::LogFile;

/// First octets of the file: name and version of the format.
const MAGIC: &[u8; 8] = b"SRWBLOG1";
/// Octets before the first record.
const FILE_HEAD_OCTETS: u64 = 40;
/// Octets of a record before its payload.
const HEAD_OCTETS: usize = 36;
/// Largest payload: a full block and room for its header with the most voters.
const PAYLOAD_OCTETS_MAX: u64 = BLOCK_OCTETS_MAX + 65_536;

/// What opening a log found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// Blocks in the log.
    pub blocks: u64,
    /// Octets of an unfinished last record that were cut off.
    pub torn_octets: u64,
}

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The host failed.
    #[error("the block log cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// Another kind of file, or another version.
    #[error("the file is not a block log of this version")]
    NotALog,
    /// Another ledger's log.
    #[error("the block log is of ledger {found}")]
    OtherLedger {
        /// Whose it is.
        found: ChainId,
    },
    /// Damage that is not an unfinished end.
    #[error("the block log is damaged at octet {offset}, in block {height}: {what}")]
    Damaged {
        /// Where.
        offset: u64,
        /// Which block should be there.
        height: Height,
        /// What is wrong.
        what: &'static str,
    },
    /// An earlier write or sync failed.
    #[error("an earlier write failed; start again to read what is durable")]
    Poisoned,
    /// Not the next block.
    #[error("the next block is {expected}, not {got}")]
    OutOfOrder {
        /// What would follow.
        expected: Height,
        /// What came.
        got: Height,
    },
}

/// An open log.
///
/// Invariant: `offsets[i]` is where the record of height i + 1 begins; `end` is where the next
/// will.
#[derive(Debug)]
pub struct BlockLog<F> {
    file: F,
    offsets: Vec<u64>,
    end: u64,
    is_poisoned: bool,
}

impl<F: LogFile> BlockLog<F> {
    /// Opens the log in `file` for `chain`, and begins one if the file is empty.
    ///
    /// **Errors:** [`LogError`]; the file is as it was, except for a torn end.
    pub fn open(file: F, chain: ChainId) -> Result<(Self, OpenReport), LogError> {
        let mut log = Self { file, offsets: Vec::new(), end: FILE_HEAD_OCTETS, is_poisoned: false };
        let len = log.file.size()?;
        let torn_octets = if log.check_file_head(len, chain)? {
            log.scan(len)?;
            len - log.end
        } else {
            log.begin(chain)?;
            len
        };
        if torn_octets > 0 && len >= FILE_HEAD_OCTETS {
            log.file.truncate(log.end)?;
        }
        let blocks = log.blocks();
        Ok((log, OpenReport { blocks, torn_octets }))
    }

    /// Blocks in the log, which is also the height of the last.
    pub fn blocks(&self) -> u64 {
        u64::try_from(self.offsets.len()).unwrap_or(u64::MAX)
    }

    /// Appends a block and makes it durable.
    ///
    /// **Errors:** [`LogError`]; the block must not be acknowledged, and the log takes nothing
    /// more.
    pub fn append(&mut self, block: &Block) -> Result<(), LogError> {
        if self.is_poisoned {
            return Err(LogError::Poisoned);
        }
        let (expected, got) = (Height(self.blocks() + 1), block.header.height);
        if expected != got {
            return Err(LogError::OutOfOrder { expected, got });
        }
        let record = encode(block);
        self.is_poisoned = true;
        self.file.append(&record)?;
        self.file.sync()?;
        self.is_poisoned = false;
        self.offsets.push(self.end);
        self.end += wide(record.len());
        Ok(())
    }

    /// Reads the block of `height`; `None` if the log does not reach there.
    ///
    /// **Errors:** the host failed, or the record was damaged since the log was opened.
    pub fn read(&self, height: Height) -> Result<Option<Block>, LogError> {
        let index = height.0.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let Some(&offset) = index.and_then(|index| self.offsets.get(index)) else {
            return Ok(None);
        };
        let damaged = |what| LogError::Damaged { offset, height, what };
        let head = self.read_head(offset)?;
        let payload = self.read_payload(offset, &head)?;
        let payload = payload.ok_or(damaged("the payload check fails"))?;
        let block = borsh::from_slice(&payload);
        block.map(Some).map_err(|_| damaged("the payload is no block"))
    }

    /// Whether the file has a whole head; a file that was cut inside it never held a block.
    fn check_file_head(&self, len: u64, chain: ChainId) -> Result<bool, LogError> {
        let mut head = vec![0; usize::try_from(len.min(FILE_HEAD_OCTETS)).unwrap_or(0)];
        self.file.read_at(&mut head, 0)?;
        let expected = [MAGIC.as_slice(), &chain.0].concat();
        if head == expected {
            return Ok(true);
        }
        if len < FILE_HEAD_OCTETS && expected.starts_with(&head) {
            return Ok(false);
        }
        match head.strip_prefix(MAGIC.as_slice()).and_then(|id| id.try_into().ok()) {
            Some(found) => Err(LogError::OtherLedger { found: ChainId(found) }),
            None => Err(LogError::NotALog),
        }
    }

    fn begin(&mut self, chain: ChainId) -> Result<(), LogError> {
        self.file.truncate(0)?;
        self.file.append(&[MAGIC.as_slice(), &chain.0].concat())?;
        self.file.sync()?;
        Ok(())
    }

    /// Finds all whole records; stops before an unfinished last one.
    fn scan(&mut self, len: u64) -> Result<(), LogError> {
        while self.end < len {
            match self.scan_record(len)? {
                Some(next) => {
                    self.offsets.push(self.end);
                    self.end = next;
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Where the record after the one at `end` begins; `None` if it is unfinished.
    fn scan_record(&self, len: u64) -> Result<Option<u64>, LogError> {
        let (offset, height) = (self.end, Height(self.blocks() + 1));
        let damaged = |what| LogError::Damaged { offset, height, what };
        if len - offset < wide(HEAD_OCTETS) {
            return Ok(None);
        }
        let head = self.read_head(offset)?;
        if !head.is_whole {
            // A file system may extend a file with zeros before it writes the data.
            return if self.is_zero_from(offset, len)? {
                Ok(None)
            } else {
                Err(damaged("the head check fails"))
            };
        }
        if head.height != height {
            return Err(damaged("the record is of another height"));
        }
        let next = offset + wide(HEAD_OCTETS) + head.payload_octets;
        if next > len {
            return Ok(None);
        }
        match self.read_payload(offset, &head)? {
            Some(_) => Ok(Some(next)),
            None if next == len => Ok(None),
            None => Err(damaged("the payload check fails")),
        }
    }

    fn read_head(&self, offset: u64) -> Result<RecordHead, LogError> {
        let mut bytes = [0; HEAD_OCTETS];
        self.file.read_at(&mut bytes, offset)?;
        Ok(RecordHead::decode(&bytes))
    }

    /// The payload of the record at `offset`; `None` if its check fails.
    fn read_payload(&self, offset: u64, head: &RecordHead) -> Result<Option<Vec<u8>>, LogError> {
        let mut payload = vec![0; usize::try_from(head.payload_octets).unwrap_or(0)];
        self.file.read_at(&mut payload, offset + wide(HEAD_OCTETS))?;
        Ok((check::<16>(&payload) == head.payload_check).then_some(payload))
    }

    fn is_zero_from(&self, offset: u64, len: u64) -> Result<bool, LogError> {
        if len - offset > PAYLOAD_OCTETS_MAX + wide(HEAD_OCTETS) {
            return Ok(false);
        }
        let mut rest = vec![0; usize::try_from(len - offset).unwrap_or(0)];
        self.file.read_at(&mut rest, offset)?;
        Ok(rest.iter().all(|byte| *byte == 0))
    }
}

/// The head of a record. Invariant: if it is whole, the payload is at most [`PAYLOAD_OCTETS_MAX`].
struct RecordHead {
    payload_octets: u64,
    height: Height,
    payload_check: [u8; 16],
    is_whole: bool,
}

impl RecordHead {
    fn decode(bytes: &[u8; HEAD_OCTETS]) -> Self {
        let (said, rest) = bytes.split_first_chunk::<12>().expect("a head has 36 octets");
        let (head_check, rest) = rest.split_first_chunk::<8>().expect("a head has 36 octets");
        let (length, height) = said.split_first_chunk::<4>().expect("12 octets are 4 and 8");
        let payload_octets = u64::from(u32::from_le_bytes(*length));
        let fits = payload_octets <= PAYLOAD_OCTETS_MAX;
        Self {
            payload_octets,
            height: Height(u64::from_le_bytes(height.try_into().expect("12 octets are 4 and 8"))),
            payload_check: rest.try_into().expect("36 octets are 12, 8 and 16"),
            is_whole: fits && check::<8>(said) == *head_check,
        }
    }
}

fn encode(block: &Block) -> Vec<u8> {
    let payload = borsh::to_vec(block).expect("writing to a Vec does not fail");
    let length = u32::try_from(payload.len()).expect("a block is at most a few MB");
    let said = [length.to_le_bytes().as_slice(), &block.header.height.0.to_le_bytes()].concat();
    let checks = [check::<8>(&said).as_slice(), &check::<16>(&payload)].concat();
    [said, checks, payload].concat()
}

fn check<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let digest = blake3::hash(bytes);
    *digest.as_bytes().first_chunk::<N>().expect("a digest has 32 octets")
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
