//! Which endpoints a policy lets through.

use super::*;
use crate::endpoint::Endpoint;

fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    let own = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
    Policy::new((!allow.is_empty()).then(|| own(allow)).as_deref(), &own(deny)).unwrap()
}

fn origin(text: &str) -> Origin {
    Endpoint::parse(text).unwrap().origin
}

fn passes(policy: &Policy, url: &str) -> bool {
    policy.check_origin(&origin(url)).is_ok()
}

fn reaches(policy: &Policy, url: &str, address: &str) -> bool {
    passes(policy, url) && policy.check_address(&origin(url), address.parse().unwrap()).is_ok()
}

#[test]
fn special_addresses_are_refused_in_every_spelling() {
    let policy = Policy::default();
    for host in [
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[::169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[::ffff:0:a9fe:a9fe]",
        "[2001:0:1:2:3:4:5601:5601]",
        "[fe80::1]",
        "[febf::1]",
        "[fd00:ec2::254]",
        "[fd00:ec2::23]",
        "[fd00:ec2::123]",
        "[fd00:c1::a9fe:a9fe]",
        "[fd12:3456::a9fe:a9fe]",
        "[fd00:42::42]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "[fd20:ce::254]",
        "0.0.0.0",
        "0",
        "0.1.2.3",
        "[::]",
        "[::ffff:0.0.0.0]",
        "\u{ff11}69.254.169.254",
    ] {
        assert!(!passes(&policy, &format!("http://{host}/")), "{host}");
    }
}

#[test]
fn ordinary_addresses_pass() {
    for host in [
        "127.0.0.1",
        "[::1]",
        "10.0.0.1",
        "[::ffff:127.0.0.1]",
        "8.8.8.8",
        "[2606::1]",
        "[fd12:3456::1]",
        "example.com",
    ] {
        assert!(passes(&Policy::default(), &format!("http://{host}/")), "{host}");
    }
}

#[test]
fn a_name_that_resolves_to_a_special_address_is_refused() {
    assert!(!reaches(&Policy::default(), "http://evil.example", "169.254.169.254"));
    assert!(!reaches(&policy(&["evil.example"], &[]), "http://evil.example", "169.254.169.254"));
    assert!(reaches(&policy(&["169.254.0.0/16"], &[]), "http://evil.example", "169.254.169.254"));
    assert!(reaches(&policy(&["169.254.169.254"], &[]), "http://169.254.169.254", "169.254.169.254"));
}

#[test]
fn what_allow_does_not_name_is_refused() {
    let policy = policy(&["https://a.example:8443", "b.example", "c.example:81", "*.d.example", "10.0.0.0/8"], &[]);
    for url in [
        "https://a.example:8443",
        "http://b.example:9",
        "http://c.example:81",
        "http://x.y.d.example",
        "http://10.1.2.3",
    ] {
        assert!(passes(&policy, url), "{url}");
    }
    for url in ["http://11.0.0.1", "http://[::1]"] {
        assert!(!passes(&policy, url), "{url}");
    }
    // a name that is not listed may still resolve into a listed network, and only there
    assert!(reaches(&policy, "http://intern.example", "10.9.9.9"));
    for url in
        ["https://a.example", "http://a.example:8443", "http://c.example", "http://d.example", "http://xd.example"]
    {
        assert!(!reaches(&policy, url, "8.8.8.8"), "{url}");
    }
}

#[test]
fn deny_wins() {
    let policy = policy(&["*.example"], &["evil.example", "192.168.0.0/16"]);
    assert!(passes(&policy, "http://good.example"));
    assert!(!passes(&policy, "http://EVIL.example."));
    assert!(!reaches(&policy, "http://good.example", "192.168.1.1"));
    assert!(!reaches(&policy, "http://good.example", "::ffff:192.168.1.1"));
}

#[test]
fn a_process_may_be_restricted_by_a_list() {
    let process = Policy::of_list(" https://a.example , 10.0.0.0/8,").unwrap();
    assert!(passes(&process, "https://a.example"));
    assert!(!passes(&process, "http://127.0.0.1"));
    assert!(!reaches(&process, "http://b.example", "8.8.8.8"));
    assert!(!passes(&Policy::of_list("").unwrap(), "http://127.0.0.1"));
    let problem = process.check_origin(&origin("http://127.0.0.1")).unwrap_err();
    assert!(problem.message.starts_with("ONNXHYBRID_ALLOW refuses"), "{}", problem.message);
    assert_eq!(Policy::of_list("http://").unwrap_err().code, Code::Scope);
}

#[test]
fn what_a_proxy_alone_looks_up_is_refused_where_addresses_are_denied() {
    let unknown = |policy: &Policy| policy.check_reached(&origin("http://intern.example"), None).is_ok();
    assert!(unknown(&Policy::default()) && unknown(&policy(&[], &["evil.example", "*.evil.example"])));
    assert!(unknown(&policy(&["intern.example", "10.0.0.0/8"], &[])));
    for denied in ["10.0.0.0/8", "10.0.0.1", "10.0.0.1:80", "http://[fd00::1]"] {
        assert!(!unknown(&policy(&[], &[denied])) && !unknown(&policy(&["intern.example"], &[denied])), "{denied}");
    }
}

#[test]
fn a_name_of_this_machine_that_leads_elsewhere_is_refused_unless_its_origin_is_named() {
    let reached = |policy: &Policy, url: &str, address: &str| {
        policy.check_reached(&origin(url), Some(address.parse().unwrap())).is_ok()
    };
    let url = "http://gpu.localhost:8000";
    assert!(reached(&Policy::default(), url, "127.0.0.2") && reached(&Policy::default(), url, "::1"));
    assert!(!reached(&Policy::default(), url, "10.0.0.1"));
    assert!(!reached(&policy(&["gpu.localhost"], &[]), url, "10.0.0.1"));
    assert!(reached(&policy(&[url], &[]), url, "10.0.0.1"));
    assert!(reached(&Policy::default(), "https://gpu.localhost", "10.0.0.1"));
}

#[test]
fn a_strict_policy_reaches_private_addresses_only_where_they_are_named() {
    let strict = |allow: &[&str]| {
        let limits = Strict { max_timeout: Duration::ZERO, max_retries: 0, max_request_bytes: 0 };
        Policy { strict: Some(limits), ..policy(allow, &[]) }
    };
    let named = strict(&["gpu.example", "*.b.example", "localhost:8000"]);
    assert!(reaches(&named, "https://gpu.example", "8.8.8.8") && reaches(&named, "https://x.b.example", "2606::1"));
    assert!(reaches(&named, "http://localhost:8000", "127.0.0.1"));
    assert!(!reaches(&named, "http://localhost:8001", "127.0.0.1"));
    for address in [
        "127.0.0.1",
        "::1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "fd12::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "169.254.169.254",
        "0.0.0.0",
    ] {
        assert!(!reaches(&named, "https://gpu.example", address), "{address}");
        let inner = address.starts_with("::ffff:") || address.starts_with("64:ff9b:"); // named by the address inside, too
        assert!(inner || reaches(&strict(&["gpu.example", address]), "https://gpu.example", address), "{address}");
    }
    assert!(reaches(&strict(&["http://127.0.0.1:8000"]), "http://127.0.0.1:8000", "127.0.0.1"));
}

#[test]
fn malformed_entries_are_refused() {
    for entry in [
        "",
        "http://",
        "ftp://h",
        "*.",
        "*.1.2.3.4",
        "h/x",
        "10.0.0.0/99",
        "https://h/path",
        "*",
        "*:80",
        "gpu-*.example",
        "*.*.example",
        "10.0.0.*",
        "https://*.example",
    ] {
        assert_eq!(Policy::new(None, &[entry.to_owned()]).unwrap_err().code, Code::Scope, "{entry}");
    }
}
