//! One output of an inference response, checked against what the node declares, whatever carried it.

use std::borrow::Cow;

use bytes::Bytes;

use super::blobs;
use super::json_data::{Elements, STRING};
use crate::element::ElementType;
use crate::failure::{Code, Problem};
use crate::protocol::declared::DeclaredOutput;
use crate::run::bounds;
use crate::tensor::{Chunks, OutputData, OutputTensor, PackedError, PackedStrings, element_count};

/// Dimensions that a tensor may have; numpy's limit, far past what any model needs.
pub const MAX_RANK: usize = 64;

/// An answer that is no inference response, and why.
pub fn answer(message: impl AsRef<str>) -> Problem {
    Problem::new(Code::Answer, format!("the answer is no inference response: {}", message.as_ref()))
}

/// What a response says of an output beside its data.
#[derive(Debug)]
pub struct Head<'a> {
    /// Its name on the wire.
    pub name: Cow<'a, str>,
    /// Its datatype's name.
    pub datatype: Cow<'a, str>,
    /// Its dimensions as they came: they may be of any size.
    pub shape: Vec<i128>,
}

/// An output whose type is the declared one and whose shape a tensor can have.
#[derive(Debug)]
pub struct Checked<'a> {
    head: &'a Head<'a>,
    /// The type of its elements.
    pub element: ElementType,
    shape: Vec<i64>,
    count: usize,
    is_blob: bool,
}

impl Head<'_> {
    /// The name as it came. It is not shortened here: secrets are masked in the whole message later, and half a secret
    /// would not be found.
    pub fn title(&self) -> &str {
        &self.name
    }

    /// Checks type and shape.
    pub fn check(&self, declared: &DeclaredOutput) -> Result<Checked<'_>, Problem> {
        let wanted = if declared.is_blob { ElementType::String } else { declared.element };
        let element = super::element(&self.datatype).filter(|element| *element == wanted);
        let element = element.ok_or_else(|| {
            let (title, datatype, name) = (self.title(), &self.datatype, wanted.name());
            let holds_bytes = wanted == ElementType::UInt8 && super::element(datatype) == Some(ElementType::String);
            let way = if holds_bytes { blobs::way(title) } else { String::new() };
            Problem::new(Code::OutputType, format!("output \"{title}\" is {datatype}, but {name} is declared{way}"))
        })?;
        if self.shape.len() > MAX_RANK {
            let message = format!("output \"{}\" has {} dimensions", self.title(), self.shape.len());
            return Err(Problem::new(Code::OutputShape, message));
        }
        let shape: Option<Vec<i64>> = self.shape.iter().map(|size| i64::try_from(*size).ok()).collect();
        let counted = shape.and_then(|shape| element_count(&shape).map(|count| (shape, count)));
        let (shape, count) = counted.ok_or_else(|| self.misfit("no tensor can have it"))?;
        Ok(Checked { head: self, element, shape, count, is_blob: declared.is_blob })
    }

    fn misfit(&self, what: &str) -> Problem {
        Problem::new(Code::OutputShape, format!("output \"{}\" has shape {:?}, but {what}", self.title(), self.shape))
    }
}

