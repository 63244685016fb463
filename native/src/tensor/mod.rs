//! Tensors on their way: inputs as ONNX Runtime lends them, outputs as a response brought them.

mod apart;
mod rows;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::element::ElementType;

pub use apart::OwnedTensor;

/// A tensor that a call sends; numeric data stays where ONNX Runtime keeps it.
#[derive(Clone, Debug)]
pub struct InputTensor<'a> {
    /// The type of the elements.
    pub element: ElementType,
    /// The dimensions; none for a scalar.
    pub shape: Vec<i64>,
    /// The elements in row-major order.
    pub data: InputData<'a>,
}

/// The elements of an [`InputTensor`].
#[derive(Clone, Debug)]
pub enum InputData<'a> {
    /// Fixed-size elements in native byte order.
    Raw(&'a [u8]),
    /// Strings.
    Text(Strings),
    /// A string that lies where ONNX Runtime keeps it: all the bytes of another tensor.
    Blob(&'a [u8]),
}

/// The strings of an input tensor, side by side in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    /// All the bytes.
    pub content: Vec<u8>,
    /// Where each string starts.
    pub starts: Vec<usize>,
}

impl Strings {
    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.content.len()]);
        self.starts.iter().zip(ends).map(|(&start, end)| &self.content[start..end])
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(items: I) -> Self {
        let mut strings = Self::default();
        for item in items {
            strings.starts.push(strings.content.len());
            strings.content.extend_from_slice(item.as_ref());
        }
        strings
    }
}

/// A tensor that a response brought. Whoever makes one has checked that the data fit the shape.
#[derive(Clone, Debug)]
pub struct OutputTensor {
    /// The type of the elements.
    pub element: ElementType,
    /// The dimensions; none for a scalar.
    pub shape: Vec<i64>,
    /// The elements in row-major order.
    pub data: OutputData,
}

/// The elements of an [`OutputTensor`].
#[derive(Clone, Debug)]
pub enum OutputData {
    /// Fixed-size elements in native byte order.
    Raw(Chunks),
    /// Strings.
    Text(PackedStrings),
}

impl OutputTensor {
    /// A tensor without elements, of a `shape` that has none.
    pub fn empty(element: ElementType, shape: Vec<i64>) -> Self {
        let data = match element {
            ElementType::String => OutputData::Text(PackedStrings::default()),
            _ => OutputData::Raw(Chunks::default()),
        };
        Self { element, shape, data }
    }
}

/// Bytes of the widest element, a complex128.
const WIDEST: i64 = 16;

/// How many elements a shape holds. `None` if a dimension is negative or the array would be too large to address; as in
/// numpy, sizes of 0 do not make a shape with others that are too large acceptable.
pub fn element_count(shape: &[i64]) -> Option<usize> {
    let mut product: i64 = 1;
    for &dimension in shape.iter().filter(|dimension| **dimension != 0) {
        product = product.checked_mul(dimension).filter(|_| dimension > 0)?;
    }
    isize::try_from(product.checked_mul(WIDEST)?).ok()?;
    if shape.contains(&0) { Some(0) } else { usize::try_from(product).ok() }
}

/// A body in the pieces in which it came; they are joined only where somebody needs them in one.
#[derive(Clone, Debug, Default)]
pub struct Chunks(Vec<Bytes>);

impl Chunks {
    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.0.push(piece);
        }
    }

    /// Bytes in all pieces.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pieces in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Bytes::as_ref)
    }

    /// The pieces themselves; none of them is empty.
    pub fn pieces(&self) -> &[Bytes] {
        &self.0
    }

    /// All bytes in one piece; copies only if there are several.
    pub fn join(&self) -> Bytes {
        match self.0.as_slice() {
            [] => Bytes::new(),
            [only] => only.clone(),
            several => {
                let mut joined = BytesMut::with_capacity(self.len());
                several.iter().for_each(|piece| joined.put_slice(piece));
                joined.freeze()
            }
        }
    }
}

/// The pieces, each of which can be dropped once it is read.
impl IntoIterator for Chunks {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Bytes> for Chunks {
    fn from(bytes: Bytes) -> Self {
        let mut chunks = Self::default();
        chunks.push(bytes);
        chunks
    }
}

/// Strings of an output, each behind its length as a little-endian `u32`. They stay in this form of the wire, so that
/// very many strings take no more memory than the response did.
#[derive(Clone, Debug, Default)]
pub struct PackedStrings {
    packed: Bytes,
    count: usize,
}

impl PackedStrings {
    /// Takes over packed strings; `Err` says at which string the bytes are cut short or no UTF-8.
    pub fn parse(packed: Bytes) -> Result<Self, PackedError> {
        Self::parse_with(packed, |_| Some(()))
    }

