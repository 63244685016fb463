//! HTTP/1.1 (RFC 9112): one exchange after the other on a connection, driven by the thread that waits for the answer.
//!
//! Written by hand because a request is sent from the tensors' own memory: libraries that run an exchange as a task of
//! its own cannot borrow.

mod head;
mod outgoing;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};
use httparse::Status;
use tokio::io::AsyncReadExt;

use self::head::{Head, Length};
use self::outgoing::Outgoing;
use super::coding::Coding;
use super::io::{BoxIo, cut_short, lost};
use super::reading::Reading;
use super::{Body, Limits, Response, Tally, Trouble, sleep};
use crate::failure::{Code, Problem};

/// Bytes to reserve for one read: at first, and for a body that is known to be large. No more is reserved, however
/// large a body claims to be.
const ROOM: usize = 8 << 10;
const LARGE_ROOM: usize = 256 << 10;

/// Bytes that the line of a chunk's size, or all trailers, may have.
const MAX_LINE: usize = 16 << 10;

/// Interim answers (100 to 199) that may come before the answer.
const MAX_INTERIM: usize = 64;

/// An open connection.
pub(super) struct Http1 {
    io: BoxIo,
    /// What was read and not yet used.
    buffer: BytesMut,
    /// Whether another exchange may follow.
    open: bool,
}

impl Http1 {
    /// Begins HTTP/1.1 on a connected socket.
    pub(super) fn new(io: BoxIo) -> Self {
        Self { io, buffer: BytesMut::new(), open: true }
    }

    /// Whether another exchange may follow, as far as the last one showed.
    pub(super) fn is_open(&self) -> bool {
        self.open && self.buffer.is_empty()
    }

    /// Whether the next request can be sent now. Anything that came while the connection was idle, its end included,
    /// makes it useless.
    pub(super) async fn is_ready(&mut self) -> bool {
        if self.is_open() {
            sleep::forget();
            self.buffer.reserve(ROOM);
            let came =
                poll_fn(|context| Poll::Ready(pin!(self.io.read_buf(&mut self.buffer)).poll(context).is_ready()));
            self.open = !came.await;
        }
        self.is_open()
    }

    /// Sends a request, whose head is ready to be sent, and reads its answer.
    pub(super) async fn exchange(
        &mut self,
        head: &[u8],
        body: &Body<'_>,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Trouble> {
        self.open = false; // unless the exchange ends well
        let mut exchange = Exchange { connection: self, outgoing: Outgoing::new(head, body) };
        let Head { status, mut headers, length, keeps } = exchange.head().await?;
        let good = status.as_u16() == 200;
        let mut reading = Reading::new(limits, good, Coding::take(&mut headers), tally);
        let outcome = exchange.body(length, &mut reading).await.and_then(|()| reading.end());
        let again = keeps && outcome.is_ok() && exchange.outgoing.is_sent();
        self.open = again;
        match outcome {
            Err(problem) if good => Err(Trouble::Final(problem.with_status(200))),
            // The text of an error is quoted as far as it came, and as far as the limit allows.
            _ => Ok(Response { status, headers, body: reading.finish(), ..Response::default() }),
        }
    }
}

/// One exchange, under way.
struct Exchange<'a> {
    connection: &'a mut Http1,
    outgoing: Outgoing<'a>,
}

