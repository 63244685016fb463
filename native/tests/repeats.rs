//! What becomes of a request under which a kept connection dies.

mod node;
mod server;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use node::{call, run};
use onnxhybrid::failure::Code;
use server::{Server, good, read};

/// A server that answers the first request of a connection, and ends the second with these bytes.
fn dying(last: &'static [u8]) -> (Server, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    let server = Server::start(move |mut stream, _| {
        for answer in [good().as_slice(), last] {
            if read(&stream).is_some() {
                counter.fetch_add(1, Ordering::SeqCst);
                stream.write_all(answer).unwrap();
            }
        }
    });
    (server, requests)
}

#[test]
fn a_request_under_which_a_kept_connection_dies_is_repeated_on_a_new_one_and_counted() {
    let (server, counter) = dying(b"");
    let call = call(&server.url, "{}", &[], "none");
    for _ in 0..4 {
        assert!(run(&call).is_ok());
    }
    let requests = counter.load(Ordering::SeqCst);
    assert_eq!((server.connections(), requests), (4, 4 + 3));
    assert_eq!(call.stats()["retries"], 3);
}

#[test]
fn a_kept_connection_is_replaced_once_beyond_the_retries() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    let server = Server::start(move |mut stream, _| {
        while read(&stream).is_some() && counter.fetch_add(1, Ordering::SeqCst) == 0 {
            stream.write_all(&good()).unwrap();
        }
    });
    for (retries, attempts) in [(0, 2), (2, 4)] {
        requests.store(0, Ordering::SeqCst);
        let call = call(&server.url, "{}", &[("retries", retries)], "none");
        assert!(run(&call).is_ok());
        let failure = run(&call).unwrap_err();
        assert_eq!((failure.problem.code, failure.attempts), (Code::CutShort, attempts));
        assert_eq!(requests.load(Ordering::SeqCst), 1 + attempts as usize);
    }
}

#[test]
fn a_repeat_on_a_new_connection_is_paid_from_the_budget() {
    let (server, counter) = dying(b"");
    let call = call(&server.url, r#"{"policy": {"budget": {"calls": 4}}}"#, &[], "none");
    let codes: Vec<_> = (0..4).map(|_| run(&call).err().map(|failure| failure.problem.code)).collect();
    // 1 request, then 2; the fourth finds the connection dead, and its repeat is over the budget.
    assert_eq!(codes, [None, None, Some(Code::CutShort), Some(Code::Budget)]);
    assert_eq!(counter.load(Ordering::SeqCst), 4);
}

#[test]
fn a_request_whose_answer_began_is_never_sent_again() {
    for begun in [&b"H"[..], b"HTTP/1.1 2", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-le"] {
        let (server, counter) = dying(begun);
        let call = call(&server.url, "{}", &[("retries", 5)], "none");
        assert!(run(&call).is_ok());
        let failure = run(&call).unwrap_err();
        assert_eq!((failure.problem.code, failure.attempts), (Code::CutShort, 1), "{failure}");
        assert_eq!(counter.load(Ordering::SeqCst), 2);
    }
}
