//! Bytes as a signed transaction, executed on a small ledger.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    srwan_fuzz::ledger::tx(bytes);
});
