//! A `ModelInferResponse` to outputs, each from `raw_output_contents` or from contents of its own; model metadata.

use std::borrow::Cow;

use crate::element::ElementType;
use crate::failure::{Code, Problem};
use crate::protocol::declared::DeclaredOutput;
use crate::protocol::kserve;
use crate::protocol::kserve::json_data::{Elements, STRING};
use crate::protocol::kserve::output::{Checked, Head, MAX_RANK, Outputs, answer};
use crate::protocol::protobuf::{Cursor, Malformed, Value};
use crate::protocol::spec::{Description, TensorSpec};
use crate::run::bounds;
use crate::tensor::OutputTensor;

/// How many tensors an answer may have, and parts the contents of one: each takes two bytes on the wire, and far more in
/// memory.
const MAX_TENSORS: usize = 1 << 16;

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        Problem::new(Code::Answer, format!("the answer is malformed: {}", malformed.0))
    }
}

/// An `InferOutputTensor`, or a `TensorMetadata`, which has the same fields.
#[derive(Default)]
struct Tensor<'a> {
    name: Cow<'a, str>,
    datatype: Cow<'a, str>,
    shape: Vec<i64>,
    /// `InferTensorContents`; a message that comes in several parts is all of them.
    contents: Vec<Cursor<'a>>,
}

/// The declared outputs of a `ModelInferResponse`, in their declared order. Others that the server adds are skipped.
pub(super) fn outputs(message: Cursor, declared: &[DeclaredOutput]) -> Result<Vec<OutputTensor>, Problem> {
    let (mut tensors, mut raw) = (Vec::new(), Vec::new());
    for field in message.fields() {
        bounds::step()?;
        match field? {
            (5, value) => push(&mut tensors, Tensor::read(value.length()?)?)?,
            (6, value) => push(&mut raw, value.length()?)?,
            _ => {}
        }
    }
    if !raw.is_empty() && raw.len() != tensors.len() {
        return Err(answer(format!("{} raw contents came for {} outputs", raw.len(), tensors.len())));
    }
    let mut outputs = Outputs::new(declared);
    for (number, tensor) in tensors.into_iter().enumerate() {
        bounds::step()?;
        let Some(index) = outputs.position(&tensor.name) else { continue };
        let head = Head {
            name: tensor.name,
            datatype: tensor.datatype,
            shape: tensor.shape.iter().map(|size| (*size).into()).collect(),
        };
        let output = head.check(&declared[index])?;
        outputs.put(index, data(output, raw.get(number), &tensor.contents)?)?;
    }
    outputs.finish()
}

/// The interface in a `ModelMetadataResponse`.
pub(super) fn metadata(message: Cursor) -> Result<Description, Problem> {
    let mut description = Description { inputs: Vec::new(), outputs: Vec::new() };
    for field in message.fields() {
        bounds::step()?;
        match field? {
            (4, value) => push(&mut description.inputs, spec(value)?)?,
            (5, value) => push(&mut description.outputs, spec(value)?)?,
            _ => {}
        }
    }
    Ok(description)
}

fn spec(value: Value) -> Result<TensorSpec, Problem> {
    let tensor = Tensor::read(value.length()?)?;
    kserve::metadata::spec(tensor.name.into_owned(), &tensor.datatype, Some(tensor.shape))
}

fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), Problem> {
    if list.len() == MAX_TENSORS {
        return Err(answer(format!("it has more than {MAX_TENSORS} tensors, or parts of one")));
    }
    list.push(item);
    Ok(())
}

impl<'a> Tensor<'a> {
    fn read(message: Cursor<'a>) -> Result<Self, Problem> {
        let mut tensor = Self::default();
        for field in message.fields() {
            bounds::step()?;
            match field? {
                (1, value) => tensor.name = value.length()?.to_text()?,
                (2, value) => tensor.datatype = value.length()?.to_text()?,
                (3, value) => value.varints(|size| tensor.dimension(size))?,
                (5, value) => match value.length()? {
                    part if part.is_empty() => {}
                    part => push(&mut tensor.contents, part)?,
                },
                _ => {}
            }
        }
        Ok(tensor)
    }

    /// Adds a dimension. One above the limit is kept, so that the tensor is refused later; more are not.
    fn dimension(&mut self, size: u64) -> Result<(), Problem> {
        bounds::step()?;
        if self.shape.len() <= MAX_RANK {
            self.shape.push(size as i64);
        }
        Ok(())
    }
}

fn data(output: Checked, raw: Option<&Cursor>, contents: &[Cursor]) -> Result<OutputTensor, Problem> {
    match raw {
        Some(raw) if contents.is_empty() => output.binary(raw.to_chunks()),
        Some(_) => Err(answer(format!("output \"{}\" came twice, raw and with contents of its own", output.title()))),
        None => {
            let mut reader = Contents { output: &output, elements: Elements { count: 0, bytes: Vec::new() } };
            contents.iter().try_for_each(|part| reader.read(*part))?;
            let elements = reader.elements;
            output.elements(elements)
        }
    }
}

