//! The receipts journal: evidence of money owed to this router, kept through crashes, full disks and torn writes.
//!
//! One append-only file of checksummed records, keyed by lane; the last record of a lane counts, because evidence is
//! cumulative. A record is acknowledged to the payer only after `fdatasync`. On a failed write the file is cut back to
//! its last whole record and the caller may try again; after a failed sync nothing more is acknowledged until a
//! restart, because the kernel may have dropped the pages. What is older than [`AGE_MAX`] or settled goes at the next
//! rewrite.
//!
//! ```text
//! length u32 | kind u8 (1 keep, 2 forget) | unix seconds u64 | lane 32 octets | payload | first 16 octets of BLAKE3
//! ```
//! All numbers little-endian; `length` counts what is between itself and the checksum.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use srwan_wire::id::LaneId;

use crate::fault::{self, Fault};

/// How long unsettled evidence is kept. Source: promise I27.
pub const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Largest payload of a record: evidence is a few hundred octets.
pub const PAYLOAD_OCTETS_MAX: usize = 16 * 1024;

/// Lanes with unsettled evidence: 1,600 at once, each followed by another one six times a day, for a week without
/// a ledger. With the largest tickets that a ledger takes they need 512 MiB, with usual ones 80 MiB.
pub const LANES_MAX: usize = 65_536;

/// Least size at which the file is rewritten: two orders above what 1600 lanes need.
const REWRITE_OCTETS: u64 = 16 << 20;

/// The file is rewritten when it has this many times what counts in it, so that writing costs at most twice.
const REWRITE_FACTOR: u64 = 2;

const KEEP: u8 = 1;
const FORGET: u8 = 2;
const HEAD_OCTETS: usize = 1 + 8 + 32;
const LENGTH_OCTETS: usize = 4;
const CHECKSUM_OCTETS: usize = 16;

/// What one lane's last record says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    written: u64,
    payload: Vec<u8>,
}

/// What was found when the journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The last payload of each lane that is not forgotten.
    pub payloads: BTreeMap<LaneId, Vec<u8>>,
    /// Octets cut off the end: a record that a crash left half written.
    pub torn_octets: u64,
}

/// The open journal.
pub struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    entries: BTreeMap<LaneId, Entry>,
    /// Size at which the file is rewritten.
    rewrite_at: u64,
    is_failed: bool,
}

impl Journal {
    /// Opens `receipts/journal` below `state_dir`, made if there is none, and reads it.
    ///
    /// # Errors
    /// `SRW-R008` if the disk says no; `SRW-R009` if a record in the middle is damaged (the file is left as it is).
    pub fn open(state_dir: &Path) -> Result<(Self, Recovered), Fault> {
        let path = state_dir.join("receipts").join("journal");
        let io_fault = |error: io::Error| write_fault(&path, &error);
        std::fs::create_dir_all(path.parent().expect("joined above")).map_err(io_fault)?;
        let mut file = open_file(&path).map_err(io_fault)?;
        let mut octets = Vec::new();
        file.read_to_end(&mut octets).map_err(io_fault)?;
        let (entries, whole) = replay(&octets).map_err(|at| damaged_fault(&path, at))?;
        let length = u64::try_from(whole).expect("a file's length");
        let torn_octets = u64::try_from(octets.len() - whole).expect("a file's length");
        if torn_octets > 0 {
            cut(&mut file, length).map_err(io_fault)?;
        }
        let payloads = entries.iter().map(|(lane, entry)| (*lane, entry.payload.clone())).collect();
        let rewrite_at = REWRITE_OCTETS.max(REWRITE_FACTOR.saturating_mul(live(&entries)));
        let mut journal = Self { path, file, length, entries, rewrite_at, is_failed: false };
        journal.expire(unix_seconds());
        Ok((journal, Recovered { payloads, torn_octets }))
    }

    /// Appends the evidence of a lane. It counts only once [`Journal::sync`] has returned.
    ///
    /// # Errors
    /// `SRW-R008` if the disk is full or broken, `SRW-R020` if there are [`LANES_MAX`] other lanes; what was
    /// acknowledged before is still there.
    pub fn keep(&mut self, lane: LaneId, payload: &[u8]) -> Result<(), Fault> {
        assert!(payload.len() <= PAYLOAD_OCTETS_MAX, "evidence is bounded when it is received");
        self.make_room(lane)?;
        let entry = Entry { written: unix_seconds(), payload: payload.to_vec() };
        self.append(&record(KEEP, lane, &entry))?;
        self.entries.insert(lane, entry);
        Ok(())
    }

