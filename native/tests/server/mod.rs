//! A server for one test: it answers each connection with a function of its own, and counts.
#![allow(dead_code)] // each test binary uses a part

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub struct Server {
    pub url: String,
    connections: Arc<AtomicUsize>,
}

/// A request as it came.
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Server {
    /// `serve` is called for each connection, with its number.
    pub fn start(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, serve) = (connections.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (number, serve) = (counter.fetch_add(1, Ordering::SeqCst), serve.clone());
                thread::spawn(move || serve(stream, number));
            }
        });
        Self { url, connections }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads one request, or `None` where the client closed.
pub fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Request { head, body })
}

/// An answer with a body and these further header lines.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The inference response that the tests' node wants: output `y`, two floats.
pub fn good() -> Vec<u8> {
    let body = br#"{"outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1.5,-2]}]}"#;
    answer("200 OK", "content-type: application/json\r\n", body)
}

/// The inference response that gives the request's floats back, as bytes.
pub fn echo(request: &Request) -> Vec<u8> {
    let header = request.head.lines().find_map(|line| line.strip_prefix("inference-header-content-length: "));
    let tensor = &request.body[header.unwrap().trim().parse().unwrap()..];
    let (size, count) = (tensor.len(), tensor.len() / 4);
    let output = format!(
        r#"{{"outputs":[{{"name":"y","datatype":"FP32","shape":[{count}],"parameters":{{"binary_data_size":{size}}}}}]}}"#
    );
    let headers =
        format!("content-type: application/octet-stream\r\ninference-header-content-length: {}\r\n", output.len());
    answer("200 OK", &headers, &[output.as_bytes(), tensor].concat())
}