/// Reads `InferTensorContents` element by element into the bytes that a tensor holds.
struct Contents<'a> {
    output: &'a Checked<'a>,
    elements: Elements,
}

/// The field of `InferTensorContents` that carries an element type; FP16 and BF16 have none.
fn field_of(element: ElementType) -> Option<u32> {
    match element {
        ElementType::Bool => Some(1),
        ElementType::Int8 | ElementType::Int16 | ElementType::Int32 => Some(2),
        ElementType::Int64 => Some(3),
        ElementType::UInt8 | ElementType::UInt16 | ElementType::UInt32 => Some(4),
        ElementType::UInt64 => Some(5),
        ElementType::Float32 => Some(6),
        ElementType::Float64 => Some(7),
        ElementType::String => Some(8),
        ElementType::Float16 | ElementType::BFloat16 => None,
    }
}

impl Contents<'_> {
    fn read(&mut self, part: Cursor) -> Result<(), Problem> {
        let wanted = field_of(self.output.element);
        for field in part.fields() {
            bounds::step()?;
            match field? {
                (number, value) if Some(number) == wanted => self.values(value)?,
                (1..=8, Value::Length(empty)) if empty.is_empty() && self.output.element != ElementType::String => {}
                (1..=8, _) => {
                    let (title, element) = (self.output.title(), self.output.element.name());
                    return Err(answer(format!("the contents of output \"{title}\" are not those of {element}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn values(&mut self, value: Value) -> Result<(), Problem> {
        match (self.output.element, value) {
            (ElementType::String, value) => self.text(value.length()?),
            (ElementType::Float32, Value::Fixed32(bytes)) => self.push(f32::from_le_bytes(bytes).to_ne_bytes()),
            (ElementType::Float64, Value::Fixed64(bytes)) => self.push(f64::from_le_bytes(bytes).to_ne_bytes()),
            (ElementType::Float32, Value::Length(packed)) => {
                self.floats(packed, |b| f32::from_le_bytes(b).to_ne_bytes())
            }
            (ElementType::Float64, Value::Length(packed)) => {
                self.floats(packed, |b| f64::from_le_bytes(b).to_ne_bytes())
            }
            (ElementType::Float32 | ElementType::Float64, _) => Err(self.misfit()),
            (_, value) => value.varints(|value| self.integer(value)),
        }
    }

    fn floats<const N: usize>(&mut self, packed: Cursor, native: fn([u8; N]) -> [u8; N]) -> Result<(), Problem> {
        let bytes = packed.to_bytes();
        let (numbers, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(self.misfit());
        }
        numbers.iter().try_for_each(|number| self.push(native(*number)))
    }

    /// Adds the integer of a varint, whose 64 bits are two's complement where the type is signed.
    fn integer(&mut self, value: u64) -> Result<(), Problem> {
        let signed = value as i64;
        match self.output.element {
            ElementType::Bool => self.push([u8::from(value != 0)]),
            ElementType::Int8 => self.push(self.fit(i8::try_from(signed))?.to_ne_bytes()),
            ElementType::Int16 => self.push(self.fit(i16::try_from(signed))?.to_ne_bytes()),
            ElementType::Int32 => self.push(self.fit(i32::try_from(signed))?.to_ne_bytes()),
            ElementType::Int64 => self.push(signed.to_ne_bytes()),
            ElementType::UInt8 => self.push(self.fit(u8::try_from(value))?.to_ne_bytes()),
            ElementType::UInt16 => self.push(self.fit(u16::try_from(value))?.to_ne_bytes()),
            ElementType::UInt32 => self.push(self.fit(u32::try_from(value))?.to_ne_bytes()),
            ElementType::UInt64 => self.push(value.to_ne_bytes()),
            _ => Err(self.misfit()),
        }
    }

    fn fit<T, E>(&self, value: Result<T, E>) -> Result<T, Problem> {
        value.map_err(|_| self.misfit())
    }

    fn misfit(&self) -> Problem {
        let (title, element) = (self.output.title(), self.output.element.name());
        answer(format!("the contents of output \"{title}\" hold something that is no {element}"))
    }

    fn push<const N: usize>(&mut self, bytes: [u8; N]) -> Result<(), Problem> {
        self.count(N)?;
        self.elements.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    fn text(&mut self, text: Cursor) -> Result<(), Problem> {
        self.count(4 + text.len() + STRING)?;
        let length = self.fit(u32::try_from(text.len()))?;
        self.elements.bytes.extend_from_slice(&length.to_le_bytes());
        self.elements.bytes.extend_from_slice(&text.to_bytes());
        Ok(())
    }

    /// Counts an element, and refuses one more than the shape has at once: in memory a number can take eight times the
    /// bytes that it has on the wire.
    fn count(&mut self, bytes: usize) -> Result<(), Problem> {
        bounds::hold(bytes)?;
        if self.elements.count == self.output.count() {
            return Err(self.output.misfit("more elements came"));
        }
        self.elements.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