impl Exchange<'_> {
    /// Reads more into the buffer; the end of the connection is an error.
    async fn more(&mut self, room: usize) -> io::Result<()> {
        match self.read(room).await? {
            0 => Err(closed()),
            _ => Ok(()),
        }
    }

    /// Reads into the buffer, and meanwhile sends what is left of the request: a server may answer before it has read
    /// everything.
    async fn read(&mut self, room: usize) -> io::Result<usize> {
        let Self { connection: Http1 { io, buffer, .. }, outgoing } = self;
        if buffer.capacity() - buffer.len() < room.min(ROOM) {
            buffer.reserve(room);
        }
        poll_fn(|context| {
            outgoing.advance(io, context);
            pin!(io.read_buf(buffer)).poll(context)
        })
        .await
    }

    /// The head of the answer; those of interim answers before it are skipped.
    async fn head(&mut self) -> Result<Head, Trouble> {
        let (mut known, mut interim) = (0, 0);
        loop {
            self.more(ROOM).await.map_err(|error| match (known, interim) {
                (0, 0) => Trouble::Unanswered(lost(&error)),
                // Whoever begins to answer has taken the request.
                _ => Trouble::Final(cut_short(&error)),
            })?;
            while let Some(head) = Head::take(&mut self.connection.buffer, known).map_err(no_http)? {
                if !matches!(head.status.as_u16(), 100 | 102..200) {
                    return Ok(head);
                }
                (known, interim) = (0, interim + 1);
                if interim > MAX_INTERIM {
                    return Err(no_http("it has too many interim answers"));
                }
            }
            known = self.connection.buffer.len();
        }
    }

    async fn body(&mut self, length: Length, reading: &mut Reading<'_>) -> Result<(), Problem> {
        match length {
            Length::Known(length) => {
                // The length is checked, but nothing is allocated for it: a header may claim anything.
                reading.expect(length)?;
                self.known(length, reading).await
            }
            Length::Chunked => self.chunked(reading).await,
            Length::Close => self.until_close(reading).await,
        }
    }

    async fn known(&mut self, mut left: u64, reading: &mut Reading<'_>) -> Result<(), Problem> {
        while left > 0 {
            let most = left.min(reading.room());
            let ended = self.gather(most, reading).await?;
            left -= self.add(most, reading).await?;
            if ended && left > 0 {
                return Err(cut_short(&closed()));
            }
        }
        Ok(())
    }

    /// Reads until `most` bytes are in the buffer, or as many as it has room for, since a few large pieces take less
    /// memory and time than many small ones. Whether the connection ended.
    async fn gather(&mut self, most: u64, reading: &Reading<'_>) -> Result<bool, Problem> {
        let (most, mut counted) = (usize::try_from(most).unwrap_or(usize::MAX), 0);
        loop {
            let buffer = &self.connection.buffer;
            let there = buffer.len().min(most);
            reading.received(there - counted);
            counted = there;
            let spare = buffer.capacity() - buffer.len();
            if there == most || (there > 0 && spare < ROOM.min(most - there)) {
                return Ok(false);
            }
            if self.read((most - there).min(LARGE_ROOM)).await.map_err(|error| cut_short(&error))? == 0 {
                return Ok(true);
            }
        }
    }

    /// Adds what is in the buffer, at most `most` bytes, to the body; how many it were.
    async fn add(&mut self, most: u64, reading: &mut Reading<'_>) -> Result<u64, Problem> {
        let piece = self.take(most);
        let length = piece.len() as u64;
        reading.add(piece).await?;
        Ok(length)
    }

    /// Takes what is in the buffer, at most `most` bytes.
    fn take(&mut self, most: u64) -> Bytes {
        let buffer = &mut self.connection.buffer;
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
        buffer.split_to(count).freeze()
    }

    async fn chunked(&mut self, reading: &mut Reading<'_>) -> Result<(), Problem> {
        loop {
            match self.chunk_size().await? {
                0 => return self.trailers().await,
                size => self.known(size, reading).await?,
            }
            if !self.line().await?.is_empty() {
                return Err(misframed("a chunk is longer than its size"));
            }
        }
    }

    async fn chunk_size(&mut self) -> Result<u64, Problem> {
        loop {
            let buffer = &mut self.connection.buffer;
            match httparse::parse_chunk_size(buffer) {
                Ok(Status::Complete((end, size))) => {
                    buffer.advance(end);
                    return Ok(size);
                }
                Ok(Status::Partial) if buffer.len() < MAX_LINE => {
                    self.more(ROOM).await.map_err(|error| cut_short(&error))?;
                }
                _ => return Err(misframed("the size of a chunk is malformed")),
            }
        }
    }

    /// Reads and drops the trailers.
    async fn trailers(&mut self) -> Result<(), Problem> {
        let mut length = 0;
        loop {
            match self.line().await?.len() {
                0 => return Ok(()),
                more => length += more,
            }
            if length > MAX_LINE {
                return Err(misframed("its trailers are too long"));
            }
        }
    }

    /// A line without its end.
    async fn line(&mut self) -> Result<Bytes, Problem> {
        loop {
            let buffer = &mut self.connection.buffer;
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end + 1).freeze();
                let text = line.strip_suffix(b"\r\n").ok_or_else(|| misframed("a line has no proper end"))?;
                return Ok(line.slice_ref(text));
            }
            if buffer.len() > MAX_LINE {
                return Err(misframed("a line is too long"));
            }
            self.more(ROOM).await.map_err(|error| cut_short(&error))?;
        }
    }

    async fn until_close(&mut self, reading: &mut Reading<'_>) -> Result<(), Problem> {
        loop {
            let most = reading.room();
            let ended = self.gather(most, reading).await?;
            self.add(most, reading).await?;
            if ended {
                return Ok(());
            }
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")
}

fn no_http(what: &str) -> Trouble {
    Trouble::Final(Problem::new(Code::Answer, format!("the answer is no HTTP: {what}")))
}

fn misframed(what: &'static str) -> Problem {
    cut_short(&io::Error::new(io::ErrorKind::InvalidData, what))
}
