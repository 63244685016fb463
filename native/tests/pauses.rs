//! How long a repeat waits, and what is told where it is of no use to wait; over HTTP/1.1 and over gRPC.

mod h2_server;
mod node;
mod server;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use h2_server::After;
use node::{call, run};
use onnxhybrid::failure::{Code, Failure};

type Row = (&'static str, &'static str);

/// When requests came.
type Times = Arc<Mutex<Vec<Instant>>>;

/// A server of HTTP/1.1 that answers its first request so.
fn http(status: &'static str, rows: &'static [Row]) -> (String, Times) {
    let times = Times::default();
    let seen = times.clone();
    let server = server::Server::start(move |mut stream, _| {
        while server::read(&stream).is_some() {
            let mut seen = seen.lock().unwrap();
            seen.push(Instant::now());
            let lines: String = rows.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let first = server::answer(status, &lines, b"busy");
            stream.write_all(if seen.len() == 1 { &first } else { &*server::good().leak() }).unwrap();
        }
    });
    (server.url, times)
}

/// A server of gRPC that answers its first request so.
fn grpc(status: u16, rows: &'static [Row]) -> (String, Times) {
    let times = Times::default();
    let seen = times.clone();
    let server = h2_server::Server::start(move |exchange| -> After {
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        if seen.len() == 1 { exchange.refuse(status, rows) } else { exchange.good() }
    });
    (server.url, times)
}

/// The pause before the one repeat of a call that is good then.
fn pause((url, times): (String, Times)) -> Duration {
    run(&call(&url, "{}", &[("retries", 1)], "none")).unwrap();
    let times = times.lock().unwrap();
    assert_eq!(times.len(), 2);
    times[1] - times[0]
}

/// The failure of a call whose server asks for more than is left.
fn failure((url, times): (String, Times)) -> Failure {
    let failure = run(&call(&url, "{}", &[("retries", 3)], "none")).unwrap_err();
    assert_eq!((failure.attempts, times.lock().unwrap().len()), (1, 1), "{failure}");
    failure
}

const NOT_YET: &str = "Fri, 31 Dec 9999 23:59:59 GMT";
const PAST: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

#[test]
fn a_repeat_waits_as_long_as_the_server_asks() {
    let of_http: [&'static [Row]; 5] = [
        &[("Retry-After-Ms", "700")],
        &[("x-ms-retry-after-ms", "700")],
        &[("Retry-After", "0.7")],
        &[("Retry-After", "0"), ("retry-after-ms", "700.0")],
        &[("Retry-After", "0.7"), ("retry-after-ms", "NaN")],
    ];
    let asked: Vec<_> = of_http.into_iter().map(|rows| pause(http("429 Too Many Requests", rows))).collect();
    let of_grpc = [
        (503, &[("retry-after-ms", "700")][..]),
        (200, &[("grpc-status", "14"), ("grpc-retry-pushback-ms", "700")]),
        (200, &[("grpc-status", "8"), ("grpc-retry-pushback-ms", "700")]),
    ];
    let asked = asked.into_iter().chain(of_grpc.into_iter().map(|(status, rows)| pause(grpc(status, rows))));
    for pause in asked {
        assert!((Duration::from_millis(700)..Duration::from_millis(2_000)).contains(&pause), "{pause:?}");
    }
}

#[test]
fn a_server_that_asks_for_little_is_not_kept_waiting() {
    for server in [
        http("503 Service Unavailable", &[("retry-after-ms", "1")]),
        grpc(200, &[("grpc-status", "14"), ("grpc-retry-pushback-ms", "0")]),
    ] {
        assert!(pause(server) < Duration::from_millis(350));
    }
}

#[test]
fn without_a_word_that_is_of_use_the_first_pause_is_about_half_a_second() {
    for server in [
        http("429 Too Many Requests", &[]),
        http("425 Too Early", &[("Retry-After", "-3")]),
        http("503 Service Unavailable", &[("Retry-After", PAST)]),
        http("503 Service Unavailable", &[("Retry-After", "1e400"), ("retry-after-ms", "-1")]),
        grpc(429, &[("retry-after", "nan")]),
        grpc(200, &[("grpc-status", "14")]),
    ] {
        let pause = pause(server);
        assert!((Duration::from_millis(375)..Duration::from_millis(1_500)).contains(&pause), "{pause:?}");
    }
}

#[test]
fn a_server_that_asks_for_more_than_is_left_fails_at_once_and_says_so() {
    for (server, words) in [
        (http("429 Too Many Requests", &[("Retry-After", "60")]), "429 Too Many Requests and asks to wait 60 s"),
        (http("503 Service Unavailable", &[("retry-after-ms", "61500.5")]), "asks to wait 61.6 s"),
        (http("503 Service Unavailable", &[("Retry-After", "99999999999999999999999")]), "asks to wait "),
        (http("503 Service Unavailable", &[("Retry-After", NOT_YET)]), "asks to wait "),
        (grpc(503, &[("retry-after", "60")]), "503 Service Unavailable and asks to wait 60 s"),
        (
            grpc(200, &[("grpc-status", "14"), ("grpc-retry-pushback-ms", "60000")]),
            "14 UNAVAILABLE and asks to wait 60 s",
        ),
        (grpc(200, &[("grpc-status", "8"), ("grpc-retry-pushback-ms", "60000")]), "8 RESOURCE_EXHAUSTED and asks"),
    ] {
        let started = Instant::now();
        let failure = failure(server);
        assert!(started.elapsed() < Duration::from_secs(2));
        let message = &failure.problem.message;
        assert_eq!(failure.problem.code, Code::Status);
        assert!(message.contains(words) && message.contains("longer than the 5 s that are left"), "{message}");
    }
}

#[test]
fn a_repeat_that_the_server_does_not_want_is_not_made() {
    let unwanted = failure(http("429 Too Many Requests", &[("x-should-retry", "false"), ("retry-after-ms", "1")]));
    assert_eq!(unwanted.problem.status, Some(429));
}

#[test]
fn a_redirect_is_not_followed_and_its_message_says_what_to_write() {
    let moved = failure(http("307 Temporary Redirect", &[("Location", "/gw/v2/models/m/infer?token=abc")]));
    let (origin, message) = (moved.endpoint.clone(), &moved.problem.message);
    assert!(message.contains(&format!("write {origin}/gw in place of {origin} in the endpoint's URL")), "{message}");
    assert!(!message.contains("abc"), "{message}");
    let moved = failure(grpc(301, &[("location", "https://other.example/inference.GRPCInferenceService/ModelInfer")]));
    assert!(moved.problem.message.contains("write grpcs://other.example in place of grpc://127"), "{moved}");
}
