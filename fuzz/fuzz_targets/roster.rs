//! Bytes as a roster, with and without its signature.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    srwan_fuzz::wire::roster(bytes);
});
