//! What servers of KServe v2 say of a model, over both transports.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxhybrid_fuzz::described;

fuzz_target!(|data: &[u8]| {
    described("triton.http", data);
    described("triton.grpc", data);
});
