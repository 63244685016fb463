//! Answers of HTTP/1.1: heads, lengths, chunks, trailers. They mean the same in whichever pieces they come; those that mean
//! nothing may break at different places, and so for different reasons.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxhybrid::transport::fuzzing;

fuzz_target!(|data: &[u8]| {
    let whole = fuzzing::http1(data, usize::MAX).ok();
    for piece in [1, 5] {
        assert_eq!(fuzzing::http1(data, piece).ok(), whole, "in pieces of {piece}");
    }
});
