//! HTTP/1.1 over real sockets: large requests, answers in every framing, and answers that come early.

mod node;
mod server;

use std::io::Write;

use node::{call, run, values};
use onnxhybrid::element::ElementType;
use onnxhybrid::tensor::{InputData, InputTensor};
use server::{Server, answer, good, read};

/// An input of so many floats, whose bytes all differ from their neighbours'.
fn floats(bytes: &[u8]) -> InputTensor<'_> {
    let count = i64::try_from(bytes.len() / 4).unwrap();
    InputTensor { element: ElementType::Float32, shape: vec![count], data: InputData::Raw(bytes) }
}

fn bytes(floats: usize) -> Vec<u8> {
    (0..floats * 4).map(|index| (index % 251) as u8 & 0x3f).collect()
}

/// The answer with these bytes as the output.
fn binary(bytes: &[u8]) -> Vec<u8> {
    let (count, size) = (bytes.len() / 4, bytes.len());
    let header = format!(
        r#"{{"outputs":[{{"name":"y","datatype":"FP32","shape":[{count}],"parameters":{{"binary_data_size":{size}}}}}]}}"#
    );
    let headers = format!("inference-header-content-length: {}\r\n", header.len());
    answer("200 OK", &headers, &[header.as_bytes(), bytes].concat())
}

#[test]
fn a_large_tensor_goes_and_comes_back_as_it_was() {
    let sent = bytes(1 << 20);
    let server = Server::start(|mut stream, _| {
        while let Some(request) = read(&stream) {
            let tensor = request.body.len() - (4 << 20);
            stream.write_all(&binary(&request.body[tensor..])).unwrap();
        }
    });
    let call = call(&server.url, "{}", &[], "none");
    for _ in 0..3 {
        let outputs = call.run(None, &[floats(&sent)]).unwrap();
        assert!(values(&outputs).iter().flat_map(|float| float.to_ne_bytes()).eq(sent.iter().copied()));
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn interim_answers_chunks_and_trailers_are_one_answer() {
    let body = br#"{"outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1.5,-2]}]}"#;
    let server = Server::start(move |mut stream, _| {
        while read(&stream).is_some() {
            let (one, two) = body.split_at(17);
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n").unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
            for part in [one, two] {
                stream.write_all(format!("{:X};ext=1\r\n", part.len()).as_bytes()).unwrap();
                stream.write_all(part).unwrap();
                stream.write_all(b"\r\n").unwrap();
            }
            stream.write_all(b"0\r\ntrailer: 1\r\n\r\n").unwrap();
        }
    });
    let call = call(&server.url, "{}", &[], "none");
    for _ in 0..3 {
        assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0]);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn an_answer_that_ends_with_the_connection_is_whole() {
    let server = Server::start(|mut stream, _| {
        read(&stream);
        let text = String::from_utf8(good()).unwrap();
        let (_, rest) = text.split_once("content-length").unwrap();
        let (_, rest) = rest.split_once("\r\n").unwrap();
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{rest}").as_bytes()).unwrap();
    });
    assert_eq!(values(&run(&call(&server.url, "{}", &[], "none")).unwrap()), [1.5, -2.0]);
}

#[test]
fn an_answer_before_the_end_of_the_request_counts_and_ends_the_connection() {
    let sent = bytes(8 << 20);
    let server = Server::start(|mut stream, _| {
        stream.write_all(&answer("413 Payload Too Large", "", b"{\"error\": \"too large\"}")).unwrap();
        std::thread::park(); // and never reads
    });
    let call = call(&server.url, "{}", &[], "none");
    for _ in 0..2 {
        assert_eq!(call.run(None, &[floats(&sent)]).unwrap_err().problem.status, Some(413));
    }
    assert_eq!(server.connections(), 2);
}
