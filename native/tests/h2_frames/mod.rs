//! A gRPC server for one test that writes and reads HTTP/2 frame by frame, so that it can do what no library does.
#![allow(dead_code)] // each test binary uses a part

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const PREFACE: usize = 24;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// Of DATA and HEADERS the end of the stream, of SETTINGS and PING the acknowledgement.
pub const LAST: u8 = 1;
const END_HEADERS: u8 = 4;

const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Bytes of data in a frame, which a client always takes.
const FRAME: usize = 16 << 10;

pub const REFUSED_STREAM: u32 = 7;
pub const ENHANCE_YOUR_CALM: u32 = 11;

pub struct Server {
    pub url: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// `serve` is called for each connection, with its number, on a thread of its own.
    pub fn start(serve: impl Fn(Connection, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("grpc://{}", listener.local_addr().unwrap());
        let (connections, serve) = (Arc::new(AtomicUsize::new(0)), Arc::new(serve));
        let counter = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (number, serve) = (counter.fetch_add(1, Ordering::SeqCst), serve.clone());
                let connection = Connection { stream: stream.unwrap(), told: Vec::new() };
                thread::spawn(move || serve(connection, number));
            }
        });
        Self { url, connections }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Whether it is the last of a request.
    fn ends_request(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & LAST != 0
    }
}

pub struct Connection {
    stream: TcpStream,
    /// Requests that came whole while something else was waited for.
    told: Vec<u32>,
}

impl Connection {
    /// Reads the client's preface.
    pub fn begin(&mut self) {
        let mut preface = [0; PREFACE];
        self.stream.read_exact(&mut preface).unwrap();
        assert!(preface.starts_with(b"PRI * HTTP/2.0"));
    }

    /// The next frame; `None` at the end of the connection. Of a SETTINGS the receipt is acknowledged.
    pub fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        if frame.kind == SETTINGS && frame.flags & LAST == 0 {
            self.send(SETTINGS, LAST, 0, &[]);
        }
        Some(frame)
    }

    /// The stream of the next request that came whole.
    pub fn request(&mut self) -> Option<u32> {
        if !self.told.is_empty() {
            return Some(self.told.remove(0));
        }
        loop {
            let frame = self.next()?;
            if frame.ends_request() {
                return Some(frame.stream);
            }
        }
    }

    /// Reads up to the acknowledgement of a SETTINGS or a PING. Requests that come meanwhile are kept.
    pub fn acknowledged(&mut self, kind: u8) {
        loop {
            let frame = self.next().unwrap();
            if frame.ends_request() {
                self.told.push(frame.stream);
            }
            if (frame.kind, frame.flags) == (kind, LAST) {
                return;
            }
        }
    }

    /// Requests that came whole and nobody asked for yet.
    pub fn untaken(&self) -> usize {
        self.told.len()
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        // Whether the client is still there is for the test to notice.
        let _ = self.stream.write_all(&frame(kind, flags, stream, payload));
    }

    /// Lets the client send this much without being asked for more, for as long as it lasts.
    pub fn open(&mut self, window: u32) {
        self.send(SETTINGS, 0, 0, &[&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window.to_be_bytes()].concat());
        self.send(WINDOW_UPDATE, 0, 0, &window.to_be_bytes());
    }

    /// Says how many requests are taken at once.
    pub fn limit(&mut self, streams: u32) {
        self.send(SETTINGS, 0, 0, &[&MAX_CONCURRENT_STREAMS.to_be_bytes()[..], &streams.to_be_bytes()].concat());
    }

    /// Answers with `message`, which is behind its prefix, and the status OK.
    pub fn answer(&mut self, stream: u32, message: &[u8]) {
        let mut frames = frame(HEADERS, END_HEADERS, stream, &head());
        for piece in message.chunks(FRAME) {
            frames.extend(frame(DATA, 0, stream, piece));
        }
        frames.extend(frame(HEADERS, LAST | END_HEADERS, stream, &literal("grpc-status", "0")));
        let _ = self.stream.write_all(&frames);
    }

    /// Begins an answer.
    pub fn head(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, &head());
    }

    pub fn reset(&mut self, stream: u32, reason: u32) {
        self.send(RESET, 0, stream, &reason.to_be_bytes());
    }

    /// Takes back all requests after that of the stream `last`.
    pub fn go_away(&mut self, last: u32) {
        self.send(GO_AWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat());
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of an answer of gRPC.
fn head() -> Vec<u8> {
    const STATUS_200: u8 = 0x88;
    [&[STATUS_200][..], &literal("content-type", "application/grpc")].concat()
}

/// A header as HPACK has it that indexes nothing.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}
