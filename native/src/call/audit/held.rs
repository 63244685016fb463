//! Inputs that outlive the run that lent them.

use crate::element::ElementType;
use crate::tensor::{InputData, InputTensor, Strings};

/// A copy of an input.
pub struct Held {
    element: ElementType,
    shape: Vec<i64>,
    data: Data,
}

enum Data {
    Raw(Vec<u8>),
    Text(Strings),
    Blob(Vec<u8>),
}

impl Held {
    /// A copy of `tensor`.
    pub fn of(tensor: &InputTensor) -> Self {
        let data = match &tensor.data {
            InputData::Raw(bytes) => Data::Raw(bytes.to_vec()),
            InputData::Text(strings) => Data::Text(strings.clone()),
            InputData::Blob(bytes) => Data::Blob(bytes.to_vec()),
        };
        Self { element: tensor.element, shape: tensor.shape.clone(), data }
    }

    /// The input as a call takes it.
    pub fn lent(&self) -> InputTensor<'_> {
        let data = match &self.data {
            Data::Raw(bytes) => InputData::Raw(bytes),
            Data::Text(strings) => InputData::Text(strings.clone()),
            Data::Blob(bytes) => InputData::Blob(bytes),
        };
        InputTensor { element: self.element, shape: self.shape.clone(), data }
    }
}
