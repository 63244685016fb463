//! A gRPC server for one test: it answers each request with a function of its own, frame by frame, and counts.
#![allow(dead_code)] // each test binary uses a part

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use onnxhybrid::protocol::protobuf::{put_bytes, put_varint};
use tokio::net::{TcpListener, TcpStream};

pub struct Server {
    pub url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

/// What happens to the connection after a request was taken.
pub enum After {
    /// It goes on.
    Nothing,
    /// A GOAWAY: answers under way are finished, further requests are not taken.
    GoAway,
    /// A GOAWAY that takes back the request, too.
    Abort,
    /// It is closed without a word.
    Close,
}

/// A request, its number in the server, and the way to answer it.
pub struct Exchange {
    pub number: usize,
    pub request: Request<RecvStream>,
    pub respond: SendResponse<Bytes>,
}

impl Server {
    /// `serve` is called for each request.
    pub fn start(serve: impl Fn(Exchange) -> After + Send + Sync + 'static) -> Self {
        Self::with_streams(u32::MAX >> 1, serve)
    }

    /// A server that takes this many requests at once on a connection.
    pub fn with_streams(streams: u32, serve: impl Fn(Exchange) -> After + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("grpc://{}", listener.local_addr().unwrap());
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counters, serve) = ((connections.clone(), requests.clone()), Arc::new(serve));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    counters.0.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(connection(stream, streams, counters.1.clone(), serve.clone()));
                }
            });
        });
        Self { url, connections, requests }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn connection(
    stream: TcpStream,
    streams: u32,
    requests: Arc<AtomicUsize>,
    serve: Arc<impl Fn(Exchange) -> After + Send + Sync>,
) {
    let Ok(mut connection) = Builder::new().max_concurrent_streams(streams).handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let number = requests.fetch_add(1, Ordering::SeqCst);
        match serve(Exchange { number, request, respond }) {
            After::Nothing => {}
            After::GoAway => connection.graceful_shutdown(),
            After::Abort => connection.abrupt_shutdown(Reason::NO_ERROR),
            After::Close => return,
        }
    }
}

impl Exchange {
    /// Begins an answer of gRPC.
    pub fn begin(&mut self) -> SendStream<Bytes> {
        let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        self.respond.send_response(head, false).unwrap()
    }

    /// Answers with these bytes and a status.
    pub fn answer(mut self, body: &[u8], status: &'static str) -> After {
        let mut stream = self.begin();
        stream.send_data(Bytes::copy_from_slice(body), false).unwrap();
        stream.send_trailers(headers(&[("grpc-status", status)])).unwrap();
        After::Nothing
    }

    /// Answers with headers alone.
    pub fn refuse(mut self, status: u16, rows: &[(&'static str, &'static str)]) -> After {
        let mut head = Response::builder().status(status).body(()).unwrap();
        *head.headers_mut() = headers(rows);
        self.respond.send_response(head, true).unwrap();
        After::Nothing
    }

    /// Answers as the tests' node wants: output `y`, two floats.
    pub fn good(self) -> After {
        self.answer(&good(), "0")
    }
}

pub fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
    rows.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

/// `message` behind its prefix.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// The inference response that the tests' node wants: output `y`, two floats.
pub fn good() -> Vec<u8> {
    let (mut output, mut shape, mut message) = (Vec::new(), Vec::new(), Vec::new());
    put_varint(&mut shape, 2);
    for (number, bytes) in [(1, &b"y"[..]), (2, b"FP32"), (3, &shape)] {
        put_bytes(&mut output, number, bytes);
    }
    put_bytes(&mut message, 5, &output);
    put_bytes(&mut message, 6, &[1.5f32.to_le_bytes(), (-2f32).to_le_bytes()].concat());
    framed(&message)
}
