//! Protocol buffers on the wire, as little of them as the protocols need: fields written into a buffer, and fields
//! read from a body in pieces without copying it.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use std::borrow::Cow;

use bytes::Bytes;

use crate::tensor::Chunks;

/// The longest message that implementations read, in bytes.
pub const MAX_MESSAGE: usize = i32::MAX as usize;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED32: u8 = 5;

/// Bytes that `value` takes as a varint.
pub fn varint_size(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Bytes that a field of `length` bytes takes with its tag, if its number is below 16.
pub fn field_size(length: usize) -> usize {
    1 + varint_size(length as u64) + length
}

/// Writes a varint.
pub fn put_varint(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.push(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.push(value as u8);
}

/// Writes what stands before `length` bytes of field `number`, which is below 16.
pub fn put_head(buffer: &mut Vec<u8>, number: u8, length: usize) {
    buffer.push(number << 3 | LENGTH);
    put_varint(buffer, length as u64);
}

/// Writes a field of bytes or text; its number is below 16.
pub fn put_bytes(buffer: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    put_head(buffer, number, bytes.len());
    buffer.extend_from_slice(bytes);
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed(pub &'static str);

/// A part of a body that is read from its front; copying it shares the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    /// The first of them holds the next byte, unless there is none left.
    pieces: &'a [Bytes],
    /// Where in the first piece.
    at: usize,
    left: usize,
}

impl<'a> Cursor<'a> {
    /// The whole of `body`.
    pub fn new(body: &'a Chunks) -> Self {
        Self { pieces: body.pieces(), at: 0, left: body.len() }
    }

    /// Bytes that are left.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether no byte is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Splits off the next `length` bytes.
    pub fn take(&mut self, length: usize) -> Option<Self> {
        let taken = Self { left: length, ..*self };
        self.left = self.left.checked_sub(length)?;
        self.at += length;
        while let Some(piece) = self.pieces.first().filter(|piece| piece.len() <= self.at) {
            self.at -= piece.len();
            self.pieces = &self.pieces[1..];
        }
        Some(taken)
    }

    /// The bytes in their pieces, sharing memory with the body.
    pub fn to_chunks(self) -> Chunks {
        let mut chunks = Chunks::default();
        let (mut at, mut left) = (self.at, self.left);
        for piece in self.pieces {
            if left == 0 {
                break;
            }
            let end = piece.len().min(at + left);
            chunks.push(piece.slice(at..end));
            left -= end - at;
            at = 0;
        }
        chunks
    }

    /// The bytes as one slice, copied only where they lie in several pieces.
    pub fn to_bytes(self) -> Cow<'a, [u8]> {
        let whole = self.pieces.first().and_then(|piece| piece.get(self.at..self.at + self.left));
        whole.map_or_else(|| Cow::Owned(self.to_chunks().join().to_vec()), Cow::Borrowed)
    }

    /// The bytes as text.
    pub fn to_text(self) -> Result<Cow<'a, str>, Malformed> {
        let invalid = |_| Malformed("a text is no UTF-8");
        match self.to_bytes() {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(invalid),
            Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|error| invalid(error.utf8_error())),
        }
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.take(N)?.to_bytes();
        bytes.as_ref().try_into().ok()
    }

    /// The next varint, of at most 64 bits.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte().ok_or(Malformed("a number is cut short"))?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("a number has more than 64 bits"))
    }

    fn byte(&mut self) -> Option<u8> {
        if self.left == 0 {
            return None;
        }
        let piece = self.pieces.first()?;
        let byte = *piece.get(self.at)?;
        (self.at, self.left) = (self.at + 1, self.left - 1);
        if self.at == piece.len() {
            (self.at, self.pieces) = (0, &self.pieces[1..]);
        }
        Some(byte)
    }

    /// The fields of the message that is left.
    pub fn fields(self) -> Fields<'a> {
        Fields(self)
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// An integer or a bool.
    Varint(u64),
    /// Eight bytes.
    Fixed64([u8; 8]),
    /// Text, bytes, a message, or packed numbers.
    Length(Cursor<'a>),
    /// Four bytes.
    Fixed32([u8; 4]),
}