    /// Takes over packed strings as [`Self::parse`] does, as long as `admits` lets a string of so many bytes pass.
    pub fn parse_with(packed: Bytes, mut admits: impl FnMut(usize) -> Option<()>) -> Result<Self, PackedError> {
        let (mut rest, mut count) = (packed.as_ref(), 0);
        while !rest.is_empty() {
            let string = split_string(&mut rest).ok_or(PackedError::Length(count))?;
            admits(string.len()).ok_or(PackedError::Refused)?;
            std::str::from_utf8(string).map_err(|_| PackedError::Encoding(count))?;
            count += 1;
        }
        Ok(Self { packed, count })
    }

    /// The one string of `packed`, whatever its bytes are; `None` where it is cut short or not the only one.
    pub fn only(packed: &Bytes) -> Option<Bytes> {
        let mut rest = packed.as_ref();
        let string = split_string(&mut rest)?;
        rest.is_empty().then(|| packed.slice_ref(string))
    }

    /// The strings as they are packed.
    pub fn packed(&self) -> &Bytes {
        &self.packed
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.packed.as_ref();
        std::iter::from_fn(move || split_string(&mut rest))
    }
}

impl<'a> FromIterator<&'a str> for PackedStrings {
    fn from_iter<I: IntoIterator<Item = &'a str>>(items: I) -> Self {
        let (mut packed, mut count) = (BytesMut::new(), 0);
        for item in items {
            // A string of 4 GiB never gets here: no body that is read as text may be that large.
            packed.put_u32_le(u32::try_from(item.len()).unwrap_or(u32::MAX));
            packed.put_slice(item.as_bytes());
            count += 1;
        }
        Self { packed: packed.freeze(), count }
    }
}

/// What is wrong with packed strings, and at which of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PackedError {
    /// A length or the string behind it is cut short.
    Length(usize),
    /// A string is no UTF-8.
    Encoding(usize),
    /// One string too many.
    Refused,
}

fn split_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
    let (string, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(string)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_element_count_is_exact_or_refused() {
        assert_eq!(element_count(&[]), Some(1));
        assert_eq!(element_count(&[2, 3]), Some(6));
        assert_eq!(element_count(&[0, 5]), Some(0));
        assert_eq!(element_count(&[-1]), None);
        assert_eq!(element_count(&[0, 1 << 62]), None);
        assert_eq!(element_count(&[0, -1]), None);
        assert_eq!(element_count(&[i64::MAX, 2]), None);
        assert_eq!(element_count(&[0, i64::MAX, 2]), None);
    }

    #[test]
    fn input_strings_come_back_in_order() {
        let strings: Strings = ["a", "", "b\0c"].into_iter().collect();
        assert_eq!(strings.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"b\0c"]);
        assert_eq!(Strings::default().iter().count(), 0);
    }

    proptest! {
        #[test]
        fn packed_strings_round_trip(items in proptest::collection::vec(any::<String>(), 0..20)) {
            let made: PackedStrings = items.iter().map(String::as_str).collect();
            let parsed = PackedStrings::parse(made.packed.clone()).unwrap();
            prop_assert_eq!(parsed.len(), items.len());
            prop_assert!(parsed.iter().eq(items.iter().map(String::as_bytes)));
        }

        #[test]
        fn an_only_string_is_found_and_no_other(items in proptest::collection::vec(any::<Vec<u8>>(), 0..3)) {
            let packed: Vec<u8> =
                items.iter().flat_map(|item| [&(item.len() as u32).to_le_bytes()[..], item].concat()).collect();
            let only = PackedStrings::only(&Bytes::from(packed.clone())).map(|only| only.to_vec());
            prop_assert_eq!(only, if let [only] = items.as_slice() { Some(only.clone()) } else { None });
        }

        #[test]
        fn arbitrary_packed_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(strings) = PackedStrings::parse(Bytes::from(bytes)) {
                prop_assert_eq!(strings.iter().count(), strings.len());
            }
        }
    }
}