impl Checked<'_> {
    /// The name, as it came.
    pub fn title(&self) -> &str {
        self.head.title()
    }

    /// How many elements the shape holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The tensor of data in the binary form: numbers side by side in little-endian order, strings behind their
    /// lengths.
    pub fn binary(self, data: Chunks) -> Result<OutputTensor, Problem> {
        if self.element == ElementType::String {
            return self.strings(data.join(), |length| bounds::hold(length + STRING).ok());
        }
        if self.count.checked_mul(self.element.size()) != Some(data.len()) {
            return Err(self.misfit(&format!("{} bytes came", data.len())));
        }
        if self.element == ElementType::Bool && data.iter().any(|piece| piece.iter().any(|byte| *byte > 1)) {
            return Err(answer(format!("output \"{}\" holds a BOOL that is neither 0 nor 1", self.title())));
        }
        if cfg!(target_endian = "big") {
            let swapped = super::little_endian(&data.join(), self.element.size()).into_owned();
            return Ok(self.tensor(OutputData::Raw(Bytes::from(swapped).into())));
        }
        Ok(self.tensor(OutputData::Raw(data)))
    }

    /// The tensor of elements that were read one by one.
    pub fn elements(self, elements: Elements) -> Result<OutputTensor, Problem> {
        if elements.count != self.count {
            return Err(self.misfit(&format!("{} elements came", elements.count)));
        }
        match self.element {
            ElementType::String => self.strings(elements.bytes.into(), |_| bounds::step().ok()),
            _ => Ok(self.tensor(OutputData::Raw(Bytes::from(elements.bytes).into()))),
        }
    }

    /// The tensor that was read from nested lists, whose own shape must be the one that the response states.
    pub fn same_shape(self, tensor: OutputTensor) -> Result<OutputTensor, Problem> {
        if tensor.shape != self.shape {
            return Err(self.misfit(&format!("lists of {:?}", tensor.shape)));
        }
        match &tensor.data {
            OutputData::Text(strings) if self.is_blob => self.blob(strings.packed()),
            _ => Ok(tensor),
        }
    }

    /// The one string of `packed` as a tensor of its bytes.
    fn blob(self, packed: &Bytes) -> Result<OutputTensor, Problem> {
        let only = PackedStrings::only(packed).filter(|_| self.count == 1);
        let bytes = only.ok_or_else(|| self.misfit("not exactly one string came, whose bytes are declared"))?;
        let shape = vec![i64::try_from(bytes.len()).unwrap_or(i64::MAX)];
        Ok(OutputTensor { element: ElementType::UInt8, shape, data: OutputData::Raw(bytes.into()) })
    }

    fn strings(self, packed: Bytes, admits: impl FnMut(usize) -> Option<()>) -> Result<OutputTensor, Problem> {
        if self.is_blob {
            return self.blob(&packed);
        }
        let strings = PackedStrings::parse_with(packed, admits).map_err(|error| match error {
            PackedError::Length(index) => self.misfit(&format!("string {index} is cut short")),
            PackedError::Encoding(index) => {
                let (title, way) = (self.title(), blobs::way(self.title()));
                answer(format!("string {index} of output \"{title}\" is no UTF-8{way}"))
            }
            PackedError::Refused => self.misfit("it takes too long or too much memory"),
        })?;
        if strings.len() != self.count {
            return Err(self.misfit(&format!("{} strings came", strings.len())));
        }
        Ok(self.tensor(OutputData::Text(strings)))
    }

    fn tensor(self, data: OutputData) -> OutputTensor {
        OutputTensor { element: self.element, shape: self.shape, data }
    }

    /// The problem of data that do not fit the shape.
    pub fn misfit(&self, what: &str) -> Problem {
        self.head.misfit(what)
    }
}

/// The declared outputs of a response, gathered in whatever order they come.
#[derive(Debug)]
pub struct Outputs<'a> {
    declared: &'a [DeclaredOutput],
    tensors: Vec<Option<OutputTensor>>,
}

impl<'a> Outputs<'a> {
    /// None found yet.
    pub fn new(declared: &'a [DeclaredOutput]) -> Self {
        Self { declared, tensors: vec![None; declared.len()] }
    }

    /// The position of the declared output called `name`; `None` for one that the node does not declare.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.declared.iter().position(|declared| declared.name == name)
    }

    /// Adds the declared output at `index`; an output that came already is refused.
    pub fn put(&mut self, index: usize, tensor: OutputTensor) -> Result<(), Problem> {
        match self.tensors[index].replace(tensor) {
            Some(_) => Err(answer(format!("output \"{}\" came twice", self.declared[index].name))),
            None => Ok(()),
        }
    }

    /// All of them, in their declared order.
    pub fn finish(self) -> Result<Vec<OutputTensor>, Problem> {
        let each = self.tensors.into_iter().zip(self.declared);
        each.map(|(tensor, declared)| tensor.ok_or_else(|| answer(format!("output \"{}\" is missing", declared.name))))
            .collect()
    }
}
