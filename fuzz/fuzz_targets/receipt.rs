//! Bytes as a receipt, delivery, quote or link statement.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    srwan_fuzz::wire::receipt(bytes);
});
