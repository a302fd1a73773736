//! Where final blocks and certificates are kept for good.
//!
//! Every number here is part of the disk format: a changed one silently loses what is stored.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::Finalization;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_storage::archive::immutable;

use crate::Limits;
use crate::block::{Block, Digest};
use crate::epoch;
use crate::wiring::Environment;

/// Certificates by height and block digest.
pub(crate) type Certificates<E> = immutable::Archive<E, Digest, Finalization<Scheme, Digest>>;

/// Blocks by height and digest.
pub(crate) type Blocks<E> = immutable::Archive<E, Digest, Arc<Block>>;

/// Where the archives are opened.
pub(crate) struct Shelf<'a, E> {
    pub(crate) context: &'a E,
    pub(crate) pages: &'a CacheRef,
    pub(crate) prefix: &'a str,
}

impl<E: Environment> Shelf<'_, E> {
    /// Opens the certificates.
    pub(crate) async fn certificates(&self) -> Certificates<E> {
        // A committee's size bounds its certificates where they are checked, not where they are read.
        let members_max = usize::MAX >> 1;
        let config = self.config("certificates", members_max);
        let archive = immutable::Archive::init(self.context.child("certificates"), config).await;
        archive.expect("the certificates cannot be opened")
    }

    /// Opens the blocks.
    pub(crate) async fn blocks(&self, limits: Limits) -> Blocks<E> {
        let config = self.config("final-blocks", limits);
        let archive = immutable::Archive::init(self.context.child("final_blocks"), config).await;
        archive.expect("the blocks cannot be opened")
    }

    fn config<C>(&self, name: &str, codec_config: C) -> immutable::Config<C> {
        let name = format!("{}{name}", self.prefix);
        immutable::Config {
            metadata_partition: format!("{name}-metadata"),
            freezer_table_partition: format!("{name}-table"),
            freezer_table_initial_size: TABLE_ENTRIES,
            freezer_table_resize_frequency: TABLE_RESIZE_AFTER,
            freezer_table_resize_chunk_size: TABLE_RESIZE_CHUNK,
            freezer_key_partition: format!("{name}-keys"),
            freezer_key_page_cache: self.pages.clone(),
            freezer_value_partition: format!("{name}-values"),
            freezer_value_target_size: VALUE_FILE_OCTETS,
            freezer_value_compression: None,
            ordinal_partition: format!("{name}-heights"),
            items_per_section: ITEMS_PER_SECTION,
            codec_config,
            replay_buffer: epoch::REPLAY_BUFFER,
            freezer_key_write_buffer: WRITE_BUFFER,
            freezer_value_write_buffer: WRITE_BUFFER,
            ordinal_write_buffer: WRITE_BUFFER,
        }
    }
}

/// Entries of the hash table at first: a megabyte. It doubles as it fills.
const TABLE_ENTRIES: u32 = 1 << 14;
/// Keys in one slot before the table doubles.
const TABLE_RESIZE_AFTER: u8 = 4;
/// Slots moved at a time while it doubles.
const TABLE_RESIZE_CHUNK: u32 = 1 << 12;
/// A file of values is closed at 256 MiB.
const VALUE_FILE_OCTETS: u64 = 1 << 28;
/// Heights in one file of the index.
pub(crate) const ITEMS_PER_SECTION: NonZeroU64 = NonZeroU64::new(4096).expect("not zero");
/// Octets gathered before a write; any value reads the same files.
const WRITE_BUFFER: NonZeroUsize = NonZeroUsize::new(1 << 20).expect("not zero");
