//! Tensors that outlive what they came from: rows of inputs in memory of their own, results that hold nothing else.

use bytes::Bytes;

use super::{Chunks, InputData, InputTensor, OutputData, OutputTensor, PackedStrings, Strings};
use crate::element::ElementType;

/// An input tensor in memory of its own.
#[derive(Debug)]
pub struct OwnedTensor {
    element: ElementType,
    shape: Vec<i64>,
    bytes: Vec<u8>,
    texts: Option<Strings>,
}

impl OwnedTensor {
    /// The tensor, once: its strings go along with it.
    pub fn lend(&mut self) -> InputTensor<'_> {
        let data = self.texts.take().map_or(InputData::Raw(&self.bytes), InputData::Text);
        InputTensor { element: self.element, shape: std::mem::take(&mut self.shape), data }
    }
}

impl InputTensor<'_> {
    /// A copy of it.
    pub fn owned(&self) -> OwnedTensor {
        let (bytes, texts) = match &self.data {
            InputData::Raw(bytes) | InputData::Blob(bytes) => (bytes.to_vec(), None),
            InputData::Text(strings) => (Vec::new(), Some(strings.clone())),
        };
        OwnedTensor { element: self.element, shape: self.shape.clone(), bytes, texts }
    }

    /// Some of its [`InputTensor::rows`], in this order.
    pub fn gathered(&self, rows: &[usize]) -> OwnedTensor {
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        }
        let (mut bytes, mut texts) = (Vec::new(), None);
        match &self.data {
            InputData::Raw(all) | InputData::Blob(all) => {
                let parts = rows.iter().map(|row| &all[self.part(all.len(), *row..row + 1)]);
                parts.for_each(|part| bytes.extend_from_slice(part));
            }
            InputData::Text(all) => {
                let strings = rows.iter().flat_map(|row| self.part(all.starts.len(), *row..row + 1));
                texts = Some(strings.map(|string| all.at(string)).collect());
            }
        }
        OwnedTensor { element: self.element, shape, bytes, texts }
    }
}

impl OutputTensor {
    /// A copy that holds nothing of the response that it came in.
    #[must_use]
    pub fn apart(&self) -> Self {
        let data = match &self.data {
            OutputData::Raw(chunks) => OutputData::Raw(copy(&chunks.join())),
            OutputData::Text(strings) => {
                let packed = Bytes::copy_from_slice(&strings.packed);
                OutputData::Text(PackedStrings { packed, count: strings.count })
            }
        };
        Self { element: self.element, shape: self.shape.clone(), data }
    }

    /// Each of its rows as a tensor of one row, which holds nothing of the response; of a scalar none.
    pub fn rows_apart(&self) -> Vec<Self> {
        let Some((first, tail)) = self.shape.split_first() else { return Vec::new() };
        let count = usize::try_from(*first).unwrap_or(0);
        let row = |data| Self { element: self.element, shape: [&[1], tail].concat(), data };
        match &self.data {
            OutputData::Raw(chunks) => {
                let (bytes, size) = (chunks.join(), chunks.len() / count.max(1));
                let part = |index: usize| copy(&bytes[index * size..(index + 1) * size]);
                (0..count).map(|index| row(OutputData::Raw(part(index)))).collect()
            }
            OutputData::Text(strings) => {
                let (mut rest, size) = (strings.packed.as_ref(), strings.count / count.max(1));
                (0..count).map(|_| row(OutputData::Text(PackedStrings::first(&mut rest, size)))).collect()
            }
        }
    }

    /// Bytes of its elements.
    pub fn bytes(&self) -> usize {
        match &self.data {
            OutputData::Raw(chunks) => chunks.len(),
            OutputData::Text(strings) => strings.packed.len(),
        }
    }

    /// Bytes that it takes in memory, near enough, if nothing else holds them.
    pub fn weight(&self) -> usize {
        let pieces = match &self.data {
            OutputData::Raw(chunks) => size_of_val(chunks.pieces()),
            OutputData::Text(_) => 0,
        };
        size_of::<Self>() + size_of_val(self.shape.as_slice()) + pieces + self.bytes()
    }
}

impl PackedStrings {
    /// A copy of the first `count` strings of `rest`, which they leave.
    fn first(rest: &mut &[u8], count: usize) -> Self {
        let all = *rest;
        for _ in 0..count {
            super::split_string(rest);
        }
        Self { packed: Bytes::copy_from_slice(&all[..all.len() - rest.len()]), count }
    }
}

fn copy(bytes: &[u8]) -> Chunks {
    Chunks::from(Bytes::copy_from_slice(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(items: &[String], width: usize) -> OutputTensor {
        let shape = vec![(items.len() / width.max(1)) as i64, width as i64];
        let data = OutputData::Text(items.iter().map(String::as_str).collect());
        OutputTensor { element: ElementType::String, shape, data }
    }

    fn bytes(tensor: &OutputTensor) -> Vec<u8> {
        match &tensor.data {
            OutputData::Raw(chunks) => chunks.join().to_vec(),
            OutputData::Text(strings) => strings.packed.to_vec(),
        }
    }

    proptest! {
        #[test]
        fn rows_that_lie_apart_stack_to_the_whole(items in proptest::collection::vec(any::<String>(), 1..12), width in 1usize..4, cut: proptest::sample::Index) {
            let rows = items.len() / width;
            prop_assume!(rows > 0);
            let content: Vec<u8> = items.iter().flat_map(|item| [item.len() as u8; 2]).take(2 * rows * width).collect();
            let (one, two) = content.split_at(cut.index(content.len()));
            let mut chunks = Chunks::from(Bytes::copy_from_slice(one));
            chunks.push(Bytes::copy_from_slice(two));
            let shape = vec![rows as i64, width as i64];
            let numbers = OutputTensor { element: ElementType::Int16, shape, data: OutputData::Raw(chunks) };
            for whole in [numbers, texts(&items[..rows * width], width)] {
                let apart = whole.rows_apart();
                prop_assert_eq!(apart.len(), rows);
                let stacked = OutputTensor::stack(&apart).unwrap();
                prop_assert_eq!((&stacked.shape, bytes(&stacked)), (&whole.shape, bytes(&whole)));
                prop_assert_eq!(bytes(&whole.apart()), bytes(&whole));
            }
        }

        #[test]
        fn gathered_rows_are_those_that_were_named(content: [u8; 12], rows in proptest::collection::vec(0usize..4, 1..6), texts: bool) {
            let items: Vec<_> = content.iter().map(|byte| vec![*byte; usize::from(byte % 4)]).collect();
            let data = if texts { InputData::Text(items.iter().collect()) } else { InputData::Raw(&content) };
            let element = if texts { ElementType::String } else { ElementType::UInt8 };
            let whole = InputTensor { element, shape: vec![4, 3], data };
            let mut gathered = whole.gathered(&rows);
            let gathered = gathered.lend();
            prop_assert_eq!(&gathered.shape, &vec![rows.len() as i64, 3]);
            for (place, row) in rows.iter().enumerate() {
                let (one, other) = (gathered.slice(place..place + 1), whole.slice(*row..row + 1));
                match (one.data, other.data) {
                    (InputData::Text(one), InputData::Text(other)) => prop_assert!(one.iter().eq(other.iter())),
                    (InputData::Raw(one), InputData::Raw(other)) => prop_assert_eq!(one, other),
                    _ => prop_assert!(false),
                }
            }
        }
    }
}
