//! Bytes as a handshake frame that is carried over relays.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    srwan_fuzz::wire::relayed_handshake(bytes);
});
