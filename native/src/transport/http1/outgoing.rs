//! A request on its way out, sent from where its bytes are, without a copy.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use crate::transport::Body;
use crate::transport::io::BoxIo;

/// Pieces that one system call writes at most.
const AT_ONCE: usize = 16;

/// What is left to be sent.
pub(super) struct Outgoing<'a> {
    pieces: Vec<&'a [u8]>,
    /// Pieces that are sent.
    sent: usize,
    state: State,
}

enum State {
    Sending,
    Sent,
    /// Writing failed; an answer may come all the same.
    Failed,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(head: &'a [u8], body: &'a Body<'_>) -> Self {
        let pieces = std::iter::once(head).chain(body.pieces()).filter(|piece| !piece.is_empty()).collect();
        Self { pieces, sent: 0, state: State::Sending }
    }

    /// Whether the system has taken the whole request.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.state, State::Sent)
    }

    /// Sends what can be sent now.
    pub(super) fn advance(&mut self, io: &mut BoxIo, context: &mut Context<'_>) {
        while let State::Sending = self.state {
            match self.send(Pin::new(&mut *io), context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => self.state = State::Failed,
                Poll::Pending => return,
            }
        }
    }

    fn send(&mut self, io: Pin<&mut BoxIo>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sent == self.pieces.len() {
            return io.poll_flush(context).map_ok(|()| self.state = State::Sent);
        }
        let mut slices = [IoSlice::new(&[]); AT_ONCE];
        let left = &self.pieces[self.sent..];
        slices.iter_mut().zip(left).for_each(|(slice, piece)| *slice = IoSlice::new(piece));
        match io.poll_write_vectored(context, &slices[..left.len().min(AT_ONCE)]) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            outcome => outcome.map_ok(|count| self.pass(count)),
        }
    }

    fn pass(&mut self, mut count: usize) {
        while let Some(piece) = self.pieces.get_mut(self.sent).filter(|_| count > 0) {
            let part = count.min(piece.len());
            *piece = &piece[part..];
            count -= part;
            self.sent += usize::from(piece.is_empty());
        }
    }
}
