//! A request in bytes as one in JSON: the same header, with each tensor's elements in it as a flat list.
//!
//! Source: the open inference protocol, `$tensor_data`. A list may be nested or flat; the flat one is what all servers
//! read, those that take strings apart included.

use std::borrow::Cow;
use std::collections::VecDeque;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::decode::HEADER_LENGTH;
use crate::element::ElementType;
use crate::failure::{Code, Problem};
use crate::protocol::{kserve, nested};
use crate::tensor::{InputData, InputTensor};
use crate::transport::{Body, Request};

/// The header's length, where a request is one in bytes.
pub(super) fn header_length(request: &Request) -> Option<usize> {
    request.headers.get(HEADER_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The request with its tensors as JSON; `Err` if one holds something that JSON cannot carry.
pub(super) fn to_json(request: &Request) -> Result<Request<'static>, Problem> {
    let mut pieces = Pieces(request.body.pieces().collect());
    let header = header_length(request).and_then(|length| pieces.take(length)).ok_or_else(broken)?;
    let mut header: Map<String, Value> = serde_json::from_slice(&header).map_err(|_| broken())?;
    let inputs = header.remove("inputs").unwrap_or_default();
    let mut body = b"{\"inputs\":[".to_vec();
    for (number, input) in inputs.as_array().into_iter().flatten().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        let input = input.as_object().ok_or_else(broken)?;
        write(&mut body, input.clone(), &mut pieces)?;
    }
    body.push(b']');
    without(header.get_mut("outputs"), "binary_data");
    for (name, value) in &header {
        body.push(b',');
        put(&mut body, &Value::from(name.as_str()));
        body.push(b':');
        put(&mut body, value);
    }
    body.push(b'}');
    let mut headers = request.headers.clone();
    headers.remove(HEADER_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Request { method: request.method.clone(), path: request.path.clone(), headers, body: Body::from(body) })
}

/// Writes an input with its data, which are the next of `pieces`.
fn write(body: &mut Vec<u8>, mut input: Map<String, Value>, pieces: &mut Pieces) -> Result<(), Problem> {
    let size = input.get("parameters").and_then(|parameters| parameters["binary_data_size"].as_u64());
    let bytes = size.and_then(|size| pieces.take(usize::try_from(size).ok()?)).ok_or_else(broken)?;
    let name = input.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let datatype = input.get("datatype").and_then(Value::as_str).and_then(kserve::element).ok_or_else(broken)?;
    without_one(&mut input, "binary_data_size");
    put(body, &Value::Object(input));
    body.pop(); // the brace at its end
    body.extend_from_slice(b",\"data\":");
    let told = |problem: Problem| {
        let message = format!("{}; here tensors travel as JSON, and with binary=True in bytes", problem.message);
        Problem { message, ..problem }
    };
    elements(body, &name, datatype, &bytes).map_err(told)?;
    body.push(b'}');
    Ok(())
}

/// Writes the elements of a tensor in the binary form as one flat list.
fn elements(body: &mut Vec<u8>, name: &str, element: ElementType, bytes: &[u8]) -> Result<(), Problem> {
    let native;
    let data = if element == ElementType::String {
        InputData::Text(kserve::binary::strings(bytes).collect())
    } else {
        native = kserve::little_endian(bytes, element.size());
        InputData::Raw(&native)
    };
    let count = match &data {
        InputData::Raw(bytes) => bytes.len() / element.size().max(1),
        InputData::Text(strings) => strings.starts.len(),
        InputData::Blob(_) => 1,
    };
    let shape = vec![i64::try_from(count).map_err(|_| broken())?];
    nested::write(body, name, &InputTensor { element, shape, data })
}

/// Removes a parameter from each of a list of tensors.
fn without(tensors: Option<&mut Value>, parameter: &str) {
    let tensors = tensors.and_then(Value::as_array_mut).into_iter().flatten();
    tensors.filter_map(Value::as_object_mut).for_each(|tensor| without_one(tensor, parameter));
}

/// Removes a parameter, and with the last of them their object.
fn without_one(tensor: &mut Map<String, Value>, parameter: &str) {
    let Some(parameters) = tensor.get_mut("parameters").and_then(Value::as_object_mut) else { return };
    parameters.remove(parameter);
    if parameters.is_empty() {
        tensor.remove("parameters");
    }
}

fn put(body: &mut Vec<u8>, value: &Value) {
    // Neither writing to a Vec nor a value that was read from JSON can fail.
    let _ = serde_json::to_writer(body, value);
}

fn broken() -> Problem {
    Problem::new(Code::Internal, "the request is not the one that this library makes")
}

/// What is left of a body in pieces.
struct Pieces<'a>(VecDeque<&'a [u8]>);

impl<'a> Pieces<'a> {
    /// The next `size` bytes; of a tensor that is lent its length may lie in another piece.
    fn take(&mut self, size: usize) -> Option<Cow<'a, [u8]>> {
        let mut taken = Cow::Borrowed(&[][..]);
        while taken.len() < size {
            let first = self.0.front_mut()?;
            let part = first.split_off(..first.len().min(size - taken.len()))?;
            if taken.is_empty() {
                taken = Cow::Borrowed(part);
            } else {
                taken.to_mut().extend_from_slice(part);
            }
            if first.is_empty() {
                self.0.pop_front();
            }
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests;