impl<'a> Value<'a> {
    /// Text, bytes, a message, or packed numbers; nothing else passes.
    pub fn length(self) -> Result<Cursor<'a>, Malformed> {
        match self {
            Value::Length(cursor) => Ok(cursor),
            _ => Err(Malformed("a field has another form than its type")),
        }
    }

    /// Calls `each` for every number of a repeated field of varints, packed or not.
    pub fn varints<E: From<Malformed>>(self, mut each: impl FnMut(u64) -> Result<(), E>) -> Result<(), E> {
        match self {
            Value::Varint(value) => each(value),
            Value::Length(mut packed) => {
                while !packed.is_empty() {
                    each(packed.varint()?)?;
                }
                Ok(())
            }
            _ => Err(Malformed("a field has another form than its type").into()),
        }
    }
}

/// The fields of a message in the order in which they came.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(Cursor<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0.left = 0; // what follows means nothing
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let tag = u32::try_from(self.0.varint()?).map_err(|_| Malformed("a field's tag is too long"))?;
        let short = Malformed("a field is cut short");
        let value = match (tag & 7) as u8 {
            VARINT => Value::Varint(self.0.varint()?),
            FIXED64 => Value::Fixed64(self.0.array().ok_or(short)?),
            LENGTH => {
                let length = usize::try_from(self.0.varint()?).map_err(|_| short)?;
                Value::Length(self.0.take(length).ok_or(short)?)
            }
            FIXED32 => Value::Fixed32(self.0.array().ok_or(short)?),
            _ => return Err(Malformed("a field has a form that is not in use")),
        };
        match tag >> 3 {
            0 => Err(Malformed("a field has the number 0")),
            number => Ok((number, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `bytes` in pieces of `size`.
    fn body(bytes: &[u8], size: usize) -> Chunks {
        let mut chunks = Chunks::default();
        bytes.chunks(size.max(1)).for_each(|piece| chunks.push(Bytes::copy_from_slice(piece)));
        chunks
    }

    fn first(bytes: &[u8]) -> Result<u32, Malformed> {
        Cursor::new(&body(bytes, 64)).fields().next().unwrap().map(|(number, _)| number)
    }

    #[test]
    fn fields_that_cannot_be_are_refused() {
        for bytes in [
            &[0x80][..],
            &[0x08],
            &[0x08, 0x80],
            &[0x0a, 0x02, 0x00],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00],
            &[0x0b, 0x0c],
            &[0x0d, 0, 0, 0],
            &[0x09, 0, 0, 0, 0, 0, 0, 0],
            &[0x00, 0x00],
        ] {
            assert!(first(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(first(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Ok(1));
    }

    #[test]
    fn a_text_is_utf8() {
        assert!(Cursor::new(&body(b"\xff", 1)).to_text().is_err());
        assert_eq!(Cursor::new(&body("naïve".as_bytes(), 3)).to_text().unwrap(), "naïve");
        assert_eq!(Cursor::new(&body(b"", 3)).to_text().unwrap(), "");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_however_it_is_cut(
            fields in proptest::collection::vec((1u8..16, proptest::collection::vec(any::<u8>(), 0..300)), 0..8),
            size in 1usize..64,
        ) {
            let mut bytes = Vec::new();
            fields.iter().for_each(|(number, data)| put_bytes(&mut bytes, *number, data));
            prop_assert_eq!(bytes.len(), fields.iter().map(|(_, data)| field_size(data.len())).sum::<usize>());
            let body = body(&bytes, size);
            let read: Vec<_> = Cursor::new(&body)
                .fields()
                .map(|field| field.map(|(number, value)| (number as u8, value.length().unwrap().to_bytes().to_vec())))
                .collect::<Result<_, _>>()
                .unwrap();
            prop_assert_eq!(read, fields);
        }

        #[test]
        fn a_varint_is_read_again_and_as_long_as_said(value: u64, shift in 0u32..64, size in 1usize..4) {
            let (value, mut bytes) = (value >> shift, Vec::new());
            put_varint(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varint_size(value));
            prop_assert_eq!(Cursor::new(&body(&bytes, size)).varint(), Ok(value));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), size in 1usize..20) {
            let body = body(&bytes, size);
            for field in Cursor::new(&body).fields() {
                let Ok((_, value)) = field else { continue };
                let _ = value.varints(|_| Ok::<_, Malformed>(()));
                if let Ok(cursor) = value.length() {
                    prop_assert_eq!(cursor.to_chunks().len(), cursor.len());
                    let _ = cursor.to_text();
                }
            }
        }
    }
}
