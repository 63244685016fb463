//! Tensors as nested JSON lists, the way `numpy.ndarray.tolist` writes them: the nesting is the shape.

use std::fmt;

use half::{bf16, f16};
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::error::Category;

use super::declared::DeclaredOutput;
use super::kserve::json_data::{Collector, Elements};
use crate::element::ElementType;
use crate::failure::{Code, Problem};
use crate::run::bounds;
use crate::tensor::{InputData, InputTensor, OutputData, OutputTensor, PackedStrings};

/// Lists within lists that a tensor may have; numpy's limit, far past what any model needs.
const MAX_RANK: usize = 64;

/// Empty lists that an input may become.
const MAX_EMPTY: i64 = 1 << 20;

/// Bytes that a number takes, roughly.
const NUMBER: usize = 12;

/// How much an encoded tensor will take, roughly.
pub(super) fn size_hint(tensor: &InputTensor) -> usize {
    match &tensor.data {
        InputData::Raw(bytes) => bytes.len() / tensor.element.size().max(1) * NUMBER,
        InputData::Text(strings) => strings.content.len() + 4 * strings.starts.len(),
        InputData::Blob(bytes) => bytes.len() + 4,
    }
}

/// Appends `tensor`, the input called `name`; `Err` if it holds something that JSON has no form for.
pub(super) fn write(body: &mut Vec<u8>, name: &str, tensor: &InputTensor) -> Result<(), Problem> {
    let refused = |what: &str| Problem::new(Code::Input, format!("input \"{name}\" holds {what}"));
    if let Some(first) = tensor.shape.iter().position(|size| *size == 0) {
        // Such a tensor takes no memory, so that its other sizes may be as large as another server made them up to be.
        let lists = tensor.shape[..first].iter().try_fold(1i64, |lists, size| lists.checked_mul(*size));
        if lists.is_none_or(|lists| lists > MAX_EMPTY) {
            return Err(refused("no element, and more empty lists than can be sent"));
        }
        write_empty(body, &tensor.shape[..=first]);
        return Ok(());
    }
    write_elements(body, tensor).map_err(refused)
}

/// Writes nested lists of these sizes, of which the last is 0.
fn write_empty(body: &mut Vec<u8>, shape: &[i64]) {
    let Some((&size, rest)) = shape.split_first() else { return };
    body.push(b'[');
    for index in 0..size {
        if index > 0 {
            body.push(b',');
        }
        write_empty(body, rest);
    }
    body.push(b']');
}

fn write_elements(body: &mut Vec<u8>, tensor: &InputTensor) -> Result<(), &'static str> {
    let mut lists = Lists::new(&tensor.shape);
    match &tensor.data {
        InputData::Text(strings) => strings.iter().try_for_each(|string| write_string(body, &mut lists, string)),
        InputData::Blob(string) => write_string(body, &mut lists, string),
        InputData::Raw(bytes) => bytes
            .chunks_exact(tensor.element.size().max(1))
            .try_for_each(|bytes| lists.element(body, |body| number(body, tensor.element, bytes))),
    }
}

fn write_string(body: &mut Vec<u8>, lists: &mut Lists, string: &[u8]) -> Result<(), &'static str> {
    let text = std::str::from_utf8(string).map_err(|_| "a string that is no UTF-8, which JSON cannot carry")?;
    lists.element(body, |body| json(body, text))
}

/// Opens and closes the lists around elements in row-major order.
struct Lists {
    /// How many elements lie below each dimension, the outermost first.
    below: Vec<usize>,
    written: usize,
}

impl Lists {
    fn new(shape: &[i64]) -> Self {
        let mut below = vec![1; shape.len()];
        let mut product = 1usize;
        for (below, size) in below.iter_mut().zip(shape).rev() {
            product = product.saturating_mul(usize::try_from(*size).unwrap_or(0)).max(1);
            *below = product;
        }
        Self { below, written: 0 }
    }

    fn element(
        &mut self,
        body: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        if self.written > 0 {
            body.push(b',');
        }
        let before = body.len();
        self.brackets(body, b'[');
        write(body)?;
        self.written += 1;
        self.brackets(body, b']');
        bounds::hold(body.len() - before).map_err(|_| "more than there is time or room for")
    }

    /// Writes a bracket for each dimension that begins or ends behind the elements written so far.
    fn brackets(&self, body: &mut Vec<u8>, bracket: u8) {
        for below in self.below.iter().rev() {
            if !self.written.is_multiple_of(*below) {
                break;
            }
            body.push(bracket);
        }
    }
}

fn json(body: &mut Vec<u8>, value: impl Serialize) -> Result<(), &'static str> {
    serde_json::to_writer(body, &value).map_err(|_| "something that JSON cannot carry")
}

