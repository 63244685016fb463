//! A response's body to outputs, each as binary data behind the JSON header or as JSON within it.

use std::borrow::Cow;

use http::HeaderName;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::{Code, Problem};
use crate::protocol::answer::{check_text, failed};
use crate::protocol::declared::DeclaredOutput;
use crate::protocol::json::{First, List, Object};
use crate::protocol::kserve::output::{Checked, Head, MAX_RANK, Outputs, answer};
use crate::protocol::protobuf::Cursor;
use crate::protocol::{kserve, nested, told};
use crate::run::bounds;
use crate::tensor::{Chunks, OutputTensor};
use crate::transport::Response;

/// As many dimensions as a tensor may have, and one that shows that there are too many.
type Shape = First<i128, { MAX_RANK + 1 }>;

/// Where the JSON of a body ends and the binary tensors begin.
pub(super) const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    outputs: List<Object<Output<'a>>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    shape: Shape,
    #[serde(default)]
    parameters: Option<Object<Parameters>>,
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
    check_text(response)?;
    let length = header_length(response)?;
    let mut body = Cursor::new(&response.body);
    let header = body.take(length).unwrap_or(body).to_text().map_err(|_| answer("its JSON header is no UTF-8"))?;
    let header = parsed(&header)?;
    let mut outputs = Outputs::new(declared);
    for Object(output) in header.outputs.0 {
        bounds::step()?;
        let Output { name, datatype, shape: First(shape), parameters, data: json } = output;
        let head = Head { name, datatype, shape };
        let data = binary(&mut body, &head, parameters.and_then(|Object(parameters)| parameters.binary_data_size))?;
        let Some(index) = outputs.position(&head.name) else { continue };
        let data = data.map(Cursor::to_chunks);
        outputs.put(index, tensor(head.check(&declared[index])?, &declared[index], data, json)?)?;
    }
    match body.len() {
        0 => outputs.finish(),
        more => Err(answer(format!("{more} bytes follow the last output"))),
    }
}

/// The header in `text`, unless it says of itself that the server failed.
fn parsed(text: &str) -> Result<Header<'_>, Problem> {
    let read = serde_json::from_str::<Object<Header>>(text);
    // A second reading is worth its time only where there may be something to find.
    let reported = (read.is_err() || text.contains("error")).then(|| told::failure(text, "outputs")).flatten();
    match (reported, read) {
        (Some(reported), _) => Err(failed(reported)),
        (None, Ok(Object(header))) => Ok(header),
        (None, Err(error)) => Err(malformed(text, &error)),
    }
}

/// The problem of a header that is no JSON. Triton writes numbers into it that JSON has no form for.
fn malformed(header: &str, error: &serde_json::Error) -> Problem {
    let is_infinite = ["NaN", "Infinity"].iter().any(|word| header.contains(word));
    let hint = if is_infinite { "; NaN and infinities have no form in JSON, and come with binary=True" } else { "" };
    answer(format!("its JSON header is malformed: {error}{hint}"))
}

fn tensor(
    output: Checked,
    declared: &DeclaredOutput,
    binary: Option<Chunks>,
    json: Option<&RawValue>,
) -> Result<OutputTensor, Problem> {
    match (binary, json.map(RawValue::get)) {
        (Some(binary), None) => output.binary(binary),
        (None, Some(json)) if is_nested(json) => {
            output.same_shape(nested::read(json, &kserve::blobs::on_wire(declared))?)
        }
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

/// Splits the output's own bytes off those behind the JSON header, which come in the header's order; `None` if its data
/// are JSON.
fn binary<'a>(body: &mut Cursor<'a>, output: &Head, size: Option<u64>) -> Result<Option<Cursor<'a>>, Problem> {
    let Some(size) = size else { return Ok(None) };
    let left = body.len();
    let data = usize::try_from(size).ok().and_then(|size| body.take(size));
    data.map(Some).ok_or_else(|| {
        let message =
            format!("the answer ended early: {left} bytes are left of the {size} of output \"{}\"", output.title());
        Problem::new(Code::CutShort, message)
    })
}

#[cfg(test)]
mod tests;
