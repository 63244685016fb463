//! What proxies say before they pass anything on: HTTP's CONNECT and SOCKS 5.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxhybrid::transport::fuzzing;

fuzz_target!(|data: &[u8]| {
    assert_eq!(fuzzing::tunnel(data, 1), fuzzing::tunnel(data, usize::MAX));
    assert_eq!(fuzzing::socks(data, 1), fuzzing::socks(data, usize::MAX));
});
