//! A node that keeps its answers, and servers that say what they were asked.
#![allow(dead_code)] // each test binary uses a part

use std::collections::HashMap;
use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use onnxhybrid::call::Call;
use onnxhybrid::failure::Failure;
use onnxhybrid::tensor::OutputTensor;

use crate::node::{call_that_keeps, floats};
use crate::server::{Request, Server, echo, read};

pub const ROWS: (&str, &str) = ("[[\"n\"]]", "[[\"n\"]]");
pub const WHOLE: (&str, &str) = ("[[\"n\"]]", "[[\"m\"]]");
pub const OPEN: (&str, &str) = ("[[null]]", "[[null]]");

/// What a server was asked.
#[derive(Clone, Default)]
pub struct Asked(Arc<Mutex<Vec<Vec<u32>>>>);

impl Asked {
    /// The floats of each request, as bits.
    pub fn requests(&self) -> Vec<Vec<u32>> {
        self.0.lock().unwrap().clone()
    }

    /// How often each float was asked for.
    pub fn counts(&self) -> HashMap<u32, usize> {
        let mut counts = HashMap::new();
        self.requests().into_iter().flatten().for_each(|bits| *counts.entry(bits).or_default() += 1);
        counts
    }

    fn add(&self, request: &Request) -> usize {
        let header = request.head.lines().find_map(|line| line.strip_prefix("inference-header-content-length: "));
        let tensor = &request.body[header.unwrap().trim().parse().unwrap()..];
        let bits = tensor.chunks(4).map(|bytes| u32::from_ne_bytes(bytes.try_into().unwrap())).collect();
        let mut asked = self.0.lock().unwrap();
        asked.push(bits);
        asked.len()
    }
}

/// A server that gives each float back, unless `behave` has an answer of its own to the request of this number.
pub fn server(behave: impl Fn(usize) -> Option<Vec<u8>> + Send + Sync + 'static) -> (Server, Asked) {
    let asked = Asked::default();
    let seen = asked.clone();
    let server = Server::start(move |mut stream, _| {
        while let Some(request) = read(&stream) {
            let number = seen.add(&request);
            if stream.write_all(&behave(number).unwrap_or_else(|| echo(&request))).is_err() {
                return;
            }
        }
    });
    (server, asked)
}

/// A server that says when it is asked, and answers each request when it is told to.
pub fn held() -> (Server, Asked, Receiver<()>, Sender<()>) {
    let ((say, was_asked), (go, wait)) = (channel(), channel());
    let (say, wait) = (Mutex::new(say), Mutex::new(wait));
    let (server, asked) = server(move |_| {
        let _ = say.lock().unwrap().send(());
        let _ = wait.lock().unwrap().recv();
        None
    });
    (server, asked, was_asked, go)
}

pub fn keeping(url: &str, shapes: (&str, &str)) -> Call {
    call_that_keeps(url, "{}", "{}", shapes, &[("timeout_ms", 20_000)], "none")
}

pub fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

pub fn run(call: &Call, numbers: &[f32]) -> Result<Vec<OutputTensor>, Failure> {
    call.run(None, &[floats(&bytes(numbers))])
}

pub fn hits(call: &Call) -> u64 {
    call.stats()["cache_hits"].as_u64().unwrap()
}

/// Spins until something is so, which it will be soon.
pub fn until(so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "it never came to be");
        thread::yield_now();
    }
}