fn number(body: &mut Vec<u8>, element: ElementType, bytes: &[u8]) -> Result<(), &'static str> {
    macro_rules! read {
        ($kind:ty) => {
            <$kind>::from_ne_bytes(bytes.try_into().map_err(|_| "a part of a number")?)
        };
    }
    match element {
        ElementType::Bool => json(body, bytes != [0]),
        ElementType::UInt8 => json(body, read!(u8)),
        ElementType::UInt16 => json(body, read!(u16)),
        ElementType::UInt32 => json(body, read!(u32)),
        ElementType::UInt64 => json(body, read!(u64)),
        ElementType::Int8 => json(body, read!(i8)),
        ElementType::Int16 => json(body, read!(i16)),
        ElementType::Int32 => json(body, read!(i32)),
        ElementType::Int64 => json(body, read!(i64)),
        // The shortest digits that lead back to the same float32.
        ElementType::Float32 => json(body, finite(read!(f32))?),
        ElementType::Float16 => json(body, finite(read!(f16).to_f32())?),
        ElementType::BFloat16 => json(body, finite(read!(bf16).to_f32())?),
        ElementType::Float64 => {
            let value = read!(f64);
            if value.is_finite() { json(body, value) } else { Err(NOT_FINITE) }
        }
        ElementType::String => Err("a string among numbers"),
    }
}

const NOT_FINITE: &str = "NaN or an infinity, which JSON cannot carry";

fn finite(value: f32) -> Result<f32, &'static str> {
    if value.is_finite() { Ok(value) } else { Err(NOT_FINITE) }
}

/// Reads `text`, the output that `declared` describes. Dimensions below an empty list cannot be seen in `text`: they
/// have the declared sizes, or 0.
pub(super) fn read(text: &str, declared: &DeclaredOutput) -> Result<OutputTensor, Problem> {
    let mut nested = Nested::new(text, declared.element);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Level { nested: &mut nested, depth: 0 }.deserialize(&mut deserializer);
    read.and_then(|()| deserializer.end()).map_err(|error| {
        let code = match (nested.ragged, error.classify()) {
            (true, _) => Code::OutputShape,
            (false, Category::Data) => Code::OutputType,
            _ => Code::Answer,
        };
        Problem::new(code, format!("output \"{}\" is no tensor: {error}", declared.name))
    })?;
    nested.tensor(declared)
}

/// What has been read so far.
struct Nested {
    element: ElementType,
    elements: Elements,
    /// The size of each dimension, known once its first list has ended.
    sizes: Vec<Option<i64>>,
    /// How many lists an element lies in, once there is an element.
    rank: Option<usize>,
    /// Whether lists of one dimension differ in length or depth.
    ragged: bool,
}

impl Nested {
    fn new(text: &str, element: ElementType) -> Self {
        let elements = Elements::of(text, element);
        Self { element, elements, sizes: Vec::new(), rank: None, ragged: false }
    }

    fn check<E: Error>(&mut self, fits: bool) -> Result<(), E> {
        self.ragged |= !fits;
        if fits { Ok(()) } else { Err(E::custom("its lists differ in length or depth")) }
    }

    fn open<E: Error>(&mut self, depth: usize) -> Result<(), E> {
        bounds::step().map_err(E::custom)?;
        self.check(self.rank.is_none_or(|rank| depth < rank) && depth < MAX_RANK)?;
        if self.sizes.len() <= depth {
            self.sizes.push(None);
        }
        Ok(())
    }

    fn close<E: Error>(&mut self, depth: usize, length: i64) -> Result<(), E> {
        let known = *self.sizes[depth].get_or_insert(length);
        self.check(known == length)
    }

    fn leaf<E: Error>(&mut self, depth: usize) -> Result<Collector<'_>, E> {
        let rank = *self.rank.get_or_insert(depth);
        self.check(rank == depth && self.sizes.len() == depth)?;
        Ok(Collector { element: self.element, elements: &mut self.elements })
    }

    fn tensor(self, declared: &DeclaredOutput) -> Result<OutputTensor, Problem> {
        let mut shape: Vec<i64> = self.sizes.iter().map(|size| size.unwrap_or(0)).collect();
        if shape.last() == Some(&0) {
            let hidden = shape.len()..declared.shape.rank().unwrap_or(0).min(MAX_RANK);
            shape.extend(hidden.map(|axis| declared.shape.fixed(axis).unwrap_or(0)));
        }
        let data = match self.element {
            ElementType::String => {
                OutputData::Text(PackedStrings::parse(self.elements.bytes.into()).map_err(|_| {
                    Problem::new(Code::Answer, format!("output \"{}\" holds a malformed string", declared.name))
                })?)
            }
            _ => OutputData::Raw(bytes::Bytes::from(self.elements.bytes).into()),
        };
        Ok(OutputTensor { element: self.element, shape, data })
    }
}

/// A value within `depth` lists.
struct Level<'a> {
    nested: &'a mut Nested,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} or lists of it", self.nested.element.name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        self.nested.open(self.depth)?;
        let mut length = 0;
        while sequence.next_element_seed(Level { nested: &mut *self.nested, depth: self.depth + 1 })?.is_some() {
            length += 1;
        }
        self.nested.close(self.depth, length)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.nested.leaf(self.depth)?.visit_bool(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.nested.leaf(self.depth)?.visit_u64(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.nested.leaf(self.depth)?.visit_i64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.nested.leaf(self.depth)?.visit_f64(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.nested.leaf(self.depth)?.visit_str(value)
    }
}

#[cfg(test)]
mod tests;
