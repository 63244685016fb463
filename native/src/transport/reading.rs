//! A body as it is read: counted, decompressed, and never larger than allowed.

use bytes::{Bytes, BytesMut};

use super::coding::{self, Coding, Decoder};
use super::{Limits, Tally};
use crate::failure::{Code, Problem};
use crate::tensor::Chunks;

/// How much is read of the body of an error answer, in bytes.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// From this many bytes on a piece is kept as it came. Smaller ones are copied side by side: a piece keeps the whole
/// buffer that it was read into, so that many small ones would take far more memory than they have bytes.
const KEPT: usize = 16 << 10;

/// A body that is being read.
pub(super) struct Reading<'a> {
    limit: u64,
    good: bool,
    tally: &'a Tally,
    /// Bytes that came.
    came: u64,
    /// Bytes that are kept, of which there may be more.
    length: u64,
    /// Bytes that count among those of the call.
    held: u64,
    decoder: Option<Decoder>,
    chunks: Chunks,
    /// Small pieces that came behind the chunks.
    small: BytesMut,
}

impl<'a> Reading<'a> {
    /// Begins the body of an answer: of a good one, which has the limit together with the other answers of its call, or
    /// of an error, of which only the beginning is quoted. What is compressed is kept as it was before.
    pub(super) fn new(limits: &Limits, good: bool, coding: Option<Coding>, tally: &'a Tally) -> Self {
        let most = limits.max_response_bytes;
        let limit = if good { most } else { most.min(MAX_ERROR_BYTES) };
        let (chunks, small) = (Chunks::default(), BytesMut::new());
        Self { limit, good, tally, came: 0, length: 0, held: 0, decoder: coding.map(Decoder::new), chunks, small }
    }

    /// Refuses a body whose announced length is too large.
    pub(super) fn expect(&self, length: u64) -> Result<(), Problem> {
        if length <= self.limit {
            return Ok(());
        }
        let limit = self.limit;
        Err(Problem::new(Code::TooLarge, format!("the answer is larger than the {limit} bytes that the policy allows")))
    }

    /// Counts bytes that came and are going to be added.
    pub(super) fn received(&self, bytes: usize) {
        self.tally.received(bytes as u64);
    }

    /// Bytes to read next: as many as may still come, and where there are none one more, which shows that it is too large.
    pub(super) fn room(&self) -> u64 {
        if self.came < self.limit { self.limit - self.came } else { 1 }
    }

    /// Adds a piece; the one that makes the body too large is not kept.
    pub(super) async fn add(&mut self, mut piece: Bytes) -> Result<(), Problem> {
        self.came += piece.len() as u64;
        self.expect(self.came)?;
        let Some(mut decoder) = self.decoder.take() else { return self.keep(piece) };
        while decoder.has_more(&piece) {
            let step = Bytes::copy_from_slice(decoder.step(&mut piece)?);
            self.keep(step)?;
            coding::pause().await;
        }
        self.decoder = Some(decoder);
        Ok(())
    }

    /// Refuses a body that ended before what is compressed in it did.
    pub(super) fn end(&self) -> Result<(), Problem> {
        self.decoder.as_ref().map_or(Ok(()), Decoder::finish)
    }

    fn keep(&mut self, piece: Bytes) -> Result<(), Problem> {
        self.length += piece.len() as u64;
        self.expect(self.length)?;
        if self.good {
            self.held += piece.len() as u64;
            self.expect(self.tally.hold(piece.len() as u64))?;
        }
        if piece.len() < KEPT {
            self.small.extend_from_slice(&piece);
        } else {
            self.chunks.push(self.small.split().freeze());
            self.chunks.push(piece);
        }
        Ok(())
    }

    /// The first `N` bytes, once they have come.
    pub(super) fn first<const N: usize>(&self) -> Option<[u8; N]> {
        let mut bytes = self.chunks.iter().chain([self.small.as_ref()]).flatten();
        let mut first = [0; N];
        first.iter_mut().try_for_each(|byte| bytes.next().map(|next| *byte = *next)).map(|()| first)
    }

    /// The body.
    pub(super) fn finish(mut self) -> Chunks {
        self.held = 0; // from now on by the body's owner
        let mut chunks = std::mem::take(&mut self.chunks);
        chunks.push(self.small.split().freeze());
        chunks
    }
}

/// A body that is given up takes no part in the limit any more: another attempt reads it again.
impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.tally.release(self.held);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::transport::runtime::block_on;

    fn limits(max_response_bytes: u64) -> Limits {
        Limits {
            deadline: Instant::now(),
            connect_timeout: Duration::ZERO,
            attempt_timeout: None,
            retries: 0,
            max_response_bytes,
        }
    }

    /// What a future gives that never waits.
    fn wait<T>(future: impl Future<Output = T>) -> T {
        block_on(Instant::now() + Duration::from_secs(10), future).unwrap()
    }

    fn read(pieces: &[Vec<u8>]) -> Chunks {
        let tally = Tally::default();
        let mut reading = Reading::new(&limits(u64::MAX), true, None, &tally);
        pieces.iter().for_each(|piece| wait(reading.add(Bytes::copy_from_slice(piece))).unwrap());
        reading.finish()
    }

    #[test]
    fn small_pieces_take_no_more_memory_than_their_bytes() {
        assert_eq!(read(&vec![vec![7]; 100_000]).pieces().len(), 1);
    }

    #[test]
    fn the_piece_that_makes_a_body_too_large_is_not_kept() {
        let tally = Tally::default();
        let mut reading = Reading::new(&limits(3), true, None, &tally);
        assert!(wait(reading.add(Bytes::from_static(b"abc"))).is_ok());
        assert_eq!(wait(reading.add(Bytes::from_static(b"d"))).unwrap_err().code, Code::TooLarge);
        assert_eq!((reading.first::<3>(), reading.first::<4>()), (Some(*b"abc"), None));
        assert_eq!(reading.finish().join(), &b"abc"[..]);
    }

    #[test]
    fn the_answers_of_a_call_have_one_limit_together() {
        let (tally, limits) = (Tally::default(), limits(3));
        let read = |good, piece| {
            let mut reading = Reading::new(&limits, good, None, &tally);
            wait(reading.add(Bytes::from_static(piece))).map(|()| reading)
        };
        drop(read(true, b"abc").unwrap()); // one that is given up has no part in it
        read(true, b"ab").unwrap().finish();
        assert!(read(false, b"abc").is_ok());
        assert!(read(true, b"ab").is_err());
    }

    proptest! {
        #[test]
        fn a_body_is_its_pieces_in_their_order(
            lengths in proptest::collection::vec(prop_oneof![0usize..9, KEPT - 1..KEPT + 2], 0..12),
        ) {
            let piece = |(number, length)| vec![number as u8; length];
            let pieces: Vec<Vec<u8>> = lengths.into_iter().enumerate().map(piece).collect();
            prop_assert_eq!(read(&pieces).join(), pieces.concat());
        }
    }
}
