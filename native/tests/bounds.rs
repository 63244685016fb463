//! What a server's answer can make a call take: no more time than the deadline, no more memory than the policy allows.

mod allocations;
mod h2_server;
mod node;
mod server;

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use allocations::held;
use bytes::Bytes;
use h2_server::framed;
use http::{HeaderMap, HeaderValue, StatusCode};
use node::{call, run, values};
use onnxhybrid::element::ElementType;
use onnxhybrid::failure::{Code, Problem};
use onnxhybrid::node::{Attributes, Node, Signature};
use onnxhybrid::protocol::Asked;
use onnxhybrid::run::bounds::{Beyond, within};
use onnxhybrid::tensor::OutputTensor;
use onnxhybrid::transport::Response;
use server::{Server, read};

/// Bytes of a body that is long.
const LONG: usize = 1 << 19;

/// A server that answers with these bytes, which say by themselves where they end.
fn serving(answer: Vec<u8>) -> Server {
    Server::start(move |mut stream, _| while read(&stream).is_some() && stream.write_all(&answer).is_ok() {})
}

fn chunked(kind: &str, chunks: &[&[u8]]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\n{kind}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in chunks {
        answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        answer.extend_from_slice(chunk);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}

#[test]
fn a_body_of_tiny_chunks_takes_little_more_memory_than_its_bytes() {
    let header = br#"{"outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1.5,-2]}]}"#;
    let whole: Vec<u8> = header.iter().copied().chain(vec![b' '; LONG / 4]).collect();
    let server = serving(chunked("content-type: application/json\r\n", &whole.chunks(1).collect::<Vec<_>>()));
    let call = call(&server.url, "{}", &[("timeout_ms", 60_000)], "none");
    let (outputs, most) = held(|| run(&call).unwrap());
    assert_eq!(values(&outputs), [1.5, -2.0]);
    assert!(most < 5 * whole.len(), "{most} bytes for {}", whole.len());
}

#[test]
fn many_outputs_in_many_pieces_are_read_in_one_pass() {
    const OTHERS: usize = 20_000;
    let other = r#"{"name":"","datatype":"","shape":[],"parameters":{"binary_data_size":1}}"#;
    let y = r#"{"name":"y","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}}"#;
    let header = format!(r#"{{"outputs":[{y},{}]}}"#, [other; OTHERS].join(","));
    let kind = format!("inference-header-content-length: {}\r\n", header.len());
    let tensors = [&1.5f32.to_le_bytes()[..], &(-2f32).to_le_bytes(), &[0; OTHERS]].concat();
    let pieces = std::iter::once(header.as_bytes()).chain(tensors.chunks(1)).collect::<Vec<_>>();
    let server = serving(chunked(&kind, &pieces));
    let (call, started) = (call(&server.url, "{}", &[("timeout_ms", 60_000)], "none"), Instant::now());
    assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0]);
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// What the tests' protocols are prepared for: input `x` to output `y`.
struct Fields(HashMap<&'static str, &'static str>);

impl Attributes for Fields {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|text| (*text).to_owned())
    }

    fn integer(&self, _: &str) -> Option<i64> {
        None
    }
}

/// A body, and how it comes.
struct Body {
    protocol: &'static str,
    element: ElementType,
    form: &'static str,
    bytes: Vec<u8>,
}

impl Body {
    fn json(protocol: &'static str, element: ElementType, text: String) -> Self {
        Self { protocol, element, form: "", bytes: text.into() }
    }

    /// What the body is read to.
    fn read(&self) -> Result<Vec<OutputTensor>, Problem> {
        let grpc = self.protocol.ends_with("grpc");
        let mut fields = Fields(HashMap::from([("protocol", self.protocol), ("model", "m"), ("form", self.form)]));
        fields.0.extend([("endpoint", if grpc { "grpc://h" } else { "http://h" }), ("auth", "none")]);
        fields.0.extend([("input_names", r#"["x"]"#), ("output_names", r#"["y"]"#)]);
        fields.0.extend([("input_shapes", "[[null]]"), ("output_shapes", "[[null]]")]);
        let signature = Signature { name: "n".into(), inputs: 1, outputs: vec![Some(self.element)] };
        let protocol = Node::parse(&fields, signature)?.prepare()?;
        let kind = HeaderValue::from_static(if grpc { "application/grpc" } else { "application/json" });
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, kind)]);
        let body = Bytes::copy_from_slice(&self.bytes).into();
        protocol.outputs(
            &Response { status: StatusCode::OK, headers, body, ..Response::default() },
            &Asked { rows: 1, ..Asked::default() },
        )
    }
}

