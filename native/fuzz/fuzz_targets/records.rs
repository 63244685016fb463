//! A record's file. Whoever writes one can write the hashes, too, so that they are mended here.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxhybrid::session::tape::{Tape, key};
use onnxhybrid_fuzz::file;
use serde_json::value::RawValue;

const HEAD: &str = r#"{"format":"onnxhybrid.record","version":1}"#;

fuzz_target!(|data: &[u8]| {
    open(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.lines().filter_map(checked);
    open(format!("{HEAD}\n{}", lines.collect::<String>()).as_bytes());
});

/// A line for this call.
fn checked(call: &str) -> Option<String> {
    let call: &RawValue = serde_json::from_str(call).ok()?;
    Some(format!("{{\"check\":\"{}\",\"call\":{}}}\n", key::check(call.get()), call.get()))
}

fn open(bytes: &[u8]) {
    let path = file(bytes);
    if let Ok(Tape::Replay(replay)) = Tape::open(None, path.to_str()) {
        let _ = replay.answer("k");
    }
}
