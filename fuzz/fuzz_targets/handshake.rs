//! Bytes as a handshake frame.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    srwan_fuzz::wire::handshake(bytes);
});
