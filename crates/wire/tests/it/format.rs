//! What is done with each format: compare its generated encodings with the fixtures, replay its corpus.
//!
//! The corpora lie in `fuzz/corpus/<name>/`: seeds from the same generator, and whatever a fuzzer found.
#![expect(
    clippy::disallowed_methods,
    reason = "a variable tells this test to write; the crate itself reads none"
)]

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use super::draw::Draw;

/// How many generated encodings a fixture digests.
const ENCODINGS: u32 = 256;

/// How many of them are seeds of the corpus.
const SEEDS: u32 = 8;

/// One format.
pub struct Format {
    /// Also the name of its corpus and of its fuzz target.
    pub name: &'static str,
    /// Reads any bytes, asserts what must hold of them, says whether they were accepted.
    pub exercise: fn(&[u8]) -> bool,
    /// One valid encoding.
    pub sample: fn(&mut Draw) -> Vec<u8>,
}

impl Format {
    fn encodings(&self, count: u32) -> impl Iterator<Item = Vec<u8>> {
        (0..count).map(|number| (self.sample)(&mut Draw::new(self.name, number)))
    }

    fn corpus(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(self.name)
    }

    /// The name, how many encodings of how many octets, and their digest with each length before its octets.
    fn fixture(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut octets = 0;
        for encoding in self.encodings(ENCODINGS) {
            assert!((self.exercise)(&encoding), "{}: a generated encoding is refused", self.name);
            hasher.update(&u64::try_from(encoding.len()).unwrap().to_be_bytes());
            hasher.update(&encoding);
            octets += encoding.len();
        }
        format!("{} {ENCODINGS} encodings {octets} octets {}", self.name, hasher.finalize())
    }

    fn write_seeds(&self) {
        fs::create_dir_all(self.corpus()).unwrap();
        for (number, encoding) in self.encodings(SEEDS).enumerate() {
            fs::write(self.corpus().join(format!("seed-{number}")), encoding).unwrap();
        }
    }
}

/// Compares the generated encodings with the pinned digests in the file at `path`.
///
/// With `SRWAN_FIXTURES=write` in the environment it writes the file and the seeds of the corpora.
pub fn check_fixtures(formats: &[Format], path: &str) {
    let mut fixtures = String::new();
    for format in formats {
        writeln!(fixtures, "{}", format.fixture()).unwrap();
    }
    if std::env::var("SRWAN_FIXTURES").is_ok_and(|wish| wish == "write") {
        fs::write(path, fixtures).unwrap();
        formats.iter().for_each(Format::write_seeds);
        return;
    }
    let pinned = fs::read_to_string(path).unwrap();
    for (is, was) in fixtures.lines().zip(pinned.lines()) {
        assert_eq!(is, was, "a wire format changed; if on purpose: cargo xtask fixtures");
    }
    assert_eq!(fixtures, pinned, "formats came or went; if on purpose: cargo xtask fixtures");
}

/// Replays every file of every corpus; the seeds must be accepted.
pub fn check_corpus(formats: &[Format]) {
    for format in formats {
        let mut seeds = 0;
        for entry in fs::read_dir(format.corpus()).unwrap() {
            let path = entry.unwrap().path();
            let is_accepted = (format.exercise)(&fs::read(&path).unwrap());
            let is_seed = path.file_name().unwrap().to_string_lossy().starts_with("seed-");
            assert!(is_accepted || !is_seed, "{} is refused", path.display());
            seeds += u32::from(is_seed);
        }
        assert_eq!(seeds, SEEDS, "{} lacks seeds: cargo xtask fixtures", format.name);
    }
}
