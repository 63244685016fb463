//! Several servers of one name: where requests go, and that no call is lost while one of them works.

mod h2_server;
mod node;
mod server;

use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use node::{call_at, run, values};
use onnxhybrid::call::Call;
use onnxhybrid::failure::Code;
use proptest::prelude::*;
use server::{Server, answer, good, read};

/// What a server does with requests at the moment.
const WORKS: usize = 0;
const BUSY: usize = 1;
const GONE: usize = 2;
const LATER: usize = 3;

/// A server whose mood changes while it runs, and that counts requests.
struct Moody {
    url: String,
    mood: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    paths: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Moody {
    fn http() -> Self {
        let (mood, requests, paths) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Arc::default());
        let seen: (_, _, Arc<std::sync::Mutex<Vec<String>>>) = (mood.clone(), requests.clone(), Arc::clone(&paths));
        let server = Server::start(move |mut stream, _| {
            while let Some(request) = read(&stream) {
                seen.1.fetch_add(1, Ordering::SeqCst);
                seen.2.lock().unwrap().push(request.head.split(' ').nth(1).unwrap().to_owned());
                let answer = match seen.0.load(Ordering::SeqCst) {
                    WORKS => good(),
                    BUSY => answer("503 Service Unavailable", "", b""),
                    LATER => answer("429 Too Many Requests", "retry-after: 60\r\n", b""),
                    _ => return drop(stream.shutdown(Shutdown::Both)),
                };
                stream.write_all(&answer).unwrap();
            }
        });
        Self { url: server.url, mood, requests, paths }
    }