fn kserve(datatype: &str, shape: usize, data: &str) -> String {
    format!(r#"{{"outputs":[{{"name":"y","datatype":"{datatype}","shape":[{shape}],"data":[{data}]}}]}}"#)
}

/// Answers of very many values.
fn many_values() -> Vec<Body> {
    use ElementType::{Float32, Int64, String as Text};
    let (count, zeros) = (LONG / 2, "0,".repeat(LONG / 2 - 1) + "0");
    let texts = r#""","#.repeat(count - 1) + r#""""#;
    let entries = r#""":0,"#.repeat(count);
    let fields = framed(&[0x78, 0].repeat(count));
    vec![
        Body::json("triton.http", Float32, kserve("FP32", count, &zeros)),
        Body::json("triton.http", Float32, kserve("FP32", count, &format!("[{zeros}]"))),
        Body::json("triton.http", Int64, kserve("INT64", count, &zeros)),
        Body::json("triton.http", Text, kserve("BYTES", count, &texts)),
        Body { protocol: "triton.grpc", element: Float32, form: "", bytes: fields },
        Body::json("azureml.score", Int64, format!(r#"{{"y":[{zeros}]}}"#)),
        Body::json("azureml.score", Int64, format!(r#"{{"y":[{}[]]}}"#, "[],".repeat(count))),
        Body::json("azureml.score", Int64, format!(r#"{{{entries}"y":[0]}}"#)),
        Body::json("openai.embeddings", Float32, format!(r#"{{"data":[{{"index":0,"embedding":[{zeros}]}}]}}"#)),
        Body::json("openai.chat", Text, format!(r#"{{"choices":[{}{{}}]}}"#, r#"{"message":{}},"#.repeat(count))),
        Body::json(
            "openai.chat",
            Text,
            format!(r#"{{"choices":[{{"message":{{"content":[{}{{}}]}}}}]}}"#, "{},".repeat(count)),
        ),
        Body::json("openai.responses", Text, format!(r#"{{"output":[{}{{}}]}}"#, r#"{"type":"a"},"#.repeat(count))),
    ]
}

/// Answers whose values nobody wants, or whose text is long.
fn others() -> Vec<Body> {
    use ElementType::{Float32, String as Text};
    let (zeros, objects) = ("0,".repeat(LONG / 2) + "0", "{},".repeat(LONG / 3) + "{}");
    let long = "A".repeat(LONG);
    let mut bodies = vec![
        Body::json("triton.http", Float32, kserve(&long, 1, "0")),
        Body::json("triton.http", Float32, format!(r#"{{"outputs":"{long}"}}"#)),
        Body::json("triton.http", Float32, format!(r#"{{"outputs":[{objects}]}}"#)),
        Body::json("triton.http", Float32, kserve("FP32", 1, "0").replace("[1]", &format!("[{zeros}]"))),
        Body::json("azureml.score", Float32, format!(r#"{{"{long}":0}}"#)),
    ];
    for (protocol, element) in [
        ("openai.chat", Text),
        ("openai.responses", Text),
        ("openai.audio", Text),
        ("openai.embeddings", Float32),
        ("azureml.score", Float32),
        ("legacy.text", Text),
    ] {
        for error in [format!("[{zeros}]"), format!("[{objects}]"), format!("\"{long}\"")] {
            bodies.push(Body::json(protocol, element, format!(r#"{{"error":{error}}}"#)));
            bodies.push(Body::json(protocol, element, format!(r#"{{"text":"","other":{error}}}"#)));
        }
    }
    bodies.push(Body {
        protocol: "openai.chat",
        element: Text,
        form: "raw",
        bytes: format!(r#"{{"a":[{zeros}]}}"#).into(),
    });
    bodies
}

#[test]
fn each_protocol_looks_at_the_deadline_while_it_reads() {
    for body in many_values() {
        let outcome = within(Instant::now(), u64::MAX, || body.read());
        assert!(matches!(outcome, Err(Beyond::Deadline)), "{}: {:?}", body.protocol, outcome.map(|read| read.is_ok()));
    }
}

#[test]
fn each_protocol_takes_no_more_memory_than_its_limit_and_a_few_times_the_body() {
    for body in many_values().into_iter().chain(others()) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let (outcome, most) = held(|| within(deadline, LONG as u64, || body.read()));
        let start = String::from_utf8_lossy(&body.bytes[..40]).into_owned();
        let times = most / body.bytes.len();
        assert!(times < 7, "{} {start}: {times} times, {:?}", body.protocol, outcome.map(|read| read.is_ok()));
    }
}

#[test]
fn a_call_ends_at_its_deadline_while_it_reads_and_by_its_limit() {
    const COUNT: usize = 4 << 20;
    let body = kserve("FP32", COUNT, &("0,".repeat(COUNT - 1) + "0"));
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let server = serving([head.into_bytes(), body.into_bytes()].concat());
    let config = format!(r#"{{"policy": {{"max_response_bytes": {}}}}}"#, 3 * COUNT);
    let failed =
        |config: &str, timeout| run(&call(&server.url, config, &[("timeout_ms", timeout)], "none")).unwrap_err();
    assert_eq!(failed(&config, 60_000).problem.code, Code::TooLarge);
    assert_eq!(failed("{}", 150).problem.code, Code::Deadline);
}
