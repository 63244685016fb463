//! Calls over real sockets: what a misbehaving server does ends in the right value or in its code.

mod node;
mod server;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use node::{call, run, values};
use onnxhybrid::element::ElementType;
use onnxhybrid::failure::{Code, Failure};
use onnxhybrid::tensor::{InputData, InputTensor};
use server::{Server, answer, good, read};

/// The failure of a call to a server that writes `bytes` after the first request and closes.
fn failure(bytes: Vec<u8>) -> Failure {
    let server = Server::start(move |mut stream, _| {
        read(&stream);
        let _ = stream.write_all(&bytes);
    });
    run(&call(&server.url, "{}", &[], "none")).unwrap_err()
}

#[test]
fn a_good_answer_is_its_values() {
    let server = Server::start(|mut stream, _| {
        while read(&stream).is_some() {
            stream.write_all(&good()).unwrap();
        }
    });
    let call = call(&server.url, "{}", &[], "none");
    for _ in 0..5 {
        assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0]);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_dead_server_is_a_refused_connection() {
    let failure = run(&call("http://127.0.0.1:1", "{}", &[("retries", 2)], "none")).unwrap_err();
    assert_eq!((failure.problem.code, failure.attempts), (Code::Connect, 3));
}

#[test]
fn an_unknown_name_is_a_refused_connection() {
    let failure = run(&call("http://nobody.invalid", "{}", &[], "none")).unwrap_err();
    assert_eq!(failure.problem.code, Code::Connect);
}

