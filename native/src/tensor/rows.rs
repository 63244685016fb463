//! A batch taken apart into its rows, and results put together again.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::{InputData, InputTensor, OutputData, OutputTensor, PackedStrings, Strings};
use crate::element::ElementType;

impl InputTensor<'_> {
    /// The size of the first dimension; 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.shape.first().map_or(1, |rows| usize::try_from(*rows).unwrap_or(0))
    }

    /// Bytes that some of its [`Self::rows`] take on the wire; of a string those of its length, too.
    pub fn bytes(&self, rows: Range<usize>) -> usize {
        let all = self.rows().max(1);
        match &self.data {
            InputData::Raw(bytes) => bytes.len() / all * rows.len(),
            InputData::Text(strings) => {
                let size = strings.starts.len() / all;
                let content = strings.start(rows.end * size) - strings.start(rows.start * size);
                content + rows.len() * size * LENGTH
            }
            InputData::Blob(bytes) => bytes.len(),
        }
    }

    /// Some of its [`Self::rows`]; a scalar is its own only row.
    pub fn slice(&self, rows: Range<usize>) -> InputTensor<'_> {
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        }
        let data = match &self.data {
            InputData::Raw(bytes) => InputData::Raw(&bytes[self.part(bytes.len(), rows)]),
            InputData::Text(strings) => InputData::Text(strings.slice(self.part(strings.starts.len(), rows))),
            InputData::Blob(bytes) => InputData::Blob(bytes),
        };
        InputTensor { element: self.element, shape, data }
    }

    /// Where some of its [`Self::rows`] lie among `all` of its bytes or strings.
    pub fn part(&self, all: usize, rows: Range<usize>) -> Range<usize> {
        let size = all / self.rows().max(1);
        rows.start * size..rows.end * size
    }
}

/// Bytes of the length that stands before each string.
const LENGTH: usize = 4;

impl Strings {
    /// Where a string starts, or would after the last.
    fn start(&self, string: usize) -> usize {
        self.starts.get(string).copied().unwrap_or(self.content.len())
    }

    /// One of the strings.
    pub fn at(&self, string: usize) -> &[u8] {
        &self.content[self.starts[string]..self.start(string + 1)]
    }

    fn slice(&self, strings: Range<usize>) -> Self {
        let (first, end) = (self.start(strings.start), self.start(strings.end));
        Self {
            content: self.content[first..end].to_vec(),
            starts: self.starts[strings].iter().map(|at| at - first).collect(),
        }
    }
}

impl OutputTensor {
    /// A string tensor of shape [1].
    pub fn text(text: &str) -> Self {
        let data = OutputData::Text([text].into_iter().collect());
        Self { element: ElementType::String, shape: vec![1], data }
    }

    /// `rows` joined along the first dimension; `None` if there are none, or they differ in type or in another
    /// dimension.
    pub fn stack(rows: &[Self]) -> Option<Self> {
        Self::stacked(rows.iter())
    }

    /// The same of rows that lie apart.
    pub fn stacked<'a>(mut rows: impl ExactSizeIterator<Item = &'a Self>) -> Option<Self> {
        let mut data = Vec::with_capacity(rows.len());
        let first = rows.next()?;
        let element = first.element;
        let (_, row_shape) = first.shape.split_first()?;
        let mut count = 0i64;
        for row in [first].into_iter().chain(rows) {
            let (size, shape) = row.shape.split_first()?;
            if row.element != element || shape != row_shape {
                return None;
            }
            count = count.checked_add(*size)?;
            data.push(&row.data);
        }
        let shape = [&[count], row_shape].concat();
        Some(Self { element, shape, data: OutputData::concatenated(&data) })
    }
}

impl OutputData {
    /// The data of all `parts`, which are all text or all numbers.
    fn concatenated(parts: &[&Self]) -> Self {
        if let Some(Self::Text(_)) = parts.first() {
            let strings =
                parts.iter().filter_map(|part| if let Self::Text(strings) = part { Some(strings) } else { None });
            return Self::Text(PackedStrings::concatenated(strings));
        }
        let mut chunks = super::Chunks::default();
        for part in parts {
            if let Self::Raw(more) = part {
                more.0.iter().for_each(|piece| chunks.push(piece.clone()));
            }
        }
        Self::Raw(chunks)
    }
}

impl PackedStrings {
    fn concatenated<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let (mut packed, mut count) = (BytesMut::new(), 0);
        for part in parts {
            packed.put_slice(&part.packed);
            count += part.count;
        }
        Self { packed: packed.freeze(), count }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn strings(tensor: &OutputTensor) -> Vec<Vec<u8>> {
        let OutputData::Text(strings) = &tensor.data else { panic!("numbers") };
        strings.iter().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn rows_of_numbers_are_slices_and_stack_to_the_whole() {
        let bytes: Vec<u8> = (0..12).collect();
        let whole = InputTensor { element: ElementType::Int16, shape: vec![3, 2], data: InputData::Raw(&bytes) };
        assert_eq!(whole.rows(), 3);
        let rows: Vec<_> = (0..3)
            .map(|index| {
                let row = whole.slice(index..index + 1);
                let InputData::Raw(bytes) = row.data else { panic!("strings") };
                OutputTensor {
                    element: row.element,
                    shape: row.shape,
                    data: OutputData::Raw(Bytes::copy_from_slice(bytes).into()),
                }
            })
            .collect();
        assert_eq!(rows[1].shape, [1, 2]);
        let stacked = OutputTensor::stack(&rows).unwrap();
        let OutputData::Raw(chunks) = &stacked.data else { panic!("strings") };
        assert_eq!((stacked.shape.as_slice(), chunks.join().to_vec()), (&[3, 2][..], bytes));
    }

    #[test]
    fn a_scalar_is_one_row() {
        let scalar = InputTensor { element: ElementType::Bool, shape: vec![], data: InputData::Raw(&[1]) };
        assert_eq!((scalar.rows(), scalar.slice(0..1).shape.len()), (1, 0));
    }

    #[test]
    fn what_differs_does_not_stack() {
        let row = |element, shape: &[i64]| OutputTensor::empty(element, shape.to_vec());
        assert!(OutputTensor::stack(&[]).is_none());
        assert!(OutputTensor::stack(&[row(ElementType::Bool, &[])]).is_none());
        assert!(OutputTensor::stack(&[row(ElementType::Bool, &[1]), row(ElementType::UInt8, &[1])]).is_none());
        assert!(OutputTensor::stack(&[row(ElementType::Bool, &[1, 2]), row(ElementType::Bool, &[1, 3])]).is_none());
    }

    proptest! {
        #[test]
        fn strings_survive_their_way_through_rows(items in proptest::collection::vec(any::<String>(), 1..12)) {
            let whole = InputTensor {
                element: ElementType::String,
                shape: vec![items.len() as i64],
                data: InputData::Text(items.iter().collect()),
            };
            let rows: Vec<_> = (0..whole.rows())
                .map(|index| {
                    let InputData::Text(row) = whole.slice(index..index + 1).data else { panic!("numbers") };
                    OutputTensor::text(std::str::from_utf8(row.iter().next().unwrap()).unwrap())
                })
                .collect();
            let stacked = OutputTensor::stack(&rows).unwrap();
            prop_assert_eq!(&stacked.shape, &whole.shape);
            prop_assert_eq!(strings(&stacked), items.into_iter().map(String::into_bytes).collect::<Vec<_>>());
        }
    }
}