    /// Lets go of a lane that is settled. A crash before the next [`Journal::sync`] only brings it back.
    ///
    /// # Errors
    /// As [`Journal::keep`].
    pub fn forget(&mut self, lane: LaneId) -> Result<(), Fault> {
        if self.entries.remove(&lane).is_none() {
            return Ok(());
        }
        let entry = Entry { written: unix_seconds(), payload: Vec::new() };
        self.append(&record(FORGET, lane, &entry))
    }

    /// Makes everything appended so far durable; after this it may be acknowledged.
    ///
    /// # Errors
    /// `SRW-R008`; from then on every call fails until the router is restarted.
    pub fn sync(&mut self) -> Result<(), Fault> {
        self.refuse_if_failed()?;
        if let Err(error) = self.file.sync_data() {
            self.is_failed = true;
            return Err(write_fault(&self.path, &error));
        }
        if self.length > self.rewrite_at { self.rewrite() } else { Ok(()) }
    }

    /// How many lanes have unsettled evidence.
    pub fn lanes(&self) -> usize {
        self.entries.len()
    }

    /// Writes the last record of each lane into a fresh file and puts it in place of the old one.
    ///
    /// # Errors
    /// As [`Journal::keep`]; the old file stays.
    pub fn rewrite(&mut self) -> Result<(), Fault> {
        self.expire(unix_seconds());
        let result = self.try_rewrite();
        result.map_err(|error| write_fault(&self.path, &error))
    }

    fn try_rewrite(&mut self) -> io::Result<()> {
        let fresh = self.path.with_extension("part");
        let octets: Vec<u8> =
            self.entries.iter().flat_map(|(lane, entry)| record(KEEP, *lane, entry)).collect();
        let mut file = open_file(&fresh)?;
        cut(&mut file, 0)?;
        file.write_all(&octets)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        File::open(self.path.parent().expect("made in open"))?.sync_all()?;
        self.file = file;
        self.length = u64::try_from(octets.len()).expect("a file's length");
        self.rewrite_at = REWRITE_OCTETS.max(REWRITE_FACTOR.saturating_mul(self.length));
        Ok(())
    }

    fn expire(&mut self, now: u64) {
        let oldest = now.saturating_sub(AGE_MAX.as_secs());
        self.entries.retain(|_, entry| entry.written >= oldest);
    }

    /// Older evidence is never given up for newer: whoever is not acknowledged stops at its credit.
    fn make_room(&mut self, lane: LaneId) -> Result<(), Fault> {
        if self.entries.len() >= LANES_MAX && !self.entries.contains_key(&lane) {
            self.expire(unix_seconds());
        }
        if self.entries.len() < LANES_MAX || self.entries.contains_key(&lane) {
            return Ok(());
        }
        Err(full_fault(&self.path))
    }

    fn append(&mut self, record: &[u8]) -> Result<(), Fault> {
        self.refuse_if_failed()?;
        if let Err(error) = self.file.write_all(record) {
            // Cutting back cannot need space; if even that fails the file cannot be trusted any more.
            self.is_failed = cut(&mut self.file, self.length).is_err();
            return Err(write_fault(&self.path, &error));
        }
        self.length += u64::try_from(record.len()).expect("a record's length");
        Ok(())
    }

    fn refuse_if_failed(&self) -> Result<(), Fault> {
        if self.is_failed {
            let why = io::Error::other("an earlier write could not be made durable");
            return Err(write_fault(&self.path, &why));
        }
        Ok(())
    }
}

/// Octets that a rewrite would take.
fn live(entries: &BTreeMap<LaneId, Entry>) -> u64 {
    let frame = LENGTH_OCTETS + HEAD_OCTETS + CHECKSUM_OCTETS;
    let octets: usize = entries.values().map(|entry| frame + entry.payload.len()).sum();
    u64::try_from(octets).unwrap_or(u64::MAX)
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn cut(file: &mut File, length: u64) -> io::Result<()> {
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length)).map(drop)
}

