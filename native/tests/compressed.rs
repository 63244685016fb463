//! Answers that somebody compressed although nobody asked: over HTTP/1.1, and messages of gRPC.

mod h2_server;
mod node;
mod server;

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use node::{call, run, values};
use onnxhybrid::failure::{Code, Failure};
use server::{Server, read};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a bomb holds: far more than it has bytes.
fn zeros() -> Vec<u8> {
    vec![0; 4 << 20]
}

const JSON: &[u8] = br#"{"outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1.5,-2]}]}"#;

/// A server whose every answer is this.
fn http(status: &'static str, encoding: &str, body: &[u8]) -> Server {
    let headers = format!("content-type: application/json\r\n{encoding}");
    let answer = server::answer(status, &headers, body);
    Server::start(move |mut stream, _| while read(&stream).is_some() && stream.write_all(&answer).is_ok() {})
}

fn failure(server: &Server, config: &str) -> Failure {
    run(&call(&server.url, config, &[], "none")).unwrap_err()
}

#[test]
fn an_answer_that_a_gateway_compressed_is_read() {
    let halves = [gzip(&JSON[..9]), gzip(&JSON[9..])].concat();
    for (encoding, body) in [
        ("content-encoding: gzip\r\n", gzip(JSON)),
        ("content-encoding: x-gzip\r\n", halves),
        ("Content-Encoding: identity, GZIP\r\n", gzip(JSON)),
        ("content-encoding: identity\r\ncontent-encoding: gzip\r\n", gzip(JSON)),
        ("content-encoding: deflate\r\n", zlib(JSON)),
        ("content-encoding: deflate\r\n", deflate(JSON)),
        ("content-encoding: identity\r\n", JSON.to_vec()),
    ] {
        let call = call(&http("200 OK", encoding, &body).url, "{}", &[], "none");
        for _ in 0..2 {
            assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0], "{encoding}");
        }
        assert_eq!((call.connections(), call.stats()["bytes_in"].as_u64()), (1, Some(2 * body.len() as u64)));
    }
}

#[test]
fn a_compressed_answer_may_come_in_pieces_of_any_size() {
    let server = Server::start(|mut stream, _| {
        while read(&stream).is_some() {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-encoding: gzip\r\n\r\n";
            let chunks: Vec<u8> =
                gzip(JSON).iter().flat_map(|byte| [b'1', b'\r', b'\n', *byte, b'\r', b'\n']).collect();
            stream.write_all(&[head.as_bytes(), &chunks, b"0\r\n\r\n"].concat()).unwrap();
        }
    });
    assert_eq!(values(&run(&call(&server.url, "{}", &[], "none")).unwrap()), [1.5, -2.0]);
}

#[test]
fn every_request_says_that_answers_are_wanted_as_they_are() {
    let server = Server::start(|mut stream, _| {
        while let Some(request) = read(&stream) {
            let asked = request.head.to_lowercase().contains("\r\naccept-encoding: identity\r\n");
            stream.write_all(&if asked { server::good() } else { server::answer("406 No", "", b"") }).unwrap();
        }
    });
    run(&call(&server.url, "{}", &[], "none")).unwrap();
    let server = h2_server::Server::start(|exchange| {
        let accepted = exchange.request.headers().get("grpc-accept-encoding").map(|value| value.as_bytes().to_owned());
        if accepted.as_deref() == Some(b"identity, deflate, gzip") {
            exchange.good()
        } else {
            exchange.refuse(400, &[])
        }
    });
    run(&call(&server.url, "{}", &[], "none")).unwrap();
}