    fn grpc() -> Self {
        let (mood, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let seen = (mood.clone(), requests.clone());
        let server = h2_server::Server::start(move |exchange| {
            seen.1.fetch_add(1, Ordering::SeqCst);
            match seen.0.load(Ordering::SeqCst) {
                WORKS => exchange.good(),
                BUSY => exchange.answer(b"", "14"),
                LATER => {
                    let rows = [
                        ("content-type", "application/grpc"),
                        ("grpc-status", "8"),
                        ("grpc-retry-pushback-ms", "60000"),
                    ];
                    exchange.refuse(200, &rows)
                }
                _ => h2_server::After::Close,
            }
        });
        Self { url: server.url, mood, requests, paths: Arc::default() }
    }

    fn is(&self, mood: usize) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A port where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn several(servers: &[Moody], order: &str, integers: &[(&'static str, i64)]) -> Call {
    let urls: Vec<_> = servers.iter().map(|server| server.url.as_str()).collect();
    call_at(&urls, order, "", integers, "none")
}

fn counts(servers: &[Moody]) -> Vec<usize> {
    servers.iter().map(Moody::requests).collect()
}

fn right(call: &Call) {
    let started = Instant::now();
    let outputs = run(call).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(values(&outputs), [1.5, -2.0]);
    assert!(started.elapsed() < Duration::from_secs(2), "a repeat elsewhere needs no pause");
}

/// The moods of three servers, one of which works.
fn moods() -> impl Strategy<Value = Vec<usize>> {
    (proptest::collection::vec(0..4usize, 3), 0..3usize).prop_map(|(mut moods, working)| {
        moods[working] = WORKS;
        moods
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_call_is_lost_while_one_of_three_servers_works(
        pattern in proptest::collection::vec(moods(), 1..12), spread in any::<bool>(), grpc in any::<bool>(),
    ) {
        let servers: Vec<_> = (0..3).map(|_| if grpc { Moody::grpc() } else { Moody::http() }).collect();
        let call = several(&servers, if spread { "spread" } else { "first" }, &[("retries", 2)]);
        for moods in &pattern {
            servers.iter().zip(moods).for_each(|(server, mood)| server.is(*mood));
            right(&call);
        }
        let (stats, sent) = (call.stats(), counts(&servers));
        prop_assert_eq!(stats["calls"].as_u64(), Some(pattern.len() as u64));
        prop_assert_eq!(stats["retries"].as_u64(), Some((sent.iter().sum::<usize>() - pattern.len()) as u64));
        for (server, count) in servers.iter().zip(sent) {
            prop_assert_eq!(stats["endpoints"][&server.url].as_u64(), Some(count as u64));
        }
    }
}

#[test]
fn the_first_takes_all_requests_and_the_next_those_that_it_fails() {
    for make in [Moody::http, Moody::grpc] {
        let servers = [make(), make()];
        let call = several(&servers, "first", &[("retries", 1)]);
        (0..3).for_each(|_| right(&call));
        assert_eq!(counts(&servers), [3, 0]);
        servers[0].is(BUSY);
        right(&call);
        assert_eq!(counts(&servers), [4, 1]);
        // It is left alone for a while now, without a repeat for any call.
        (0..3).for_each(|_| right(&call));
        assert_eq!((counts(&servers), call.stats()["retries"].as_u64()), (vec![4, 4], Some(1)));
    }
}

#[test]
fn a_server_that_works_again_is_found_by_one_request_after_a_pause() {
    for (order, make) in [("first", Moody::http as fn() -> Moody), ("spread", Moody::http), ("spread", Moody::grpc)] {
        let servers = [make(), make()];
        let call = several(&servers, order, &[("retries", 1)]);
        let until = |true_now: &dyn Fn() -> bool| {
            let started = Instant::now();
            while !true_now() {
                assert!(started.elapsed() < Duration::from_secs(5), "{order} {:?}", counts(&servers));
                right(&call);
            }
        };
        until(&|| servers[0].requests() > 0);
        let before = servers[0].requests();
        servers[0].is(GONE);
        until(&|| servers[0].requests() > before);
        servers[0].is(WORKS);
        let (started, alone) = (Instant::now(), servers[0].requests());
        until(&|| servers[0].requests() > alone);
        assert!(started.elapsed() > Duration::from_millis(500));
        let found = servers[0].requests();
        until(&|| servers[0].requests() > found + 10);
        if order == "first" {
            assert_eq!(servers[0].requests(), found + 11);
        }
    }
}

#[test]
fn where_every_server_fails_the_call_ends_by_its_deadline_with_the_failure_of_the_last() {
    let servers = [Moody::http(), Moody::http()];
    servers.iter().for_each(|server| server.is(BUSY));
    let call = several(&servers, "first", &[("retries", 9), ("timeout_ms", 1500)]);
    let started = Instant::now();
    let failure = run(&call).unwrap_err();
    assert!(started.elapsed() < Duration::from_millis(1900));
    assert_eq!(failure.problem.status, Some(503));
    assert_eq!(failure.attempts as usize, counts(&servers).iter().sum::<usize>());
    assert!(counts(&servers).iter().all(|count| *count >= 1), "{:?}", counts(&servers));
    assert!(servers.iter().any(|server| server.url == failure.endpoint));
}

#[test]
fn without_repeats_a_call_has_one_attempt_and_the_next_call_another_server() {
    let servers = [Moody::http(), Moody::http()];
    servers[0].is(BUSY);
    let call = several(&servers, "first", &[("retries", 0)]);
    let failure = run(&call).unwrap_err();
    assert_eq!((failure.attempts, failure.endpoint.as_str()), (1, servers[0].url.as_str()));
    right(&call);
    assert_eq!(counts(&servers), [1, 1]);
}

#[test]
fn an_answer_that_is_not_to_be_repeated_is_repeated_nowhere() {
    let refusing = Server::start(|mut stream, _| {
        while read(&stream).is_some() {
            stream.write_all(&answer("404 Not Found", "", b"")).unwrap();
        }
    });
    let other = Moody::http();
    let call = call_at(&[&refusing.url, &other.url], "first", "", &[("retries", 2)], "none");
    for _ in 0..3 {
        assert_eq!(run(&call).unwrap_err().problem.status, Some(404));
    }
    assert_eq!(other.requests(), 0);
}

#[test]
fn a_server_that_cannot_be_reached_or_has_no_address_is_passed_over() {
    let other = Moody::http();
    for lost in [nobody(), "http://no-such-host.invalid".to_owned(), other.url.replace("http:", "https:")] {
        let (before, call) = (other.requests(), call_at(&[&lost, &other.url], "first", "", &[("retries", 1)], "none"));
        right(&call);
        assert_eq!((other.requests(), call.stats()["retries"].as_u64()), (before + 1, Some(1)), "{lost}");
    }
}

#[test]
fn a_server_that_says_nothing_is_left_after_the_time_of_an_attempt() {
    let silent = Server::start(|stream, _| while read(&stream).is_some() {});
    let other = Moody::http();
    let integers = [("retries", 1), ("attempt_timeout_ms", 200)];
    let call = call_at(&[&silent.url, &other.url], "first", "", &integers, "none");
    (0..3).for_each(|_| right(&call));
    assert_eq!((silent.connections(), other.requests()), (1, 3));
}

#[test]
fn requests_are_spread_over_the_servers_and_go_to_the_one_that_has_less_to_do() {
    let servers = [Moody::http(), Moody::http()];
    let call = several(&servers, "spread", &[]);
    (0..64).for_each(|_| right(&call));
    assert!(counts(&servers).iter().all(|count| *count > 8), "{:?}", counts(&servers));

    let stuck = Server::start(|stream, _| while read(&stream).is_some() {});
    let call = Arc::new(call_at(&[&stuck.url, &servers[0].url], "spread", "", &[("timeout_ms", 4000)], "none"));
    let waiting = call.clone();
    let stuck_call = std::thread::spawn(move || while run(&waiting).is_ok() {});
    let started = Instant::now();
    while stuck.connections() == 0 && started.elapsed() < Duration::from_secs(3) {
        std::thread::yield_now();
    }
    // As long as a request is under way there, the other has fewer.
    (0..32).for_each(|_| right(&call));
    assert_eq!(stuck.connections(), 1);
    stuck_call.join().unwrap();
}

#[test]
fn a_repeat_has_the_path_of_the_url_that_it_goes_to() {
    let servers = [Moody::http(), Moody::http()];
    servers[0].is(BUSY);
    let urls = [format!("{}/a?k=1", servers[0].url), format!("{}/b/c?key=0123456789", servers[1].url)];
    let call = call_at(&[&urls[0], &urls[1]], "first", "", &[("retries", 1)], "none");
    right(&call);
    assert_eq!(*servers[0].paths.lock().unwrap(), ["/a/v2/models/m/infer?k=1"]);
    assert_eq!(*servers[1].paths.lock().unwrap(), ["/b/c/v2/models/m/infer?key=0123456789"]);
    assert_eq!(
        call.stats()["endpoints"],
        serde_json::json!({
            format!("{}/a?k=***", servers[0].url): 1, format!("{}/b/c?key=***", servers[1].url): 1,
        })
    );
}

#[test]
fn an_open_breaker_sends_a_call_to_the_next_server() {
    let servers = [Moody::http(), Moody::http()];
    servers[0].is(BUSY);
    let urls: Vec<_> = servers.iter().map(|server| server.url.as_str()).collect();
    let breaker = r#", "policy": {"breaker": {"failures": 1, "pause": 3600}}"#;
    let call = call_at(&urls, "first", breaker, &[("retries", 1)], "none");
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(1200) {
        right(&call);
    }
    assert_eq!((counts(&servers)[0], call.stats()["retries"].as_u64()), (1, Some(1)));
    servers[1].is(BUSY);
    assert_eq!(run(&call).unwrap_err().problem.status, Some(503));
    assert_eq!(run(&call).unwrap_err().problem.code, Code::Breaker);
}

#[test]
fn the_budget_counts_the_requests_to_all_of_them() {
    let servers = [Moody::http(), Moody::http()];
    servers[0].is(BUSY);
    let urls: Vec<_> = servers.iter().map(|server| server.url.as_str()).collect();
    let call = call_at(&urls, "first", r#", "policy": {"budget": {"calls": 1}}"#, &[("retries", 1)], "none");
    assert_eq!(run(&call).unwrap_err().problem.status, Some(503));
    assert_eq!(run(&call).unwrap_err().problem.code, Code::Budget);
    assert_eq!(counts(&servers), [1, 0]);
}

#[test]
fn a_policy_has_to_allow_each_of_them() {
    let servers = [Moody::http(), Moody::http()];
    let urls: Vec<_> = servers.iter().map(|server| server.url.as_str()).collect();
    let policy = format!(r#", "policy": {{"allow": ["{}"]}}"#, urls[0]);
    let call = call_at(&urls, "first", &policy, &[], "none");
    assert_eq!(run(&call).unwrap_err().problem.code, Code::Policy);
    assert_eq!(counts(&servers), [0, 0]);
}