fn record(kind: u8, lane: LaneId, entry: &Entry) -> Vec<u8> {
    let length = u32::try_from(HEAD_OCTETS + entry.payload.len()).expect("bounded above");
    let mut record = length.to_le_bytes().to_vec();
    record.push(kind);
    record.extend_from_slice(&entry.written.to_le_bytes());
    record.extend_from_slice(&lane.0);
    record.extend_from_slice(&entry.payload);
    let checksum = checksum(&record);
    record.extend_from_slice(&checksum);
    record
}

fn checksum(octets: &[u8]) -> [u8; CHECKSUM_OCTETS] {
    let digest = blake3::hash(octets);
    *digest.as_bytes().first_chunk().expect("a digest has 32 octets")
}

/// Applies all whole records; returns the entries and how many octets they take, or the offset of a damaged record.
///
/// A record that does not verify is *torn* if nothing that verifies follows it (a crash), and *damaged* otherwise.
fn replay(octets: &[u8]) -> Result<(BTreeMap<LaneId, Entry>, usize), usize> {
    let mut entries = BTreeMap::new();
    let mut at = 0;
    while at < octets.len() {
        let Some((record, next)) = read_record(octets, at) else {
            let rest = at + 1..octets.len();
            let follows = rest.into_iter().any(|later| read_record(octets, later).is_some());
            return if follows { Err(at) } else { Ok((entries, at)) };
        };
        match record {
            Record::Keep(lane, entry) => drop(entries.insert(lane, entry)),
            Record::Forget(lane) => drop(entries.remove(&lane)),
        }
        at = next;
    }
    Ok((entries, at))
}

enum Record {
    Keep(LaneId, Entry),
    Forget(LaneId),
}