#[test]
fn a_server_that_never_answers_ends_at_the_deadline() {
    let server = Server::start(|stream, _| {
        read(&stream);
        thread::sleep(Duration::from_secs(60));
    });
    let started = Instant::now();
    let failure = run(&call(&server.url, "{}", &[("timeout_ms", 200), ("retries", 5)], "none")).unwrap_err();
    assert_eq!((failure.problem.code, failure.attempts), (Code::Deadline, 1));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_body_that_drips_ends_at_the_deadline() {
    let server = Server::start(|mut stream, _| {
        read(&stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let failure = run(&call(&server.url, "{}", &[("timeout_ms", 300)], "none")).unwrap_err();
    assert_eq!(failure.problem.code, Code::Deadline);
}

#[test]
fn a_body_cut_short_is_no_answer() {
    let whole = good();
    assert_eq!(failure(whole[..whole.len() - 10].to_vec()).problem.code, Code::CutShort);
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"out\r\n".to_vec();
    assert_eq!(failure(chunked).problem.code, Code::CutShort);
}

#[test]
fn a_connection_lost_before_the_answer_is_tried_again() {
    let server = Server::start(|mut stream, number| {
        read(&stream);
        if number > 0 {
            stream.write_all(&good()).unwrap();
        }
    });
    assert_eq!(run(&call(&server.url, "{}", &[], "none")).unwrap_err().problem.code, Code::CutShort);
    assert!(run(&call(&server.url, "{}", &[("retries", 1)], "none")).is_ok());
}

#[test]
fn a_kept_connection_that_the_server_closed_is_replaced() {
    let server = Server::start(|mut stream, _| {
        read(&stream);
        stream.write_all(&good()).unwrap();
    });
    let call = call(&server.url, "{}", &[], "none");
    for _ in 0..5 {
        assert!(run(&call).is_ok());
    }
    assert_eq!(server.connections(), 5);
}

#[test]
fn an_answer_larger_than_allowed_is_not_read() {
    let config = r#"{"policy": {"max_response_bytes": 100}}"#;
    let claimed = b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n".to_vec();
    let endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for head in [claimed, endless] {
        let server = Server::start(move |mut stream, _| {
            read(&stream);
            let _ = stream.write_all(&head);
            while stream.write_all(b"5\r\nabcde\r\n").is_ok() {}
        });
        let failure = run(&call(&server.url, config, &[], "none")).unwrap_err();
        assert_eq!((failure.problem.code, failure.problem.status), (Code::TooLarge, Some(200)));
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let target = Server::start(|mut stream, _| {
        let _ = stream.write_all(&good());
    });
    let location = format!("location: {}/v2/models/m/infer\r\n", target.url);
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        assert_eq!(failure(answer(status, &location, b"")).problem.code, Code::Status);
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn an_error_status_is_told_in_the_words_of_the_server() {
    let failure = failure(answer("401 Unauthorized", "", br#"{"error": "bad\ntoken"}"#));
    assert_eq!((failure.problem.code, failure.problem.status), (Code::Status, Some(401)));
    assert_eq!(failure.problem.message, "the server answered 401 Unauthorized: bad\\ntoken");
}

#[test]
fn success_is_200_alone() {
    for status in
        ["201 Created", "204 No Content", "206 Partial Content", "400 Bad Request", "500 Internal Server Error"]
    {
        let body: &[u8] = if status.starts_with("204") { b"" } else { br#"{"outputs":[]}"# };
        assert_eq!(failure(answer(status, "", body)).problem.code, Code::Status, "{status}");
    }
}

#[test]
fn other_content_is_no_answer() {
    assert_eq!(failure(answer("200 OK", "content-type: text/html\r\n", b"<html>")).problem.code, Code::Answer);
    assert_eq!(failure(answer("200 OK", "content-encoding: br\r\n", b"\x1f\x8b")).problem.code, Code::Answer);
    assert_eq!(failure(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()).problem.code, Code::Answer);
}

#[test]
fn an_output_of_another_size_than_the_input_is_refused() {
    let body = br#"{"outputs":[{"name":"y","datatype":"FP32","shape":[3],"data":[1,2,3]}]}"#;
    assert_eq!(failure(answer("200 OK", "", body)).problem.code, Code::OutputShape);
}

#[test]
fn a_busy_server_is_tried_again_as_often_as_allowed() {
    for status in [
        "408 Request Timeout",
        "429 Too Many Requests",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
    ] {
        let server = Server::start(move |mut stream, number| {
            read(&stream);
            let _ = stream.write_all(&if number < 2 { answer(status, "connection: close\r\n", b"") } else { good() });
        });
        let call = call(&server.url, "{}", &[("retries", 2)], "none");
        assert!(run(&call).is_ok(), "{status}");
        assert_eq!(server.connections(), 3);
    }
    assert_eq!(failure(answer("500 Internal Server Error", "", b"")).attempts, 1);
}

#[test]
fn a_pause_past_the_deadline_is_not_begun() {
    let server = Server::start(|mut stream, _| {
        read(&stream);
        let _ = stream.write_all(&answer("503 Service Unavailable", "retry-after: 60\r\n", b""));
    });
    let started = Instant::now();
    let failure = run(&call(&server.url, "{}", &[("retries", 2)], "none")).unwrap_err();
    assert_eq!((failure.problem.code, failure.attempts), (Code::Status, 1));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_token_travels_in_its_header_and_shows_in_no_message() {
    let server = Server::start(|mut stream, _| {
        let head = read(&stream).unwrap().head;
        let line = head.lines().find(|line| line.to_lowercase().starts_with("authorization")).unwrap().to_owned();
        let _ = stream.write_all(&answer("403 Forbidden", "", line.as_bytes()));
    });
    let config = r#"{"credentials": {"c": {"value": "s3cret"}}}"#;
    let failure = run(&call(&server.url, config, &[], "credential:c")).unwrap_err();
    assert!(failure.problem.message.ends_with("Bearer ***"), "{failure}");
}

#[test]
fn an_empty_token_is_no_header_and_a_malformed_one_sends_nothing() {
    let server = Server::start(|mut stream, _| {
        let head = read(&stream).unwrap().head.to_lowercase();
        let _ =
            stream.write_all(&if head.contains("authorization") { answer("400 Bad Request", "", b"") } else { good() });
    });
    let call = call(&server.url, "{}", &[], "input");
    let with_token = |tokens: &[&str]| {
        let token = InputTensor {
            element: ElementType::String,
            shape: vec![tokens.len() as i64],
            data: InputData::Text(tokens.iter().collect()),
        };
        call.run(
            Some(&token),
            &[InputTensor { element: ElementType::Float32, shape: vec![2], data: InputData::Raw(&[0; 8]) }],
        )
    };
    assert!(with_token(&[""]).is_ok());
    assert_eq!(with_token(&["t"]).unwrap_err().problem.status, Some(400));
    let before = server.connections();
    for tokens in [&["a\r\nx: y"][..], &["a\0"], &["é"], &["a", "b"], &[]] {
        assert_eq!(with_token(tokens).unwrap_err().problem.code, Code::CredentialMalformed, "{tokens:?}");
    }
    assert_eq!(server.connections(), before);
}

#[test]
fn what_the_policy_refuses_sends_nothing() {
    let server = Server::start(|_, _| {});
    for config in [
        r#"{"policy": {"deny": ["127.0.0.0/8"]}}"#,
        r#"{"policy": {"allow": ["example.com"]}}"#,
        r#"{"policy": {"allow": []}}"#,
    ] {
        let failure = run(&call(&server.url, config, &[], "none")).unwrap_err();
        assert_eq!((failure.problem.code, failure.attempts), (Code::Policy, 0), "{config}");
    }
    let by_name = server.url.replace("127.0.0.1", "localhost");
    let failure = run(&call(&by_name, r#"{"policy": {"deny": ["127.0.0.1"]}}"#, &[], "none")).unwrap_err();
    assert_eq!(failure.problem.code, Code::Policy);
    assert_eq!(server.connections(), 0);
}

#[test]
fn calls_wait_for_their_turn_where_the_policy_bounds_them() {
    let server = Server::start(|mut stream, _| {
        while read(&stream).is_some() {
            thread::sleep(Duration::from_millis(20));
            stream.write_all(&good()).unwrap();
        }
    });
    let call = call(&server.url, r#"{"policy": {"max_concurrency": 2}}"#, &[], "none");
    thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| run(&call).unwrap()))));
    assert!(server.connections() <= 2);
}

#[test]
fn any_number_of_threads_may_call_at_once() {
    let server = Server::start(|mut stream, _| {
        while read(&stream).is_some() {
            thread::sleep(Duration::from_millis(50));
            stream.write_all(&good()).unwrap();
        }
    });
    let call = call(&server.url, "{}", &[], "none");
    let started = Instant::now();
    thread::scope(|scope| {
        (0..32).for_each(|_| drop(scope.spawn(|| assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0]))))
    });
    assert!(started.elapsed() < Duration::from_secs(1));
}
