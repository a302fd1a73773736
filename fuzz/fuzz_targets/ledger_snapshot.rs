//! Bytes as a ledger's snapshot.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    srwan_fuzz::ledger::snapshot(bytes);
});
