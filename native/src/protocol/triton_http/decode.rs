//! A response's body to outputs, each as binary data behind the JSON header or as JSON within it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::HEADER_LENGTH;
use crate::element::ElementType;
use crate::failure::{Code, Problem, quote};
use crate::node::DeclaredOutput;
use crate::protocol::{check_content, kserve};
use crate::tensor::{Chunks, OutputData, OutputTensor, PackedError, PackedStrings, element_count};
use crate::transport::Response;

/// Dimensions that a tensor may have; numpy's limit, far past what any model needs.
const MAX_RANK: usize = 64;

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
    let header: Header =
        serde_json::from_slice(&header).map_err(|error| answer(format!("its JSON header is malformed: {error}")))?;
    let mut found: Vec<Option<OutputTensor>> = vec![None; declared.len()];
    let mut binary = Binary { body: &response.body, at: length, length: response.body.len() };
    for output in &header.outputs {
        let data = binary.of(output)?;
        let Some(index) = declared.iter().position(|declared| declared.name == output.name) else { continue };
        let tensor = output.tensor(&declared[index], data)?;
        if found[index].replace(tensor).is_some() {
            return Err(answer(format!("output \"{}\" came twice", declared[index].name)));
        }
    }
    binary.finish()?;
    let each = found.into_iter().zip(declared);
    each.map(|(tensor, declared)| tensor.ok_or_else(|| answer(format!("output \"{}\" is missing", declared.name))))
        .collect()
}

fn answer(message: String) -> Problem {
    Problem::new(Code::Answer, format!("the answer is no inference response: {message}"))
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
    fn of(&mut self, output: &Output) -> Result<Option<Chunks>, Problem> {
        let Some(size) = output.parameters.as_ref().and_then(|parameters| parameters.binary_data_size) else {
            return Ok(None);
        };
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

impl Output<'_> {
    fn title(&self) -> String {
        quote(&self.name, [])
    }

    fn tensor(&self, declared: &DeclaredOutput, binary: Option<Chunks>) -> Result<OutputTensor, Problem> {
        let element =
            kserve::element(&self.datatype).filter(|element| *element == declared.element).ok_or_else(|| {
                let (datatype, name) = (quote(&self.datatype, []), declared.element.name());
                Problem::new(
                    Code::OutputType,
                    format!("output \"{}\" is {datatype}, but {name} is declared", self.title()),
                )
            })?;
        let (shape, count) = self.shape()?;
        let data = match (binary, self.data) {
            (Some(binary), _) => self.binary_data(element, count, &binary)?,
            (None, Some(json)) => self.json_data(element, count, json.get())?,
            (None, None) => return Err(answer(format!("output \"{}\" has no data", self.title()))),
        };
        Ok(OutputTensor { element, shape, data })
    }

    fn shape(&self) -> Result<(Vec<i64>, usize), Problem> {
        if self.shape.len() > MAX_RANK {
            let message = format!("output \"{}\" has {} dimensions", self.title(), self.shape.len());
            return Err(Problem::new(Code::OutputShape, message));
        }
        let shape: Option<Vec<i64>> = self.shape.iter().map(|size| i64::try_from(*size).ok()).collect();
        let counted = shape.and_then(|shape| element_count(&shape).map(|count| (shape, count)));
        counted.ok_or_else(|| self.misfit("no tensor can have it"))
    }

    fn binary_data(&self, element: ElementType, count: usize, binary: &Chunks) -> Result<OutputData, Problem> {
        if element == ElementType::String {
            return self.strings(count, binary.join());
        }
        if count.checked_mul(element.size()) != Some(binary.len()) {
            return Err(self.misfit(&format!("{} bytes came", binary.len())));
        }
        if element == ElementType::Bool && binary.iter().any(|piece| piece.iter().any(|byte| *byte > 1)) {
            return Err(answer(format!("output \"{}\" holds a BOOL that is neither 0 nor 1", self.title())));
        }
        if cfg!(target_endian = "big") {
            return Ok(OutputData::Raw(
                Bytes::from(kserve::little_endian(&binary.join(), element.size()).into_owned()).into(),
            ));
        }
        Ok(OutputData::Raw(binary.clone()))
    }

    fn json_data(&self, element: ElementType, count: usize, text: &str) -> Result<OutputData, Problem> {
        let elements = kserve::json_data::read(text, element)
            .map_err(|error| answer(format!("the data of output \"{}\" are malformed: {error}", self.title())))?;
        if elements.count != count {
            return Err(self.misfit(&format!("{} elements came", elements.count)));
        }
        match element {
            ElementType::String => self.strings(count, elements.bytes.into()),
            _ => Ok(OutputData::Raw(Bytes::from(elements.bytes).into())),
        }
    }

    fn strings(&self, count: usize, packed: Bytes) -> Result<OutputData, Problem> {
        let strings = PackedStrings::parse(packed).map_err(|error| match error {
            PackedError::Length(index) => self.misfit(&format!("string {index} is cut short")),
            PackedError::Encoding(index) => {
                answer(format!("string {index} of output \"{}\" is no UTF-8", self.title()))
            }
        })?;
        if strings.len() != count {
            return Err(self.misfit(&format!("{} strings came", strings.len())));
        }
        Ok(OutputData::Text(strings))
    }

    fn misfit(&self, what: &str) -> Problem {
        Problem::new(Code::OutputShape, format!("output \"{}\" has shape {:?}, but {what}", self.title(), self.shape))
    }
}

#[cfg(test)]
mod tests;
