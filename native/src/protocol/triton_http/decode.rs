//! A response's body to outputs, each as binary data behind the JSON header or as JSON within it.

use std::borrow::Cow;

use http::HeaderName;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::{Code, Problem};
use crate::protocol::answer::check_content;
use crate::protocol::declared::DeclaredOutput;
use crate::protocol::kserve::output::{Checked, Head, Outputs, answer};
use crate::protocol::{kserve, nested};
use crate::tensor::{Chunks, OutputTensor};
use crate::transport::Response;

/// Where the JSON of a body ends and the binary tensors begin.
pub(super) const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    outputs: Vec<Output<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    shape: Vec<i128>,
    #[serde(default)]
    parameters: Option<Parameters>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    binary_data_size: Option<u64>,
}

/// The declared outputs, in their declared order. Others that the server adds are skipped.
pub(super) fn outputs(response: &Response, declared: &[DeclaredOutput]) -> Result<Vec<OutputTensor>, Problem> {
    check_content(response, &["application/octet-stream", "application/json"])?;
    let length = header_length(response)?;
    let header = response.body.slice(0, length).join();
    let header = std::str::from_utf8(&header).map_err(|_| answer("its JSON header is no UTF-8"))?;
    let header: Header =
        serde_json::from_str(header).map_err(|error| answer(format!("its JSON header is malformed: {error}")))?;
    let mut outputs = Outputs::new(declared);
    let mut binary = Binary { body: &response.body, at: length, length: response.body.len() };
    for output in header.outputs {
        let Output { name, datatype, shape, parameters, data: json } = output;
        let head = Head { name, datatype, shape };
        let data = binary.of(&head, parameters.and_then(|parameters| parameters.binary_data_size))?;
        let Some(index) = outputs.position(&head.name) else { continue };
        outputs.put(index, tensor(head.check(&declared[index])?, &declared[index], data, json)?)?;
    }
    binary.finish()?;
    outputs.finish()
}

fn tensor(
    output: Checked,
    declared: &DeclaredOutput,
    binary: Option<Chunks>,
    json: Option<&RawValue>,
) -> Result<OutputTensor, Problem> {
    match (binary, json.map(RawValue::get)) {
        (Some(binary), None) => output.binary(binary),
        (None, Some(json)) if is_nested(json) => output.same_shape(nested::read(json, declared)?),
        (None, Some(json)) => {
            let elements = kserve::json_data::read(json, output.element)
                .map_err(|error| answer(format!("the data of output \"{}\" are malformed: {error}", output.title())))?;
            output.elements(elements)
        }
        (Some(_), Some(_)) => Err(answer(format!("output \"{}\" came twice, in bytes and in JSON", output.title()))),
        (None, None) => Err(answer(format!("output \"{}\" has no data", output.title()))),
    }
}

/// Whether a JSON value begins with a list in a list.
fn is_nested(json: &str) -> bool {
    json.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('['))
}

/// Where the JSON ends: at the end of the body unless a header says otherwise.
fn header_length(response: &Response) -> Result<usize, Problem> {
    let total = response.body.len();
    let Some(value) = response.headers.get(HEADER_LENGTH) else { return Ok(total) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let length: usize = length.ok_or_else(|| answer(format!("{HEADER_LENGTH} is no number")))?;
    if length > total {
        return Err(Problem::new(
            Code::CutShort,
            format!("the answer ended early: {total} bytes of a header of {length}"),
        ));
    }
    Ok(length)
}

/// The bytes behind the JSON header, handed out in the header's order.
struct Binary<'a> {
    body: &'a Chunks,
    at: usize,
    length: usize,
}

impl Binary<'_> {
    /// The output's own bytes; `None` if its data are JSON.
    fn of(&mut self, output: &Head, size: Option<u64>) -> Result<Option<Chunks>, Problem> {
        let Some(size) = size else { return Ok(None) };
        let left = self.length - self.at;
        let Some(size) = usize::try_from(size).ok().filter(|size| *size <= left) else {
            let message =
                format!("the answer ended early: {left} bytes are left of the {size} of output \"{}\"", output.title());
            return Err(Problem::new(Code::CutShort, message));
        };
        let data = self.body.slice(self.at, size);
        self.at += size;
        Ok(Some(data))
    }

    fn finish(self) -> Result<(), Problem> {
        match self.length - self.at {
            0 => Ok(()),
            more => Err(answer(format!("{more} bytes follow the last output"))),
        }
    }
}

#[cfg(test)]
mod tests;
