//! Bytes as a data or OAM packet with its segment header.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    srwan_fuzz::wire::segment(bytes);
});
