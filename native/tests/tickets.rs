//! Tickets over real sockets: good once, in one scope, and never left behind.

mod node;
mod server;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use node::{call, input, values};
use onnxhybrid::call::tickets::{Taken, Tickets};
use onnxhybrid::call::{Begun, Call};
use onnxhybrid::failure::Code;
use onnxhybrid::run::running;
use server::{Server, answer, good, read};

const LONG: (&str, i64) = ("timeout_ms", 60_000);

fn begin(call: &Arc<Call>) -> Begun {
    call.begin(None, &[input()])
}

fn taken(tickets: &Tickets, ticket: i64) -> Result<Begun, Code> {
    match tickets.take(ticket) {
        Ok(Taken::Begun(begun)) => Ok(begun),
        Ok(Taken::Late(_)) => Err(Code::Deadline),
        Err(problem) => Err(problem.code),
    }
}

/// A server that answers each connection's first request as soon as the test says so, or never.
fn held(asked: Sender<()>, go: Receiver<()>) -> Server {
    let (asked, go) = (Mutex::new(asked), Mutex::new(go));
    Server::start(move |mut stream, _| {
        read(&stream);
        let _ = asked.lock().unwrap().send(());
        if go.lock().unwrap().recv().is_ok() {
            let _ = stream.write_all(&good());
        }
    })
}

/// A server that never answers, and says when a client has gone.
fn silent() -> (Server, Receiver<()>) {
    let (gone, seen) = channel();
    let gone = Mutex::new(gone);
    let server = Server::start(move |stream, _| {
        read(&stream);
        assert!(read(&stream).is_none());
        let _ = gone.lock().unwrap().send(());
    });
    (server, seen)
}

#[test]
fn a_begun_call_is_under_way_before_it_is_awaited() {
    let ((asked, was_asked), (go, wait)) = (channel(), channel());
    let server = held(asked, wait);
    let call = Arc::new(call(&server.url, "{}", &[], "none"));
    let tickets = Arc::<Tickets>::default();
    let ticket = tickets.add(begin(&call));
    was_asked.recv().unwrap();
    go.send(()).unwrap();
    assert_eq!(values(&taken(&tickets, ticket).unwrap().finish().unwrap()), [1.5, -2.0]);
    assert_eq!(taken(&tickets, ticket).err(), Some(Code::Ticket));
    assert_eq!(tickets.open(), 0);
}

#[test]
fn of_many_threads_one_gets_the_ticket() {
    let server = Server::start(|mut stream, _| {
        read(&stream);
        let _ = stream.write_all(&good());
    });
    let call = Arc::new(call(&server.url, "{}", &[], "none"));
    let (tickets, got) = (Arc::<Tickets>::default(), AtomicUsize::new(0));
    let ticket = tickets.add(begin(&call));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| match taken(&tickets, ticket) {
                Ok(begun) => {
                    assert!(begun.finish().is_ok());
                    got.fetch_add(1, Ordering::SeqCst);
                }
                Err(code) => assert_eq!(code, Code::Ticket),
            });
        }
    });
    assert_eq!(got.into_inner(), 1);
}

#[test]
fn tickets_are_positive_and_those_of_two_scopes_differ() {
    let (server, _) = silent();
    let call = Arc::new(call(&server.url, "{}", &[LONG], "none"));
    let (one, other) = (Arc::<Tickets>::default(), Arc::<Tickets>::default());
    for _ in 0..20 {
        let ticket = one.add(begin(&call));
        other.add(begin(&call));
        assert!(ticket > 0);
        assert_eq!(taken(&other, ticket).err(), Some(Code::Ticket));
    }
    one.abandon_all(&call);
    other.abandon_all(&call);
    assert_eq!((one.open(), other.open()), (0, 0));
}

#[test]
fn a_run_drops_its_tickets_when_it_is_left() {
    let (server, gone) = silent();
    let call = Arc::new(call(&server.url, "{}", &[LONG], "none"));
    let tickets = Arc::<Tickets>::default();
    running::enter(0, None, 0);
    let ticket = tickets.add(begin(&call));
    while server.connections() == 0 {
        thread::yield_now();
    }
    running::leave(0);
    assert_eq!(taken(&tickets, ticket).err(), Some(Code::Ticket));
    gone.recv_timeout(Duration::from_secs(20)).unwrap();
}

#[test]
fn without_a_run_a_ticket_lasts_until_its_deadline() {
    let (server, gone) = silent();
    let call = Arc::new(call(&server.url, "{}", &[("timeout_ms", 100)], "none"));
    let tickets = Arc::<Tickets>::default();
    let ticket = tickets.add(begin(&call));
    gone.recv_timeout(Duration::from_secs(20)).unwrap();
    while tickets.open() > 0 {
        thread::yield_now();
    }
    assert_eq!(taken(&tickets, ticket).err(), Some(Code::Deadline));
    assert_eq!(taken(&tickets, ticket).err(), Some(Code::Ticket));
}

#[test]
fn a_cancelled_run_ends_the_wait_for_a_ticket() {
    let (server, gone) = silent();
    let call = Arc::new(call(&server.url, "{}", &[LONG], "none"));
    let run = running::create();
    let waiting = thread::spawn(move || {
        running::enter(run, None, 0);
        let outcome = begin(&call).finish();
        running::leave(0);
        outcome.unwrap_err().problem.code
    });
    while server.connections() == 0 {
        thread::yield_now();
    }
    running::cancel(run);
    assert_eq!(waiting.join().unwrap(), Code::Cancelled);
    gone.recv_timeout(Duration::from_secs(20)).unwrap();
}

#[test]
fn a_call_that_is_over_says_so() {
    let server = Server::start(|mut stream, _| {
        read(&stream);
        let _ = stream.write_all(&answer("403 Forbidden", "", b""));
    });
    let begun = begin(&Arc::new(call(&server.url, "{}", &[], "none")));
    while !begun.is_over() {
        thread::yield_now();
    }
    assert_eq!(begun.finish().unwrap_err().problem.code, Code::Status);
}
