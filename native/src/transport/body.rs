//! The body of a request: bytes that it owns, and borrowed bytes, which are sent without a copy.

use bytes::{Bytes, BytesMut};

/// A body in pieces, in their order.
#[derive(Clone, Debug, Default)]
pub struct Body<'a>(Vec<Piece<'a>>);

#[derive(Clone, Debug)]
enum Piece<'a> {
    Own(Bytes),
    Lent(&'a [u8]),
}

impl Piece<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Lent(bytes) => bytes,
        }
    }
}

impl<'a> Body<'a> {
    /// Adds bytes that the body owns.
    pub fn push(&mut self, bytes: impl Into<Bytes>) {
        self.0.push(Piece::Own(bytes.into()));
    }

    /// Adds bytes that the body borrows.
    pub fn lend(&mut self, bytes: &'a [u8]) {
        self.0.push(Piece::Lent(bytes));
    }

    /// Bytes in all pieces.
    pub fn len(&self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.pieces().all(<[u8]>::is_empty)
    }

    /// The pieces in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Piece::bytes)
    }

    /// All bytes in one piece; copied unless the body is one owned piece.
    pub fn join(&self) -> Bytes {
        match self.0.as_slice() {
            [] => Bytes::new(),
            [Piece::Own(only)] => only.clone(),
            _ => {
                let mut joined = BytesMut::with_capacity(self.len());
                self.pieces().for_each(|piece| joined.extend_from_slice(piece));
                joined.freeze()
            }
        }
    }

    /// The same body, borrowing nothing.
    pub fn into_owned(self) -> Body<'static> {
        Body::from(self.join())
    }
}

impl<B: Into<Bytes>> From<B> for Body<'_> {
    fn from(bytes: B) -> Self {
        Self(vec![Piece::Own(bytes.into())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lent_bytes_are_part_of_the_body_and_copied_only_when_it_has_to_own_them() {
        let lent = b"cd".to_vec();
        let mut body = Body::from("ab");
        body.lend(&lent);
        body.push("e");
        assert_eq!((body.len(), body.is_empty()), (5, false));
        assert!(body.pieces().any(|piece| std::ptr::eq(piece, lent.as_slice())));
        let owned = body.into_owned();
        drop(lent);
        assert_eq!(owned.join(), "abcde");
    }

    #[test]
    fn a_body_without_a_byte_is_empty() {
        assert!(Body::default().is_empty() && Body::from("").is_empty() && Body::default().join().is_empty());
    }
}
