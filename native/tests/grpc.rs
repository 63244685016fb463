//! gRPC over real sockets: what a misbehaving server does ends in the right value or in its code.

mod h2_server;
mod node;
mod server;

use std::io::Write;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use h2_server::{After, Exchange, Server, framed, good, headers};
use node::{call, run, values};
use onnxhybrid::failure::{Code, Failure};

/// The failure of a call to a server that does this.
fn failure(serve: impl Fn(Exchange) -> After + Send + Sync + 'static) -> Failure {
    let server = Server::start(serve);
    let started = Instant::now();
    let failure = run(&call(&server.url, "{}", &[], "none")).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(4), "{failure}");
    failure
}

/// The code of a call to a server that answers with this body and the status OK.
fn code(body: &'static [u8]) -> Code {
    failure(move |exchange| exchange.answer(body, "0")).problem.code
}

#[test]
fn a_good_answer_is_its_values() {
    let server = Server::start(|exchange| {
        let request = &exchange.request;
        assert_eq!(request.uri().path(), "/inference.GRPCInferenceService/ModelInfer");
        for (name, value) in [("te", "trailers"), ("content-type", "application/grpc")] {
            assert_eq!(request.headers()[name], value);
        }
        let timeout = request.headers()["grpc-timeout"].to_str().unwrap();
        let micros: u64 = timeout.strip_suffix('u').unwrap().parse().unwrap();
        assert!((4_000_000..=5_000_000).contains(&micros));
        exchange.good()
    });
    let call = call(&server.url, "{}", &[], "none");
    for _ in 0..5 {
        assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0]);
    }
    assert_eq!((server.connections(), call.connections()), (1, 1));
}

#[test]
fn one_connection_carries_the_calls_of_all_threads_from_the_first_on() {
    let server = Server::start(Exchange::good);
    let call = call(&server.url, "{}", &[], "none");
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0])));
        }
    });
    assert_eq!((server.connections(), server.requests()), (1, 800));
}

#[test]
fn answers_may_come_in_any_order() {
    let held = Mutex::new(Vec::new());
    let server = Server::start(move |exchange| {
        let mut held = held.lock().unwrap();
        held.push(exchange);
        if held.len() == 8 {
            for exchange in held.drain(..).rev() {
                exchange.good();
            }
        }
        After::Nothing
    });
    let call = call(&server.url, "{}", &[], "none");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..100).for_each(|_| assert!(run(&call).is_ok())));
        }
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn calls_wait_where_the_server_takes_one_at_a_time() {
    let server = Server::with_streams(1, Exchange::good);
    let call = call(&server.url, "{}", &[], "none");
    assert!(run(&call).is_ok()); // from here on the server's limit is known
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..20).for_each(|_| assert!(run(&call).is_ok())));
        }
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_message_may_be_split_over_any_frames() {
    let server = Server::start(|mut exchange| {
        let mut stream = exchange.begin();
        for byte in good() {
            stream.send_data(Bytes::new(), false).unwrap();
            stream.send_data(Bytes::copy_from_slice(&[byte]), false).unwrap();
        }
        stream.send_trailers(headers(&[("grpc-status", "0")])).unwrap();
        After::Nothing
    });
    assert_eq!(values(&run(&call(&server.url, "{}", &[], "none")).unwrap()), [1.5, -2.0]);
}

