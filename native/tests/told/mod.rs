//! A server that does what a test tells it to with the next requests, over HTTP/1.1 or gRPC, and sees those given up.
#![allow(dead_code)] // each test binary uses a part

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::h2_server::{self, After};
use crate::server;

/// What a server does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    /// It answers after so many milliseconds.
    Answer(u64),
    /// It says after so many milliseconds that there is no such model.
    Refuse(u64),
    /// It says after so many milliseconds that it is busy.
    Busy(u64),
    /// It never answers.
    Hang,
    /// It closes the connection.
    Close,
}
use Does::{Answer, Busy, Close, Hang, Refuse};

/// What has happened at a server.
#[derive(Default)]
pub struct Seen {
    requests: AtomicUsize,
    /// Requests that the client gave up while they were worked on.
    given_up: AtomicUsize,
    next: Mutex<VecDeque<Does>>,
}

/// A server that does what it is told with the next requests, and answers all others at once.
pub struct Told {
    pub url: String,
    seen: Arc<Seen>,
    connections: Box<dyn Fn() -> usize>,
}

impl Seen {
    fn take(&self) -> Does {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.next.lock().unwrap().pop_front().unwrap_or(Answer(0))
    }

    /// Waits until the client gives up, at most so long; whether it did.
    fn is_given_up(&self, stream: &mut TcpStream, most: Duration) -> bool {
        stream.set_read_timeout(Some(most.max(Duration::from_micros(1)))).unwrap();
        let outcome = stream.read(&mut [0]);
        stream.set_read_timeout(None).unwrap();
        let waits = outcome.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        self.given_up.fetch_add(usize::from(!waits), Ordering::SeqCst);
        !waits
    }
}

impl Told {
    pub fn http() -> Self {
        let seen = Arc::<Seen>::default();
        let own = seen.clone();
        let server = server::Server::start(move |mut stream, _| {
            while server::read(&stream).is_some() {
                let (wait, answer) = match own.take() {
                    Answer(wait) => (wait, server::good()),
                    Refuse(wait) => (wait, server::answer("404 Not Found", "", b"")),
                    Busy(wait) => (wait, server::answer("503 Service Unavailable", "", b"")),
                    Hang => (60_000, Vec::new()),
                    Close => return drop(stream.shutdown(Shutdown::Both)),
                };
                if own.is_given_up(&mut stream, Duration::from_millis(wait)) || stream.write_all(&answer).is_err() {
                    return;
                }
            }
        });
        Self { url: server.url.clone(), seen, connections: Box::new(move || server.connections()) }
    }

    pub fn grpc() -> Self {
        let seen = Arc::<Seen>::default();
        let own = seen.clone();
        let server = h2_server::Server::start(move |mut exchange| {
            let own = own.clone();
            let (wait, status) = match own.take() {
                Close => return After::Close,
                Answer(wait) => (wait, 0),
                Refuse(wait) => (wait, 5),
                Busy(wait) => (wait, 14),
                Hang => (60_000, 0),
            };
            tokio::spawn(async move {
                let reset = std::future::poll_fn(|context| exchange.respond.poll_reset(context));
                if tokio::time::timeout(Duration::from_millis(wait), reset).await.is_ok_and(|reset| reset.is_ok()) {
                    own.given_up.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                match status {
                    0 => exchange.good(),
                    5 => exchange.answer(b"", "5"),
                    _ => exchange.answer(b"", "14"),
                };
            });
            After::Nothing
        });
        Self { url: server.url.clone(), seen, connections: Box::new(move || server.connections()) }
    }

    pub fn next(&self, does: &[Does]) {
        self.seen.next.lock().unwrap().extend(does);
    }

    pub fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        (self.connections)()
    }

    /// Waits until the client has given up so many requests.
    pub fn sees_given_up(&self, count: usize) {
        let started = Instant::now();
        while self.seen.given_up.load(Ordering::SeqCst) < count {
            assert!(started.elapsed() < Duration::from_secs(5), "the server sees no end of the request");
            thread::yield_now();
        }
        assert_eq!(self.seen.given_up.load(Ordering::SeqCst), count);
    }
}

pub const BOTH: [fn() -> Told; 2] = [Told::http, Told::grpc];
