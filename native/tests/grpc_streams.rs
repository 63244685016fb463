//! How many requests a server takes at once on a connection: none fails for that, whenever the server says so.

mod h2_frames;
mod h2_server;
mod node;

use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use h2_frames::{Connection, ENHANCE_YOUR_CALM, PING, REFUSED_STREAM, SETTINGS, Server};
use h2_server::good;
use node::{call, run, values};
use onnxhybrid::call::Call;
use onnxhybrid::failure::{Code, Failure};
use onnxhybrid::session::scope::Scope;

/// The outcomes of this many calls at once.
fn burst(call: &Call, count: usize) -> Vec<Result<(), Failure>> {
    let start = Barrier::new(count);
    thread::scope(|scope| {
        let work = || {
            start.wait();
            run(call).map(|outputs| assert_eq!(values(&outputs), [1.5, -2.0]))
        };
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn assert_all_good(outcomes: &[Result<(), Failure>]) {
    let failures: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(failures.is_empty(), "{} of {}: {}", failures.len(), outcomes.len(), failures[0]);
}

/// Answers one request at a time. Those that are there at the same time are refused, as by a server that says how many
/// it takes.
fn one_at_a_time(mut connection: Connection) {
    while let Some(stream) = connection.request() {
        connection.send(PING, 0, 0, &[0; 8]);
        connection.acknowledged(PING); // by then everything came that was sent before the answer
        while connection.untaken() > 0 {
            let refused = connection.request().unwrap();
            connection.reset(refused, ENHANCE_YOUR_CALM);
        }
        connection.answer(stream, &good());
    }
}

#[test]
fn a_burst_on_a_new_connection_waits_to_be_told_how_many_requests_the_server_takes() {
    let server = Server::start(|mut connection, _| {
        connection.begin();
        let first = connection.request().unwrap();
        connection.send(PING, 0, 0, &[0; 8]);
        connection.acknowledged(PING);
        connection.limit(1);
        connection.acknowledged(SETTINGS);
        while connection.untaken() > 0 {
            let early = connection.request().unwrap();
            connection.reset(early, ENHANCE_YOUR_CALM);
        }
        connection.answer(first, &good());
        one_at_a_time(connection);
    });
    assert_all_good(&burst(&call(&server.url, "{}", &[("retries", 0)], "none"), 24));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_that_names_no_limit_gets_the_burst_at_once() {
    const COUNT: usize = 16;
    let server = Server::start(|mut connection, _| {
        connection.begin();
        connection.send(SETTINGS, 0, 0, &[]);
        // None is answered before all are there.
        let streams: Vec<_> = (0..COUNT).map(|_| connection.request().unwrap()).collect();
        streams.into_iter().for_each(|stream| connection.answer(stream, &good()));
        while connection.next().is_some() {}
    });
    assert_all_good(&burst(&call(&server.url, "{}", &[("retries", 0)], "none"), COUNT));
}

#[test]
fn a_limit_that_is_lowered_later_holds_for_the_requests_that_come_then() {
    const COUNT: usize = 8;
    let server = Server::start(|mut connection, _| {
        connection.begin();
        connection.limit(100);
        let streams: Vec<_> = (0..COUNT).map(|_| connection.request().unwrap()).collect();
        connection.limit(1);
        connection.acknowledged(SETTINGS);
        streams.into_iter().for_each(|stream| connection.answer(stream, &good()));
        one_at_a_time(connection);
    });
    let call = call(&server.url, "{}", &[("retries", 0)], "none");
    assert_all_good(&burst(&call, COUNT));
    assert_all_good(&burst(&call, COUNT));
    assert_eq!(server.connections(), 1);
}

#[test]
fn requests_that_were_under_way_when_the_limit_fell_are_refused_unread_and_sent_again() {
    const COUNT: usize = 8;
    for reason in [REFUSED_STREAM, ENHANCE_YOUR_CALM] {
        let server = Server::start(move |mut connection, _| {
            connection.begin();
            connection.limit(100);
            let streams: Vec<_> = (0..COUNT).map(|_| connection.request().unwrap()).collect();
            connection.limit(1);
            streams[1..].iter().for_each(|stream| connection.reset(*stream, reason));
            connection.answer(streams[0], &good());
            one_at_a_time(connection);
        });
        let call = call(&server.url, "{}", &[("retries", 0)], "none");
        assert_all_good(&burst(&call, COUNT));
        assert_eq!((server.connections(), &call.stats()["retries"]), (1, &(COUNT - 1).into()));
    }
}

#[test]
fn where_the_server_takes_none_for_a_while_calls_wait() {
    let (halted, halt) = mpsc::channel();
    let (go, resume) = mpsc::channel::<()>();
    let resume = Mutex::new(resume);
    let server = Server::start(move |mut connection, _| {
        connection.begin();
        connection.limit(4);
        let first = connection.request().unwrap();
        connection.limit(0);
        connection.acknowledged(SETTINGS);
        connection.answer(first, &good());
        halted.send(()).unwrap();
        resume.lock().unwrap().recv().unwrap();
        connection.send(PING, 0, 0, &[0; 8]);
        connection.acknowledged(PING);
        assert_eq!(connection.untaken(), 0, "a request came, though none is taken");
        connection.limit(1);
        one_at_a_time(connection);
    });
    let patient = call(&server.url, "{}", &[("retries", 0)], "none");
    assert!(run(&patient).is_ok());
    halt.recv().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| burst(&patient, 4));
        go.send(()).unwrap();
        assert_all_good(&waiting.join().unwrap());
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_call_whose_turn_does_not_come_ends_at_its_deadline_and_leaves_its_place_to_others() {
    let (came, taken) = mpsc::channel();
    let (given_up, others) = mpsc::channel::<()>();
    let others = Mutex::new(others);
    let server = Server::start(move |mut connection, _| {
        connection.begin();
        connection.limit(1);
        let first = connection.request().unwrap();
        came.send(()).unwrap();
        others.lock().unwrap().recv().unwrap();
        connection.answer(first, &good());
        one_at_a_time(connection);
    });
    let scope = Arc::new(Scope::default());
    let in_scope = |integers: &[_]| Call::new(node::node(&server.url, integers, "none"), scope.clone()).unwrap();
    let (patient, hasty) = (in_scope(&[("timeout_ms", 20_000)]), in_scope(&[("timeout_ms", 150), ("retries", 3)]));
    thread::scope(|threads| {
        let first = threads.spawn(|| run(&patient).is_ok());
        taken.recv().unwrap();
        for outcome in burst(&hasty, 6) {
            let failure = outcome.unwrap_err();
            assert_eq!((failure.problem.code, failure.attempts), (Code::Deadline, 1), "{failure}");
        }
        given_up.send(()).unwrap();
        assert!(first.join().unwrap());
    });
    assert_all_good(&burst(&patient, 6));
    assert_eq!(server.connections(), 1);
}

#[test]
fn what_a_server_takes_back_in_the_middle_of_a_burst_goes_to_another_connection() {
    const COUNT: usize = 8;
    let server = Server::start(|mut connection, number| {
        connection.begin();
        connection.limit(100);
        if number > 0 {
            while let Some(stream) = connection.request() {
                connection.answer(stream, &good());
            }
            return;
        }
        let streams: Vec<_> = (0..COUNT).map(|_| connection.request().unwrap()).collect();
        connection.go_away(streams[COUNT / 2 - 1]);
        streams[..COUNT / 2].iter().for_each(|stream| connection.answer(*stream, &good()));
        while connection.next().is_some() {}
    });
    let call = call(&server.url, "{}", &[("retries", 1)], "none");
    assert_all_good(&burst(&call, COUNT));
    assert_eq!((server.connections(), &call.stats()["retries"]), (2, &(COUNT / 2).into()));
}

#[test]
fn an_answer_that_has_begun_is_not_asked_for_again_whatever_breaks_it_off() {
    for reason in [REFUSED_STREAM, ENHANCE_YOUR_CALM] {
        let server = Server::start(move |mut connection, _| {
            connection.begin();
            connection.limit(1);
            while let Some(stream) = connection.request() {
                connection.head(stream);
                connection.reset(stream, reason);
            }
        });
        let failure = run(&call(&server.url, "{}", &[("retries", 2)], "none")).unwrap_err();
        assert_eq!((failure.problem.code, failure.attempts), (Code::CutShort, 1), "{failure}");
    }
}