/// The record at `at` and the offset behind it, if its checksum holds.
fn read_record(octets: &[u8], at: usize) -> Option<(Record, usize)> {
    let length = u32::from_le_bytes(*octets.get(at..)?.first_chunk()?);
    let length = usize::try_from(length).ok()?;
    if !(HEAD_OCTETS..=HEAD_OCTETS + PAYLOAD_OCTETS_MAX).contains(&length) {
        return None;
    }
    let end = at + LENGTH_OCTETS + length;
    let next = end + CHECKSUM_OCTETS;
    if checksum(octets.get(at..end)?) != octets.get(end..next)? {
        return None;
    }
    let (head, payload) = octets[at + LENGTH_OCTETS..end].split_first_chunk::<HEAD_OCTETS>()?;
    let written = u64::from_le_bytes(*head[1..].first_chunk()?);
    let lane = LaneId(*head[9..].first_chunk()?);
    match head[0] {
        KEEP => Some((Record::Keep(lane, Entry { written, payload: payload.to_vec() }), next)),
        FORGET => Some((Record::Forget(lane), next)),
        _ => None,
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn write_fault(path: &Path, error: &io::Error) -> Fault {
    Fault::new(
        fault::JOURNAL_WRITE,
        format!("cannot write the receipts journal {}", path.display()),
        format!("{error}; receipts are not acknowledged, so payers will stop at their credit"),
        "free some space on that file system, then restart the router if the message stays",
    )
}

fn full_fault(path: &Path) -> Fault {
    Fault::new(
        fault::JOURNAL_FULL,
        format!("the receipts journal {} holds {LANES_MAX} lanes", path.display()),
        "the ledger has not settled them; receipts of other lanes are not acknowledged",
        "make the ledger reachable: check ledger.url, and that a validator answers there",
    )
}

fn damaged_fault(path: &Path, at: usize) -> Fault {
    Fault::new(
        fault::JOURNAL_DAMAGED,
        format!("the receipts journal {} is damaged at octet {at}", path.display()),
        "a record in the middle fails its checksum: the disk or another program changed it",
        "restore the file from a backup, or move it away (unsettled receipts in it are lost)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: LaneId = LaneId([1; 32]);
    const B: LaneId = LaneId([2; 32]);

    fn open(dir: &Path) -> (Journal, Recovered) {
        Journal::open(dir).unwrap()
    }

    fn file_of(dir: &Path) -> PathBuf {
        dir.join("receipts/journal")
    }

    /// A journal of two lanes, one of them written twice.
    fn write_some(dir: &Path) {
        let (mut journal, _) = open(dir);
        journal.keep(A, b"first").unwrap();
        journal.keep(B, b"other").unwrap();
        journal.keep(A, b"second").unwrap();
        journal.sync().unwrap();
    }

    #[test]
    fn the_last_record_of_a_lane_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        write_some(dir.path());
        let (_, recovered) = open(dir.path());
        let expected = BTreeMap::from([(A, b"second".to_vec()), (B, b"other".to_vec())]);
        assert_eq!(recovered, Recovered { payloads: expected, torn_octets: 0 });
    }

    #[test]
    fn a_forgotten_lane_stays_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        write_some(dir.path());
        let (mut journal, _) = open(dir.path());
        journal.forget(A).unwrap();
        journal.sync().unwrap();
        assert_eq!(open(dir.path()).1.payloads.keys().collect::<Vec<_>>(), [&B]);
    }

    #[test]
    fn a_torn_tail_is_cut_off_and_the_rest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        write_some(dir.path());
        let whole = std::fs::read(file_of(dir.path())).unwrap();
        let last = whole.len() - (LENGTH_OCTETS + HEAD_OCTETS + 6 + CHECKSUM_OCTETS);
        for end in last + 1..whole.len() {
            std::fs::write(file_of(dir.path()), &whole[..end]).unwrap();
            let (mut journal, recovered) = open(dir.path());
            assert_eq!(recovered.payloads[&A], b"first");
            assert_eq!(recovered.torn_octets, u64::try_from(end - last).unwrap());
            journal.keep(A, b"third").unwrap();
            assert_eq!(open(dir.path()).1.payloads[&A], b"third");
        }
    }

    #[test]
    fn damage_in_the_middle_is_named_and_nothing_is_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        write_some(dir.path());
        let mut octets = std::fs::read(file_of(dir.path())).unwrap();
        octets[20] ^= 1;
        std::fs::write(file_of(dir.path()), &octets).unwrap();
        assert_eq!(Journal::open(dir.path()).err().unwrap().code, fault::JOURNAL_DAMAGED);
        assert_eq!(std::fs::read(file_of(dir.path())).unwrap(), octets);
    }

    #[test]
    fn a_rewrite_keeps_what_counts_and_shrinks_the_file() {
        let dir = tempfile::tempdir().unwrap();
        write_some(dir.path());
        let (mut journal, before) = open(dir.path());
        let long = std::fs::metadata(file_of(dir.path())).unwrap().len();
        journal.rewrite().unwrap();
        assert!(std::fs::metadata(file_of(dir.path())).unwrap().len() < long);
        journal.keep(A, b"after").unwrap();
        let after = open(dir.path()).1;
        assert_eq!(
            (&after.payloads[&A][..], &after.payloads[&B]),
            (&b"after"[..], &before.payloads[&B])
        );
    }

    #[test]
    fn a_full_journal_keeps_what_it_has_and_takes_no_other_lane() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        let entry = Entry { written: unix_seconds(), payload: Vec::new() };
        let lane = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_le_bytes());
            LaneId(id)
        };
        journal.entries = (0..LANES_MAX).map(|number| (lane(number), entry.clone())).collect();
        assert_eq!(journal.keep(lane(LANES_MAX), b"more").unwrap_err().code, fault::JOURNAL_FULL);
        journal.keep(lane(5), b"a later receipt").unwrap();
        journal.forget(lane(6)).unwrap();
        journal.keep(lane(LANES_MAX), b"room again").unwrap();
        assert_eq!(journal.lanes(), LANES_MAX);
    }

    #[test]
    fn a_large_journal_is_not_rewritten_at_every_sync() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        let payload = vec![7; PAYLOAD_OCTETS_MAX];
        let lanes = 1_100_u16;
        for lane in 0..lanes {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&lane.to_le_bytes());
            journal.keep(LaneId(id), &payload).unwrap();
        }
        journal.sync().unwrap();
        assert!(journal.rewrite_at > journal.length && journal.length > REWRITE_OCTETS);
        journal.keep(A, b"more").unwrap();
        let length = journal.length;
        journal.sync().unwrap();
        assert_eq!(journal.length, length, "appended, not rewritten");
    }

    #[test]
    fn evidence_is_kept_for_a_week_and_then_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        journal.keep(A, b"old").unwrap();
        journal.expire(unix_seconds() + AGE_MAX.as_secs() - 2);
        assert_eq!(journal.lanes(), 1);
        journal.expire(unix_seconds() + AGE_MAX.as_secs() + 2);
        assert_eq!(journal.lanes(), 0);
    }

    proptest! {
        #[test]
        fn no_file_makes_reading_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = replay(&octets);
        }
    }
}
