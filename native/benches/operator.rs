//! Where the operator's own time goes: `cargo bench`, or `python -m benchmarks.profile`, which shows ONNX Runtime's
//! share beside it.
//!
//! A line is the median time of one step, the time that its thread had a processor, and the bytes that it allocated as a share of the tensor's: a copy is 1.

#[path = "../tests/allocations/mod.rs"]
mod allocations;
#[path = "../tests/h2_frames/mod.rs"]
mod h2_frames;
#[path = "../tests/node/mod.rs"]
mod node;
#[path = "../tests/server/mod.rs"]
mod server;

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use allocations::counted;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use node::{call, floats, node};
use onnxhybrid::protocol::Asked;
use onnxhybrid::protocol::protobuf::{put_bytes, put_varint};
use onnxhybrid::transport::Response;
use server::{Server, echo, read};

fn main() {
    println!("{:<44} {:>12} {:>12} {:>14}", "step", "median", "processor", "copies");
    for (title, elements, times) in [("256 floats", 256, 5_000), ("4 MB of floats", 1 << 20, 100)] {
        let tensor = vec![1u8; 4 * elements];
        encode(title, &tensor, times);
        decode(title, &tensor, times);
        exchange(title, &tensor, times);
        exchange_over_grpc(title, &tensor, times);
    }
}

/// Inputs to the body of a request.
fn encode(title: &str, tensor: &[u8], times: usize) {
    for url in ["http://h", "grpc://h"] {
        let node = node(url, &[], "none");
        let protocol = node.prepare().unwrap();
        let (inputs, asked) = ([floats(tensor)], Asked { rows: tensor.len() / 4, ..Asked::default() });
        let step = format!("encode {title}, {}", node.protocol.name);
        measure(&step, tensor, times, || drop(black_box(protocol.request(&inputs, &asked).unwrap())));
    }
}

/// The body of an answer to outputs. They are copied once more, into ONNX Runtime's own memory.
fn decode(title: &str, tensor: &[u8], times: usize) {
    let node = node("http://h", &[], "none");
    let protocol = node.prepare().unwrap();
    let request = server::Request { head: "inference-header-content-length: 0\r\n".into(), body: tensor.to_vec() };
    let answer = echo(&request);
    let start = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let body = Bytes::from(answer).slice(start..);
    let header = HeaderValue::from(body.len() - tensor.len());
    let headers = HeaderMap::from_iter([("inference-header-content-length".parse().unwrap(), header)]);
    let response = Response { status: StatusCode::OK, headers, body: body.into(), ..Response::default() };
    let step = format!("decode {title}, {}", node.protocol.name);
    measure(&step, tensor, times, || drop(black_box(protocol.outputs(&response, &Asked::default()).unwrap())));
}

/// A whole call, and the same bytes over a bare socket: what is between the two is the operator's.
fn exchange(title: &str, tensor: &[u8], times: usize) {
    let seen = Arc::new(Mutex::new((Vec::new(), 0)));
    let kept = seen.clone();
    let server = Server::start(move |mut stream, _| {
        let mut answer = Vec::new();
        while let Some(request) = read(&stream) {
            if answer.is_empty() {
                answer = echo(&request);
                *kept.lock().unwrap() = ([request.head.as_bytes(), &request.body].concat(), answer.len());
            }
            stream.write_all(&answer).unwrap();
        }
    });
    let call = call(&server.url, "{}", &[], "none");
    measure(&format!("call {title}"), tensor, times, || drop(call.run(None, &[floats(tensor)]).unwrap()));
    let (request, length) = seen.lock().unwrap().clone();
    let mut socket = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut answer = vec![0; length];
    measure(&format!("the same bytes over a bare socket, {title}"), tensor, times, || {
        socket.write_all(&request).unwrap();
        socket.read_exact(&mut answer).unwrap();
    });
}

/// A whole call over gRPC, of a server that answers without a look at what it gets.
fn exchange_over_grpc(title: &str, tensor: &[u8], times: usize) {
    let mut shape = Vec::new();
    put_varint(&mut shape, tensor.len() as u64 / 4);
    let (mut output, mut message) = (Vec::new(), Vec::new());
    for (number, bytes) in [(1, &b"y"[..]), (2, b"FP32"), (3, &shape)] {
        put_bytes(&mut output, number, bytes);
    }
    put_bytes(&mut message, 5, &output);
    put_bytes(&mut message, 6, tensor);
    let answer = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    let server = h2_frames::Server::start(move |mut connection, _| {
        connection.begin();
        connection.open(1 << 30);
        while let Some(stream) = connection.request() {
            connection.answer(stream, &answer);
        }
    });
    let call = call(&server.url, "{}", &[], "none");
    measure(&format!("call {title}, triton.grpc"), tensor, times, || drop(call.run(None, &[floats(tensor)]).unwrap()));
}

fn measure(step: &str, tensor: &[u8], times: usize, mut work: impl FnMut()) {
    (0..times / 10 + 1).for_each(|_| work());
    let ((), allocated) = counted(&mut work);
    let before = on_processor();
    let mut taken: Vec<_> = (0..times)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    taken.sort_unstable();
    let (median, copies) = (taken[times / 2].as_nanos() as f64 / 1e3, allocated as f64 / tensor.len() as f64);
    let own = (on_processor() - before) as f64 / times as f64 / 1e3;
    let copies = if tensor.len() > 1 << 16 { format!("{copies:.2}") } else { String::new() };
    println!("{step:<44} {median:>9.1} µs {own:>9.1} µs {copies:>14}");
}

/// Nanoseconds that this thread had a processor so far; 0 where the system does not tell.
fn on_processor() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default()
}
