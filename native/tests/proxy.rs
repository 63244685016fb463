//! Calls through the proxy that the environment names; a test binary of its own for the sake of that environment.

mod node;
mod server;

use std::io::Write;
use std::sync::{LazyLock, Mutex};

use node::{call, run};
use onnxhybrid::failure::Code;
use server::{Server, answer, good, read};

/// The heads of the requests that reached the proxy.
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A proxy that answers plain requests itself and refuses tunnels; every test names it by the variables.
static PROXY: LazyLock<Server> = LazyLock::new(|| {
    let proxy = Server::start(|mut stream, _| {
        let head = read(&stream).unwrap().head;
        let reply = if head.starts_with("CONNECT") { answer("403 Forbidden", "", b"") } else { good() };
        SEEN.lock().unwrap().push(head);
        let _ = stream.write_all(&reply);
    });
    let url = proxy.url.replace("http://", "http://user:pass@");
    for (name, value) in [("HTTP_PROXY", url.as_str()), ("HTTPS_PROXY", &url), ("NO_PROXY", "direct.invalid")] {
        // SAFETY: every test comes here first, and all of them wait until it is done.
        unsafe { std::env::set_var(name, value) };
    }
    proxy
});

fn seen(part: &str) -> Option<String> {
    SEEN.lock().unwrap().iter().find(|head| head.contains(part)).cloned()
}

#[test]
fn a_plain_request_goes_to_the_proxy_whole() {
    LazyLock::force(&PROXY);
    assert!(run(&call("http://plain.invalid/base", "{}", &[], "none")).is_ok());
    let head = seen("plain.invalid").unwrap().to_lowercase();
    assert!(head.starts_with("post http://plain.invalid/base/v2/models/m/infer http/1.1\r\n"), "{head}");
    assert!(
        head.contains("host: plain.invalid\r\n") && head.contains("proxy-authorization: basic dxnlcjpwyxnz"),
        "{head}"
    );
}

#[test]
fn an_encrypted_request_asks_for_a_tunnel() {
    LazyLock::force(&PROXY);
    let failure = run(&call("https://tunnel.invalid", "{}", &[], "none")).unwrap_err();
    assert_eq!(failure.problem.code, Code::Connect);
    assert!(failure.problem.message.contains("403"), "{failure}");
    let head = seen("tunnel.invalid").unwrap();
    assert!(head.starts_with("CONNECT tunnel.invalid:443 HTTP/1.1\r\n") && !head.contains("infer"), "{head}");
}

#[test]
fn loopback_and_excepted_hosts_are_reached_directly() {
    LazyLock::force(&PROXY);
    let server = Server::start(|mut stream, _| {
        read(&stream);
        let _ = stream.write_all(&good());
    });
    assert!(run(&call(&server.url, "{}", &[], "none")).is_ok());
    assert_eq!(server.connections(), 1);
    assert_eq!(run(&call("http://direct.invalid", "{}", &[], "none")).unwrap_err().problem.code, Code::Connect);
    assert_eq!(seen("direct.invalid"), None);
}

#[test]
fn the_policy_holds_behind_a_proxy_too() {
    LazyLock::force(&PROXY);
    for url in ["http://169.254.169.254", "http://[::ffff:a9fe:a9fe]", "http://denied.invalid"] {
        let failure = run(&call(url, r#"{"policy": {"deny": ["denied.invalid"]}}"#, &[], "none")).unwrap_err();
        assert_eq!(failure.problem.code, Code::Policy, "{url}");
    }
    assert_eq!(seen("169.254").or(seen("denied")), None);
}
