//! URLs, hosts and what a policy's entries are. The `url` crate judges: what passes is a URL, and means the same host.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxhybrid::endpoint::{Endpoint, parse_host_and_port, parse_origin};
use onnxhybrid::session::entry::Entry;
use url::Url;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = (Endpoint::describe(text), parse_host_and_port(text), Entry::parse(text));
    if let Some(origin) = parse_origin(text) {
        assert_eq!(parse_origin(&origin.to_string()).as_ref(), Some(&origin), "an origin is read as it is written");
    }
    let Ok(endpoint) = Endpoint::parse(text) else { return };
    let web = text.trim().replacen("grpc", "http", usize::from(endpoint.scheme().starts_with("grpc")));
    let judged = Url::parse(&web).unwrap_or_else(|error| panic!("{text:?} is no URL: {error}"));
    let host = judged.host_str().unwrap_or_default().trim_end_matches('.');
    assert_eq!(endpoint.origin.host.to_string(), host, "{text:?}");
    assert_eq!(Some(endpoint.origin.port), judged.port_or_known_default(), "{text:?}");
    assert!(judged.username().is_empty() && judged.password().is_none());
    if let Some(path) = endpoint.path(&["v2", "models", "a/b"]) {
        assert!(path.as_str().ends_with("/v2/models/a%2Fb") || path.query().is_some(), "{path}");
    }
});
