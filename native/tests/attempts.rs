//! Attempts with a time of their own: what becomes of a request that is swallowed without a word.

mod h2_server;
mod node;
mod server;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use h2_server::After;
use node::{call, run, values};
use onnxhybrid::failure::Code;
use server::{Server, good, read};

/// Milliseconds of an attempt, and a deadline that no test meets.
const ATTEMPT: i64 = 150;
const SETTINGS: [(&str, i64); 2] = [("attempt_timeout_ms", ATTEMPT), ("timeout_ms", 20_000)];

fn with(retries: i64) -> Vec<(&'static str, i64)> {
    [&SETTINGS[..], &[("retries", retries)]].concat()
}

/// A server whose requests are counted; one is answered where `answers` says so of its number, else nothing comes back.
fn http(answers: fn(usize) -> bool) -> (Server, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    let server = Server::start(move |mut stream, _| {
        while read(&stream).is_some() {
            if answers(counter.fetch_add(1, Ordering::SeqCst)) {
                stream.write_all(&good()).unwrap();
            }
        }
    });
    (server, requests)
}

/// The same for gRPC; a stream that is not answered stays open.
fn grpc(answers: fn(usize) -> bool) -> h2_server::Server {
    h2_server::Server::start(move |exchange| {
        if answers(exchange.number) {
            return exchange.good();
        }
        Box::leak(Box::new(exchange)); // dropped it would be reset
        After::Nothing
    })
}

#[test]
fn a_swallowed_attempt_leaves_time_for_a_repeat_on_a_new_connection() {
    let (server, requests) = http(|number| number != 1);
    let one = call(&server.url, "{}", &with(1), "none");
    let two = grpc(|number| number != 1);
    let both = [one, call(&two.url, "{}", &with(1), "none")];
    for call in &both {
        let started = Instant::now();
        for _ in 0..3 {
            assert_eq!(values(&run(call).unwrap()), [1.5, -2.0]);
        }
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(150) && took < Duration::from_secs(5), "{took:?}");
        assert_eq!((call.stats()["retries"].as_u64(), call.connections()), (Some(1), 2));
    }
    assert_eq!((requests.load(Ordering::SeqCst), server.connections()), (4, 2));
    assert_eq!((two.requests(), two.connections()), (4, 2));
}

#[test]
fn an_attempt_is_repeated_as_often_as_retries_say_and_no_more() {
    for retries in [0, 2] {
        let (server, requests) = http(|_| false);
        let two = grpc(|_| false);
        for url in [&server.url, &two.url] {
            let failure = run(&call(url, "{}", &with(retries), "none")).unwrap_err();
            assert_eq!((failure.problem.code, failure.attempts), (Code::Deadline, 1 + retries as u32), "{failure}");
            assert!(failure.problem.message.contains("within 150 ms (attempt_timeout)"), "{failure}");
        }
        let expected = 1 + retries as usize;
        assert_eq!((requests.load(Ordering::SeqCst), two.requests()), (expected, expected));
    }
}

#[test]
fn a_kept_connection_that_swallows_a_request_is_not_replaced_beyond_the_retries() {
    let (server, requests) = http(|number| number == 0);
    let call = call(&server.url, "{}", &with(0), "none");
    assert!(run(&call).is_ok());
    let failure = run(&call).unwrap_err();
    assert_eq!((failure.problem.code, failure.attempts), (Code::Deadline, 1));
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[test]
fn a_repeat_of_an_attempt_is_paid_from_the_budget() {
    let (server, requests) = http(|_| false);
    let call = call(&server.url, r#"{"policy": {"budget": {"calls": 2}}}"#, &with(5), "none");
    assert_eq!(run(&call).unwrap_err().attempts, 2);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[test]
fn the_deadline_of_the_call_covers_all_attempts() {
    let (server, _) = http(|_| false);
    let settings = [("attempt_timeout_ms", 150), ("timeout_ms", 400), ("retries", 50)];
    let started = Instant::now();
    let failure = run(&call(&server.url, "{}", &settings, "none")).unwrap_err();
    assert_eq!(failure.problem.code, Code::Deadline);
    assert!(started.elapsed() < Duration::from_secs(2) && failure.attempts <= 4, "{failure}");
}

#[test]
fn strict_ceilings_hold_for_attempts() {
    let (server, requests) = http(|_| false);
    let strict = r#"{"policy": {"allow": ["127.0.0.1"], "strict":
        {"max_timeout": 20, "max_retries": 1, "max_request_bytes": 1000000}}}"#;
    assert_eq!(run(&call(&server.url, strict, &with(50), "none")).unwrap_err().attempts, 2);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[test]
fn an_answer_that_stops_half_way_is_asked_for_again_and_counts_once() {
    let server = Server::start(|mut stream, number| {
        while read(&stream).is_some() {
            let answer = good();
            let end = if number == 0 { answer.len() - 3 } else { answer.len() };
            stream.write_all(&answer[..end]).unwrap();
        }
    });
    // Room for one answer and a half.
    let call = call(&server.url, r#"{"policy": {"max_response_bytes": 110}}"#, &with(1), "none");
    assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0]);
}

#[test]
fn a_connection_on_which_one_attempt_was_silent_finishes_what_others_wait_for() {
    let server = h2_server::Server::start(|exchange| {
        if exchange.number == 0 {
            Box::leak(Box::new(exchange));
            return After::Nothing;
        }
        exchange.good()
    });
    let call = call(&server.url, "{}", &with(1), "none");
    thread::scope(|scope| {
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(|| run(&call).is_ok())).collect();
        assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
    });
    assert_eq!((server.requests(), server.connections()), (9, 2));
}