#[test]
fn an_error_status_is_told_in_the_words_of_the_server() {
    let in_trailers = failure(|mut exchange| {
        let rows = [("grpc-status", "3"), ("grpc-message", "na%C3%AFve%0Atoken")];
        exchange.begin().send_trailers(headers(&rows)).unwrap();
        After::Nothing
    });
    assert_eq!((in_trailers.problem.code, in_trailers.problem.status), (Code::Status, Some(3)));
    assert_eq!(in_trailers.problem.message, "the server answered 3 INVALID_ARGUMENT: naïve\\ntoken");
    let alone = failure(|exchange| {
        exchange.refuse(200, &[("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "no m")])
    });
    assert_eq!(alone.problem.message, "the server answered 5 NOT_FOUND: no m");
    let after_a_message = failure(|exchange| exchange.answer(&good(), "13"));
    assert_eq!((after_a_message.problem.code, after_a_message.problem.status), (Code::Status, Some(13)));
}

#[test]
fn an_answer_without_a_status_at_its_end_is_none() {
    let silent = failure(|mut exchange| {
        exchange.begin().send_data(Bytes::from(good()), true).unwrap();
        After::Nothing
    });
    let early = failure(|mut exchange| {
        let head = http::Response::builder().header("grpc-status", "0").body(()).unwrap();
        exchange.respond.send_response(head, false).unwrap().send_data(Bytes::from(good()), true).unwrap();
        After::Nothing
    });
    let odd = failure(|exchange| exchange.answer(&good(), "zero"));
    for failure in [silent, early, odd] {
        assert_eq!((failure.problem.code, failure.problem.status), (Code::Answer, None), "{failure}");
    }
}

#[test]
fn an_answer_is_one_whole_message_that_is_not_compressed() {
    assert_eq!(code(b"\x01\0\0\0\x02ab"), Code::Answer);
    assert_eq!(code(b"\0\0\0\0\0\0\0\0\0\0"), Code::Answer);
    assert_eq!(code(b""), Code::Answer);
    assert_eq!(code(b"\0\0\0"), Code::CutShort);
    assert_eq!(code(b"\0\0\0\0\x09ab"), Code::CutShort);
    assert_eq!(code(b"\0\0\0\0\x02\xff\xff"), Code::Answer);
}

#[test]
fn a_message_that_is_announced_as_too_large_is_not_waited_for() {
    let failure = failure(|mut exchange| {
        let mut stream = exchange.begin();
        stream.send_data(Bytes::from_static(b"\0\xff\xff\xff\xff"), false).unwrap();
        std::mem::forget(stream); // and never goes on
        After::Nothing
    });
    assert_eq!(failure.problem.code, Code::TooLarge);
}

#[test]
fn an_answer_larger_than_allowed_is_not_read() {
    let server = Server::start(|exchange| exchange.answer(&framed(&[0; 200]), "0"));
    let failure = run(&call(&server.url, r#"{"policy": {"max_response_bytes": 100}}"#, &[], "none")).unwrap_err();
    assert_eq!(failure.problem.code, Code::TooLarge);
}

#[test]
fn other_content_is_no_answer() {
    let html = failure(|exchange| exchange.refuse(200, &[("content-type", "text/html"), ("grpc-status", "0")]));
    assert_eq!(html.problem.code, Code::Answer);
}

#[test]
fn an_http_status_is_told_as_the_grpc_status_that_it_stands_for() {
    for (http, grpc) in [(401, 16), (403, 7), (404, 12), (307, 2), (500, 2)] {
        let failure = failure(move |exchange| exchange.refuse(http, &[("content-type", "text/html")]));
        assert_eq!((failure.problem.code, failure.problem.status), (Code::Status, Some(grpc)), "{http}");
    }
}

#[test]
fn a_deadline_that_the_server_notices_is_a_deadline() {
    let failure = failure(|exchange| exchange.answer(b"", "4"));
    assert_eq!((failure.problem.code, failure.problem.status), (Code::Deadline, Some(4)));
}

#[test]
fn a_server_that_never_answers_ends_at_the_deadline_and_learns_of_it() {
    let (sender, receiver) = mpsc::channel();
    let server = Server::start(move |mut exchange| {
        let sender = sender.clone();
        tokio::spawn(async move {
            let reason = std::future::poll_fn(|context| exchange.respond.poll_reset(context)).await;
            sender.send(reason.unwrap()).unwrap();
        });
        After::Nothing
    });
    let call = call(&server.url, "{}", &[("timeout_ms", 200), ("retries", 5)], "none");
    let failure = run(&call).unwrap_err();
    assert_eq!((failure.problem.code, failure.attempts), (Code::Deadline, 1));
    assert_eq!(receiver.recv_timeout(Duration::from_secs(4)), Ok(Reason::CANCEL));
}

#[test]
fn a_call_that_ends_at_its_deadline_leaves_the_others_on_its_connection_alone() {
    let held = Mutex::new(Vec::new());
    let server = Server::start(move |exchange| {
        if exchange.number % 2 == 0 {
            held.lock().unwrap().push(exchange);
            return After::Nothing;
        }
        exchange.good()
    });
    let call = call(&server.url, "{}", &[("timeout_ms", 400)], "none");
    let outcomes: Vec<bool> = thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| run(&call).is_ok())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|good| **good).count(), 8);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_of_another_protocol_is_no_answer() {
    for (bytes, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..], Code::Answer),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", Code::Answer),
        (b"", Code::CutShort),
    ] {
        let server = server::Server::start(move |mut stream, _| {
            let _ = stream.write_all(bytes);
        });
        let url = server.url.replace("http://", "grpc://");
        let failure = run(&call(&url, "{}", &[], "none")).unwrap_err();
        assert!([expected, Code::CutShort].contains(&failure.problem.code), "{failure}");
    }
}

#[test]
fn a_dead_server_is_a_refused_connection() {
    let failure = run(&call("grpc://127.0.0.1:1", "{}", &[("retries", 2)], "none")).unwrap_err();
    assert_eq!((failure.problem.code, failure.attempts), (Code::Connect, 3));
}

#[test]
fn a_token_travels_in_its_header_and_shows_in_no_message() {
    let server = Server::start(|mut exchange| {
        let token = exchange.request.headers()["authorization"].clone();
        let mut trailers = headers(&[("grpc-status", "16")]);
        trailers.insert("grpc-message", token);
        exchange.begin().send_trailers(trailers).unwrap();
        After::Nothing
    });
    let config = r#"{"credentials": {"c": {"value": "s3cret"}}}"#;
    let failure = run(&call(&server.url, config, &[], "credential:c")).unwrap_err();
    assert_eq!(failure.problem.message, "the server answered 16 UNAUTHENTICATED: Bearer ***");
}

#[test]
fn what_the_policy_refuses_sends_nothing() {
    let server = Server::start(Exchange::good);
    let origin = server.url.replace("grpc://", "http://");
    for config in [
        r#"{"policy": {"deny": ["127.0.0.0/8"]}}"#.to_owned(),
        r#"{"policy": {"allow": ["example.com"]}}"#.to_owned(),
        format!(r#"{{"policy": {{"deny": ["{}"]}}}}"#, server.url),
        format!(r#"{{"policy": {{"deny": ["{origin}"]}}}}"#),
    ] {
        let failure = run(&call(&server.url, &config, &[], "none")).unwrap_err();
        assert_eq!((failure.problem.code, failure.attempts), (Code::Policy, 0), "{config}");
    }
    assert_eq!(server.connections(), 0);
}
