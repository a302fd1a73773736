//! The last final headers with what checks them, and who signed what.

use std::collections::{BTreeMap, VecDeque};

use srwan_engine::seam::FinalBlock;
use srwan_ledger::block::Header;
use srwan_wire::id::{Height, ValidatorKey};

/// Headers that are kept: a proof waits for a header that is a block or two away.
const HEADERS_MAX: usize = 64;

/// A final header with the engine's part of its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalHeader {
    /// What it says.
    pub header: Header,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The engine's part of what the digest covers.
    pub context: Vec<u8>,
    /// The engine's name of the block.
    pub digest: [u8; 32],
}

/// The last final headers, oldest first, and the last signature of each validator.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    headers: VecDeque<FinalHeader>,
    signed: BTreeMap<ValidatorKey, Height>,
}

impl Recent {
    /// Takes in the next final block.
    pub fn push(&mut self, block: &FinalBlock, header: Header) {
        for voter in &header.voters {
            self.signed.insert(*voter, header.state_height);
        }
        if self.headers.len() >= HEADERS_MAX {
            self.headers.pop_front();
        }
        self.headers.push_back(FinalHeader {
            header,
            bytes: block.payload.header.clone(),
            context: block.context.clone(),
            digest: block.digest,
        });
    }

    /// The header of `height`, if it is among the last.
    #[must_use]
    pub fn at(&self, height: u64) -> Option<&FinalHeader> {
        self.headers.iter().find(|kept| kept.header.height.0 == height)
    }

    /// The headers that name the state after `height`, or the first that names a later one.
    pub fn naming(&self, height: Height) -> impl Iterator<Item = &FinalHeader> {
        self.headers.iter().filter(move |kept| kept.header.state_height >= height)
    }

    /// The newest height that `key` signed a certificate of, as far as headers say.
    #[must_use]
    pub fn signed_by(&self, key: &ValidatorKey) -> Option<Height> {
        self.signed.get(key).copied()
    }
}
