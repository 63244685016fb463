//! Answers: whatever a server says, outputs fit together, and do not depend on the pieces in which they came.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use onnxhybrid::element::ElementType;
use onnxhybrid::failure::Problem;
use onnxhybrid::node::Node;
use onnxhybrid::protocol::{Asked, table};
use onnxhybrid::run::bounds;
use onnxhybrid::tensor::{Chunks, OutputData, OutputTensor, element_count};
use onnxhybrid::transport::Response;

use crate::fields::pieces;

/// Bytes that outputs may take.
const ROOM: u64 = 16 << 20;

/// Bytes of a piece: a size that no element of a tensor has.
const PIECE: usize = 3;

/// An answer: a line with its status, lines with its headers, an empty line, its body.
pub fn answered(data: &[u8], piece: usize) -> Response {
    let end = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let mut lines = data[..end].split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| StatusCode::from_bytes(line).ok()).unwrap_or(StatusCode::OK);
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let mut body = Chunks::default();
    for part in pieces(data.get(end + 2..).unwrap_or_default(), piece) {
        body.push(Bytes::copy_from_slice(part));
    }
    Response { status, headers, body, ..Response::default() }
}

/// Reads the answer as `node` does, in one piece and in several.
pub fn check(node: &Node, data: &[u8]) {
    let whole = outcome(node, &answered(data, usize::MAX));
    if let Ok(outputs) = &whole {
        assert_eq!(outputs.len(), node.outputs.len());
        node.outputs.iter().zip(outputs).for_each(|(declared, output)| fits(declared.element, output));
    }
    assert_eq!(told(&outcome(node, &answered(data, PIECE))), told(&whole), "in pieces of {PIECE}");
}

/// Reads the answer as a model's description.
pub fn described(protocol: &str, data: &[u8]) {
    let describe = table::find(protocol).and_then(|spec| spec.describe.as_ref()).expect("a protocol that describes");
    let read = |piece| bounded(|| (describe.description)(&answered(data, piece)));
    let told = |read: Result<_, Problem>| read.map_err(|problem| problem.code);
    assert_eq!(told(read(usize::MAX)), told(read(PIECE)));
}

fn outcome(node: &Node, response: &Response) -> Result<Vec<OutputTensor>, Problem> {
    let protocol = node.prepare()?;
    let asked = Asked { options: node.options.with(&[], &[])?, rows: 2 };
    protocol.check(response)?;
    bounded(|| protocol.outputs(response, &asked))
}

fn bounded<T>(read: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    let beyond = |beyond: bounds::Beyond| Problem::from(beyond);
    bounds::within(Instant::now() + Duration::from_secs(600), ROOM, read).unwrap_or_else(|end| Err(beyond(end)))
}

/// What was read, so that it can be compared.
fn told(outcome: &Result<Vec<OutputTensor>, Problem>) -> String {
    match outcome {
        Ok(outputs) => outputs
            .iter()
            .map(|output| format!("{:?} {:?} {:?};", output.element, output.shape, bytes(output)))
            .collect(),
        Err(problem) => format!("{:?}", problem.code),
    }
}

fn bytes(output: &OutputTensor) -> Vec<Vec<u8>> {
    match &output.data {
        OutputData::Raw(chunks) => vec![chunks.join().to_vec()],
        OutputData::Text(strings) => strings.iter().map(<[u8]>::to_vec).collect(),
    }
}

fn fits(element: ElementType, output: &OutputTensor) {
    assert_eq!(output.element, element);
    let count = element_count(&output.shape).expect("a shape that can be");
    match &output.data {
        OutputData::Text(strings) => {
            assert_eq!((strings.len(), element), (count, ElementType::String));
            assert!(strings.iter().all(|string| std::str::from_utf8(string).is_ok()));
        }
        OutputData::Raw(chunks) => {
            assert_eq!(chunks.len(), count * element.size());
            let truth = |byte: &u8| *byte < 2;
            assert!(element != ElementType::Bool || chunks.iter().flatten().all(truth));
        }
    }
}
