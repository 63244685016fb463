//! Tensors of calls that outlive the run that began them.

use super::{InputData, InputTensor, Strings};
use crate::element::ElementType;

/// A copy of an [`InputTensor`] that borrows nothing.
pub struct OwnedTensor {
    element: ElementType,
    shape: Vec<i64>,
    data: OwnedData,
}

enum OwnedData {
    Raw(Vec<u8>),
    Text(Strings),
    Blob(Vec<u8>),
}

impl OwnedTensor {
    /// Copies a tensor.
    pub fn of(tensor: &InputTensor) -> Self {
        let data = match &tensor.data {
            InputData::Raw(bytes) => OwnedData::Raw(bytes.to_vec()),
            InputData::Text(strings) => OwnedData::Text(strings.clone()),
            InputData::Blob(bytes) => OwnedData::Blob(bytes.to_vec()),
        };
        Self { element: tensor.element, shape: tensor.shape.clone(), data }
    }

    /// The tensor, once: strings are given away.
    pub fn lend(&mut self) -> InputTensor<'_> {
        let data = match &mut self.data {
            OwnedData::Raw(bytes) => InputData::Raw(bytes),
            OwnedData::Text(strings) => InputData::Text(std::mem::take(strings)),
            OwnedData::Blob(bytes) => InputData::Blob(bytes),
        };
        InputTensor { element: self.element, shape: self.shape.clone(), data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_lends_what_the_tensor_held() {
        let text: Strings = ["a", "", "b\0c"].into_iter().collect();
        for data in [InputData::Raw(&[1, 2, 3]), InputData::Blob(&[4, 5, 6]), InputData::Text(text)] {
            let tensor = InputTensor { element: ElementType::UInt8, shape: vec![3], data };
            assert_eq!(format!("{:?}", OwnedTensor::of(&tensor).lend()), format!("{tensor:?}"));
        }
    }
}
