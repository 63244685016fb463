//! A body as it is read: counted, and never larger than allowed.

use bytes::Bytes;

use super::Tally;
use crate::failure::{Code, Problem};
use crate::tensor::Chunks;

/// How much is read of the body of an error answer, in bytes.
pub(super) const MAX_ERROR_BYTES: u64 = 64 << 10;

/// A body that is being read.
pub(super) struct Reading<'a> {
    limit: u64,
    tally: &'a Tally,
    length: u64,
    chunks: Chunks,
}

impl<'a> Reading<'a> {
    /// Begins a body of at most `limit` bytes.
    pub(super) fn new(limit: u64, tally: &'a Tally) -> Self {
        Self { limit, tally, length: 0, chunks: Chunks::default() }
    }

    /// Refuses a body whose announced length is too large.
    pub(super) fn expect(&self, length: u64) -> Result<(), Problem> {
        if length <= self.limit {
            return Ok(());
        }
        let limit = self.limit;
        Err(Problem::new(Code::TooLarge, format!("the answer is larger than the {limit} bytes that the policy allows")))
    }

    /// Adds a piece; the one that makes the body too large is not kept.
    pub(super) fn add(&mut self, piece: Bytes) -> Result<(), Problem> {
        self.tally.received(&piece);
        self.length += piece.len() as u64;
        self.expect(self.length)?;
        self.chunks.push(piece);
        Ok(())
    }

    /// What has been read so far.
    pub(super) fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    /// The body.
    pub(super) fn finish(self) -> Chunks {
        self.chunks
    }
}
