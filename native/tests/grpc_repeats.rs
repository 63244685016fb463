//! gRPC over real sockets: which requests are sent again, and on which connection.

mod h2_server;
mod node;
mod server;

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use h2_server::{After, Exchange, Server, headers};
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

#[test]
fn a_request_that_the_server_ends_is_not_sent_again() {
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::INADEQUATE_SECURITY] {
        let server = Server::start(move |mut exchange| {
            exchange.respond.send_reset(reason);
            After::Nothing
        });
        let failure = run(&call(&server.url, "{}", &[("retries", 2)], "none")).unwrap_err();
        assert_eq!((failure.problem.code, failure.attempts), (Code::CutShort, 1), "{failure}");
    }
}

#[test]
fn a_request_that_the_server_refuses_unseen_is_sent_again_on_the_same_connection() {
    for reason in [Reason::REFUSED_STREAM, Reason::ENHANCE_YOUR_CALM] {
        let server = Server::start(move |mut exchange| {
            if exchange.number % 2 == 0 {
                exchange.respond.send_reset(reason);
                return After::Nothing;
            }
            exchange.good()
        });
        let call = call(&server.url, "{}", &[("retries", 1)], "none");
        for _ in 0..3 {
            assert!(run(&call).is_ok());
        }
        assert_eq!((server.connections(), server.requests()), (1, 6));
    }
}

#[test]
fn a_server_that_refuses_without_end_is_asked_a_few_times_beyond_the_limit_of_retries() {
    for (retries, requests) in [(0, 9), (2, 11)] {
        let server = Server::start(|mut exchange| {
            exchange.respond.send_reset(Reason::REFUSED_STREAM);
            After::Nothing
        });
        let failure = run(&call(&server.url, "{}", &[("retries", retries)], "none")).unwrap_err();
        assert_eq!((failure.problem.code, failure.attempts), (Code::CutShort, requests), "{failure}");
        let budget = r#"{"policy": {"budget": {"calls": 2}}}"#;
        let failure = run(&call(&server.url, budget, &[("retries", retries)], "none")).unwrap_err();
        assert_eq!(failure.attempts, 2, "{failure}");
    }
}

#[test]
fn an_answer_that_is_broken_off_is_none() {
    let reset = failure(|mut exchange| {
        let mut stream = exchange.begin();
        stream.send_data(Bytes::from_static(b"\0\0\0\0\x09ab"), false).unwrap();
        stream.send_reset(Reason::INTERNAL_ERROR);
        After::Nothing
    });
    assert_eq!(reset.problem.code, Code::CutShort);
}

#[test]
fn a_connection_that_the_server_gave_up_is_replaced_by_a_counted_repeat() {
    for after in [|| After::Abort, || After::Close] {
        let server = Server::start(move |exchange| match exchange.number {
            1 => after(), // the second request gets no answer
            _ => exchange.good(),
        });
        let call = call(&server.url, "{}", &[], "none");
        assert!(run(&call).is_ok());
        assert!(run(&call).is_ok());
        assert_eq!((server.connections(), server.requests(), &call.stats()["retries"]), (2, 3, &1.into()));
    }
}

#[test]
fn a_connection_that_takes_no_more_requests_finishes_those_under_way() {
    let server = Server::start(|exchange| {
        exchange.good();
        After::GoAway
    });
    let call = call(&server.url, "{}", &[], "none");
    for _ in 0..4 {
        assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0]);
    }
    assert_eq!(server.requests(), 4);
}

#[test]
fn a_connection_lost_before_the_answer_is_tried_again() {
    for after in [|| After::Close, || After::Abort] {
        let server = Server::start(move |exchange| if exchange.number == 0 { after() } else { exchange.good() });
        assert!(run(&call(&server.url, "{}", &[("retries", 1)], "none")).is_ok());
        assert_eq!(server.connections(), 2);
    }
    assert_eq!(failure(|_| After::Close).problem.code, Code::CutShort);
}

#[test]
fn only_what_is_safe_is_tried_again() {
    for (status, pushback, requests) in
        [("14", "", 3), ("14", "1", 3), ("14", "-1", 1), ("8", "", 1), ("8", "1", 3), ("13", "", 1)]
    {
        let server = Server::start(move |mut exchange| {
            let mut trailers = headers(&[("grpc-status", status)]);
            if !pushback.is_empty() {
                trailers.insert("grpc-retry-pushback-ms", pushback.parse().unwrap());
            }
            exchange.begin().send_trailers(trailers).unwrap();
            After::Nothing
        });
        let failure = run(&call(&server.url, "{}", &[("retries", 2)], "none")).unwrap_err();
        assert_eq!((failure.problem.code, failure.attempts), (Code::Status, requests), "{status} {pushback}");
    }
}

#[test]
fn a_pause_past_the_deadline_is_not_begun() {
    let failure =
        failure(|exchange| exchange.refuse(200, &[("grpc-status", "14"), ("grpc-retry-pushback-ms", "60000")]));
    assert_eq!((failure.problem.code, failure.attempts), (Code::Status, 1));
}
