//! A session's configuration: credentials, policy, limits. What names files is left to other targets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxhybrid::endpoint::Endpoint;
use onnxhybrid::session::scope::Scope;
use serde_json::Value;

const FILES: [&str; 4] = ["record", "replay", "ca_file", "client_certificate"];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if !serde_json::from_str(text).is_ok_and(|config| !names_a_file(&config)) {
        return;
    }
    let Ok(scope) = Scope::from_json(text, None) else { return };
    for url in ["http://127.0.0.1:8000", "https://gpu.example", "grpcs://[fd00:ec2::254]"] {
        if let Ok(peer) = scope.peer(&Endpoint::parse(url).unwrap()) {
            let _ = peer.check();
        }
    }
});

fn names_a_file(value: &Value) -> bool {
    match value {
        Value::Object(entries) => {
            entries.iter().any(|(key, value)| FILES.contains(&key.as_str()) || names_a_file(value))
        }
        Value::Array(values) => values.iter().any(names_a_file),
        _ => false,
    }
}
