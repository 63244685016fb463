use super::*;

fn origin(text: &str) -> String {
    Endpoint::parse(text).unwrap().origin.to_string()
}

#[test]
fn a_host_that_becomes_another_without_its_dots_is_none() {
    for host in ["2852039166..", "0x7f000001...", "example.com..", "..", "127.0.0.1.."] {
        assert!(Endpoint::parse(&format!("http://{host}/")).is_err(), "{host}");
        assert_eq!((parse_host(host), parse_origin(&format!("https://{host}"))), (None, None), "{host}");
    }
    assert_eq!(origin("http://2852039166."), "http://169.254.169.254");
}

#[test]
fn spellings_of_a_host_are_one_origin() {
    assert_eq!(origin("HTTP://Example.COM.:80/v1"), "http://example.com");
    assert_eq!(origin("http://0x7f.1:8000"), "http://127.0.0.1:8000");
    assert_eq!(origin("http://2130706433"), "http://127.0.0.1");
    assert_eq!(origin("https://[0:0::1]:8443/"), "https://[::1]:8443");
    assert_eq!(origin("https://bücher.example"), "https://xn--bcher-kva.example");
}

#[test]
fn an_endpoint_is_a_plain_base_url() {
    for text in [
        "",
        "x",
        "ftp://h",
        "file:///etc",
        "http://u@h",
        "http://u:p@h",
        "http://:p@h",
        "http://h#f",
        "http://",
        "http:h",
        "http:/h",
        "http:///h",
        "http:\\\\h",
        "http://evil.example\\.localhost",
        "http://evil.example\\@localhost",
        "http://h/a\\b",
        " http://h",
        "http://h ",
        "ht\ntp://h",
        "http://h\t",
        "http://h/\u{a0}",
        "http://h\0",
        "//h",
    ] {
        assert!(Endpoint::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_grpc_url_has_the_origin_of_the_http_url_that_it_resembles() {
    for (text, scheme, same) in [
        ("grpc://Example.COM.:8001", "grpc", "http://example.com:8001"),
        ("GRPC://0x7f.1", "grpc", "http://127.0.0.1"),
        ("grpcs://h/base/", "grpcs", "https://h"),
    ] {
        let endpoint = Endpoint::parse(text).unwrap();
        assert_eq!((endpoint.scheme(), endpoint.wire), (scheme, Wire::Grpc));
        assert_eq!(endpoint.origin, Endpoint::parse(same).unwrap().origin);
    }
    for text in ["grpc:h:8001", "grpc:///", "grpc://u@h", "grpcx://h", "grpc://h#f", "grpc://"] {
        assert!(Endpoint::parse(text).is_err(), "{text}");
    }
}

#[test]
fn hosts_see_what_an_endpoint_is_or_what_is_wrong_with_it() {
    let seen = |text| Endpoint::describe(text);
    let expected = json!({"scheme": "grpc", "host": "127.0.0.1", "port": 8001, "loopback": true, "path": "/base",
        "shown": "GRPC://0x7f.1:8001/base/?a&code=***", "keys": ["code"]});
    assert_eq!(seen("GRPC://0x7f.1:8001/base/?a&code=0123456789"), expected);
    assert_eq!((&seen("https://h")["port"], &seen("https://h")["loopback"]), (&json!(443), &json!(false)));
    assert_eq!(seen("http://u:p@h")["login"], true);
    assert_eq!(seen("http://h\\.localhost")["login"], false);
}

#[test]
fn a_deployment_may_stand_in_the_path() {
    let after = |text| Endpoint::parse(text).unwrap().segment_after("deployments");
    assert_eq!(after("https://h/openai/Deployments/my%20model/chat").as_deref(), Some("my model"));
    assert_eq!((after("https://h/openai/deployments"), after("https://h")), (None, None));
}

#[test]
fn a_path_keeps_the_base_and_encodes_its_segments() {
    let endpoint = Endpoint::parse("http://h/base/").unwrap();
    assert_eq!(endpoint.path(&["v2", "a/b ü?#"]).unwrap(), "/base/v2/a%2Fb%20%C3%BC%3F%23");
    assert_eq!(Endpoint::parse("http://h").unwrap().path(&["v2"]).unwrap(), "/v2");
}

#[test]
fn the_path_of_a_protocol_goes_before_the_query() {
    let endpoint = Endpoint::parse("https://h/base/?sv=1&api-version=2&code=a%2Fb").unwrap();
    assert_eq!(endpoint.path(&["v2"]).unwrap(), "/base/v2?sv=1&api-version=2&code=a%2Fb");
    assert_eq!(
        endpoint.path_and_query(&["x"], "api-version", "2024-10-21").unwrap(),
        "/base/x?sv=1&code=a%2Fb&api-version=2024-10-21"
    );
    assert_eq!(endpoint.exact_path_and_query("").unwrap(), "/base/?sv=1&api-version=2&code=a%2Fb");
    assert_eq!(endpoint.exact_path_and_query("q=a b").unwrap(), "/base/?sv=1&api-version=2&code=a%2Fb&q=a%20b");
    assert_eq!(Endpoint::parse("https://h?").unwrap().path(&["v2"]).unwrap(), "/v2");
}

#[test]
fn hosts_are_read_with_and_without_a_port() {
    let read = |text| parse_host_and_port(text).map(|(host, port)| (host.to_string(), port));
    assert_eq!(read("H.Example"), Some(("h.example".into(), None)));
    assert_eq!(read("h:8000"), Some(("h".into(), Some(8000))));
    assert_eq!(read("h:80"), Some(("h".into(), Some(80))));
    assert_eq!(read("::1"), Some(("[::1]".into(), None)));
    assert_eq!(read("[::1]:81"), Some(("[::1]".into(), Some(81))));
    for text in ["", "h/x", "u@h", "h:99999", "http://h", "h:8000:1", "*", "*.h", "*:80"] {
        assert_eq!(read(text), None, "{text}");
    }
}
