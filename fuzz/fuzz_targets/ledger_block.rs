//! Bytes as a block, executed on a small ledger.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    srwan_fuzz::ledger::block(bytes);
});