#[test]
fn a_bomb_is_refused_while_it_is_read() {
    let bomb = gzip(&zeros());
    for (encoding, body) in [("gzip", bomb), ("deflate", zlib(&zeros())), ("deflate", deflate(&zeros()))] {
        let server = http("200 OK", &format!("content-encoding: {encoding}\r\n"), &body);
        let failure = failure(&server, r#"{"policy": {"max_response_bytes": 1000000}}"#);
        assert_eq!((failure.problem.code, failure.problem.status), (Code::TooLarge, Some(200)), "{failure}");
    }
}

#[test]
fn the_deadline_holds_while_an_answer_is_decompressed() {
    let server = http("200 OK", "content-encoding: gzip\r\n", &gzip(&zeros()).repeat(60));
    let call = call(&server.url, "{}", &[("timeout_ms", 40)], "none");
    let started = Instant::now();
    assert_eq!(run(&call).unwrap_err().problem.code, Code::Deadline);
    assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
}

#[test]
fn what_is_damaged_or_encoded_in_another_way_is_no_answer() {
    let whole = gzip(JSON);
    let mut wrong = whole.clone();
    wrong[whole.len() - 6] ^= 1;
    for (encoding, body, code, word) in [
        ("gzip", [&whole[..], b"garbage"].concat(), Code::Answer, "gzip"),
        ("gzip", whole[..whole.len() - 3].to_vec(), Code::CutShort, "gzip"),
        ("gzip", wrong, Code::Answer, "gzip"),
        ("gzip", JSON.to_vec(), Code::Answer, "gzip"),
        ("deflate", whole.clone(), Code::Answer, "deflate"),
        ("br", JSON.to_vec(), Code::Answer, "encoded as br"),
        ("zstd", JSON.to_vec(), Code::Answer, "encoded as zstd"),
        ("gzip, br", whole.clone(), Code::Answer, "encoded as gzip, br"),
        ("gzip, gzip", gzip(&whole), Code::Answer, "encoded as gzip, gzip"),
    ] {
        let failure = failure(&http("200 OK", &format!("content-encoding: {encoding}\r\n"), &body), "{}");
        assert_eq!((failure.problem.code, failure.problem.status), (code, Some(200)), "{failure}");
        assert!(failure.problem.message.contains(word), "{failure}");
    }
}

#[test]
fn the_text_of_an_error_is_read_as_well_and_never_quoted_as_bytes() {
    let text = br#"{"error": "no such model"}"#;
    let told = |encoding: &str, body: &[u8]| {
        let server = http("404 Not Found", &format!("content-encoding: {encoding}\r\n"), body);
        failure(&server, "{}").problem.message
    };
    assert_eq!(told("gzip", &gzip(text)), "the server answered 404 Not Found: no such model");
    assert!(told("gzip", &gzip(&zeros())).starts_with("the server answered 404 Not Found: "));
    let unread = told("br", b"\x1b\x19\0\xf8");
    assert!(unread.contains("404 Not Found: the answer is encoded as br") && !unread.contains("x1b"), "{unread}");
    let server = h2_server::Server::start(|mut exchange| {
        let head = http::Response::builder().status(502).header("content-encoding", "gzip").body(()).unwrap();
        let mut stream = exchange.respond.send_response(head, false).unwrap();
        stream.send_data(gzip(b"upstream is gone").into(), true).unwrap();
        h2_server::After::Nothing
    });
    let failure = run(&call(&server.url, "{}", &[], "none")).unwrap_err();
    assert!(failure.problem.message.ends_with("upstream is gone"), "{failure}");
}

/// What a call gives whose server of gRPC compresses its message so.
fn grpc(encoding: &'static str, message: Vec<u8>, config: &str) -> Result<Vec<f32>, Failure> {
    let server = h2_server::Server::start(move |mut exchange| {
        let mut head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        if !encoding.is_empty() {
            head.headers_mut().insert("grpc-encoding", encoding.parse().unwrap());
        }
        let mut stream = exchange.respond.send_response(head, false).unwrap();
        stream.send_data(message.clone().into(), false).unwrap();
        stream.send_trailers(h2_server::headers(&[("grpc-status", "0")])).unwrap();
        h2_server::After::Nothing
    });
    run(&call(&server.url, config, &[], "none")).map(|outputs| values(&outputs))
}

/// A compressed message behind its prefix.
fn packed(message: &[u8]) -> Vec<u8> {
    let mut framed = h2_server::framed(message);
    framed[0] = 1;
    framed
}

#[test]
fn a_compressed_message_of_grpc_is_read() {
    let message = &h2_server::good()[5..];
    for (encoding, body) in [
        ("gzip", packed(&gzip(message))),
        ("deflate", packed(&zlib(message))),
        ("gzip", h2_server::good()),
        ("identity", h2_server::good()),
    ] {
        assert_eq!(grpc(encoding, body, "{}").unwrap(), [1.5, -2.0], "{encoding}");
    }
}

#[test]
fn a_message_of_grpc_that_cannot_be_read_is_told_by_its_encoding() {
    let good = &h2_server::good()[5..];
    let packed_good = packed(&gzip(good));
    for (encoding, body, code, word) in [
        ("snappy", packed(b"x"), Code::Answer, "as snappy"),
        ("zstd", packed(b"x"), Code::Answer, "as zstd"),
        ("identity", packed(good), Code::Answer, "as identity"),
        ("", packed_good.clone(), Code::Answer, "does not say how"),
        ("gzip", packed(good), Code::Answer, "gzip"),
        ("gzip", packed(&gzip(good)[..20]), Code::CutShort, "gzip"),
        ("gzip", packed_good[..packed_good.len() - 1].to_vec(), Code::CutShort, "ended early"),
        ("gzip", [&packed_good[..], b"x"].concat(), Code::Answer, "follow"),
        ("gzip", [&[2][..], &packed_good[1..]].concat(), Code::Answer, "first byte"),
    ] {
        let failure = grpc(encoding, body, "{}").unwrap_err();
        assert_eq!(failure.problem.code, code, "{failure}");
        assert!(failure.problem.message.contains(word), "{failure}");
    }
}

#[test]
fn a_bomb_in_a_message_of_grpc_is_refused_while_it_is_read() {
    for (encoding, body) in [("gzip", gzip(&zeros())), ("deflate", zlib(&zeros()))] {
        let failure = grpc(encoding, packed(&body), r#"{"policy": {"max_response_bytes": 1000000}}"#).unwrap_err();
        assert_eq!(failure.problem.code, Code::TooLarge, "{failure}");
    }
}
