//! Fingerprints: a cryptographic hash of parts, of which no two lists are the same bytes.

use ring::digest::{Context, SHA256};

use crate::tensor::{InputData, InputTensor};

/// A fingerprint that grows by parts; a copy of it grows by others.
#[derive(Clone)]
pub struct Print(Context);

impl Default for Print {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Print {
    /// Each part stands behind its length, so that no two lists of parts are the same bytes.
    pub fn add(&mut self, part: &[u8]) {
        self.number(part.len() as u64);
        self.0.update(part);
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    /// Adds a tensor: its type, its shape and its elements, bit by bit.
    pub fn tensor(&mut self, tensor: &InputTensor) {
        self.add(tensor.element.name().as_bytes());
        self.number(tensor.shape.len() as u64);
        tensor.shape.iter().for_each(|size| self.0.update(&size.to_le_bytes()));
        match &tensor.data {
            InputData::Raw(bytes) | InputData::Blob(bytes) => self.add(bytes),
            InputData::Text(strings) => strings.iter().for_each(|string| self.add(string)),
        }
    }

    /// Adds a row of a tensor, which is as a tensor of that row alone.
    pub fn row(&mut self, tensor: &InputTensor, row: usize) {
        self.add(tensor.element.name().as_bytes());
        self.number(tensor.shape.len() as u64);
        let sizes = [1].into_iter().chain(tensor.shape.iter().skip(1).copied()).take(tensor.shape.len());
        sizes.for_each(|size: i64| self.0.update(&size.to_le_bytes()));
        match &tensor.data {
            InputData::Raw(bytes) => self.add(&bytes[tensor.part(bytes.len(), row..row + 1)]),
            InputData::Blob(bytes) => self.add(bytes),
            InputData::Text(strings) => {
                let part = tensor.part(strings.starts.len(), row..row + 1);
                part.for_each(|string| self.add(strings.at(string)));
            }
        }
    }

    /// The fingerprint of all that was added.
    pub fn finish(self) -> [u8; 32] {
        let mut print = [0; 32];
        print.copy_from_slice(self.0.finish().as_ref());
        print
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::element::ElementType;

    fn print(parts: &[&str]) -> [u8; 32] {
        let mut print = Print::default();
        parts.iter().for_each(|part| print.add(part.as_bytes()));
        print.finish()
    }

    fn of(tensor: &InputTensor) -> [u8; 32] {
        let mut print = Print::default();
        print.tensor(tensor);
        print.finish()
    }

    fn tensor<'a>(shape: &[i64], data: InputData<'a>) -> InputTensor<'a> {
        let element = if matches!(data, InputData::Text(_)) { ElementType::String } else { ElementType::UInt8 };
        InputTensor { element, shape: shape.to_vec(), data }
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        assert_ne!(print(&["ab", "c"]), print(&["a", "bc"]));
        assert_ne!(print(&["a", ""]), print(&["a"]));
        let text = |items: &[&str]| of(&tensor(&[items.len() as i64], InputData::Text(items.iter().collect())));
        assert_ne!(text(&["ab", "c"]), text(&["a", "bc"]));
        assert_eq!(text(&["a", "b"]), text(&["a", "b"]));
    }

    #[test]
    fn one_content_in_two_shapes_is_two_tensors() {
        let of = |shape: &[i64], bytes| of(&tensor(shape, InputData::Raw(bytes)));
        assert_ne!(of(&[2, 3], b"abcdef"), of(&[3, 2], b"abcdef"));
        assert_ne!(of(&[6], b"abcdef"), of(&[6], b"abcdeg"));
    }

    #[test]
    fn zeros_of_two_signs_and_two_that_are_no_number_are_told_apart() {
        let of = |number: f32| of(&tensor(&[4], InputData::Raw(&number.to_ne_bytes())));
        assert_ne!(of(0.0), of(-0.0));
        assert_ne!(of(f32::from_bits(0x7fc0_0000)), of(f32::from_bits(0x7fc0_0001)));
    }

    proptest! {
        #[test]
        fn a_row_is_as_a_tensor_of_that_row_alone(rows in 1usize..6, width in 0usize..4, bytes: [u8; 20], texts: bool) {
            let items: Vec<_> = bytes[..rows * width].iter().map(|byte| vec![*byte; usize::from(byte % 3)]).collect();
            let data = if texts { InputData::Text(items.iter().collect()) } else { InputData::Raw(&bytes[..rows * width]) };
            let tensor = tensor(&[rows as i64, width as i64], data);
            for row in 0..rows {
                let mut print = Print::default();
                print.row(&tensor, row);
                prop_assert_eq!(print.finish(), of(&tensor.slice(row..row + 1)));
            }
        }
    }
}
