//! A connected socket, watched by the very thread that waits for it.
//!
//! A runtime's socket is watched by a thread of the runtime, which then wakes the one that waits: two task switches for
//! each message, and they take longer than everything else in a small call. So a thread that waits sees to its sockets
//! by itself, see [`super::sleep`]. Where none waits, as in a call that was begun and goes on alone, the runtime does.

use std::io::{self, IoSlice};
use std::net;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::sleep::{self, Direction};

/// A connected socket.
pub(super) struct Socket {
    place: Place,
    shared: bool,
}

enum Place {
    /// With the thread that waits for it, or with none.
    Caller(Arc<Line>),
    Runtime(TcpStream),
    /// It could not be moved.
    Lost,
}

impl Socket {
    /// A socket that one caller at a time waits for.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { place: Place::Runtime(stream), shared: false }
    }

    /// Says whether several callers are going to wait for it, so that it is the runtime's.
    pub(super) fn share(&mut self, shared: bool) {
        self.shared = shared;
    }

    /// The socket at the place where it is waited for now.
    fn place(&mut self) -> io::Result<&mut Place> {
        let here = !self.shared && sleep::is_watching();
        if here != matches!(self.place, Place::Caller(_)) {
            self.place = match std::mem::replace(&mut self.place, Place::Lost) {
                Place::Runtime(stream) => Place::Caller(Arc::new(Line::new(stream.into_std()?))),
                Place::Caller(line) => Place::Runtime(TcpStream::from_std(line.stream.try_clone()?)?),
                Place::Lost => Place::Lost,
            };
        }
        Ok(&mut self.place)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().place()? {
            Place::Caller(line) => line.poll_read(buffer),
            Place::Runtime(stream) => Pin::new(stream).poll_read(context, buffer),
            Place::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut().place()? {
            Place::Caller(line) => line.poll_write(pieces),
            Place::Runtime(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Place::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().place()? {
            Place::Caller(line) => Poll::Ready(line.stream.shutdown(net::Shutdown::Write)),
            Place::Runtime(stream) => Pin::new(stream).poll_shutdown(context),
            Place::Lost => Poll::Ready(Ok(())),
        }
    }
}

/// A socket that does not block, and what it is known to be ready for.
pub(super) struct Line {
    stream: net::TcpStream,
    readable: AtomicBool,
    writable: AtomicBool,
    /// The wait to which that is known: nobody watched the socket between it and the next.
    wait: AtomicU64,
}

impl Line {
    fn new(stream: net::TcpStream) -> Self {
        Self { stream, readable: true.into(), writable: true.into(), wait: 0.into() }
    }

    /// The socket itself.
    pub(super) fn stream(&self) -> &net::TcpStream {
        &self.stream
    }

    /// Says that the socket may be ready.
    pub(super) fn awake(&self, direction: Direction) {
        self.flag(direction).store(true, Ordering::Relaxed);
    }

    fn flag(&self, direction: Direction) -> &AtomicBool {
        match direction {
            Direction::In => &self.readable,
            Direction::Out => &self.writable,
        }
    }

    fn poll_read(self: &Arc<Self>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        let outcome = self.attempt(Direction::In, room, || {
            // SAFETY: nothing but what `recv` wrote is taken for initialized.
            let ((received, _), _) = recv(&self.stream, unsafe { buffer.unfilled_mut() }, RecvFlags::empty())?;
            let count = received.len();
            // SAFETY: these bytes were just written.
            unsafe { buffer.assume_init(count) };
            buffer.advance(count);
            Ok(count)
        });
        outcome.map_ok(drop)
    }

    fn poll_write(self: &Arc<Self>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        self.attempt(Direction::Out, length, || write(&self.stream, pieces))
    }

    /// Moves bytes unless the socket is known not to be ready, in which case it is watched. Less than `whole` means
    /// that it is not ready for more.
    fn attempt(
        self: &Arc<Self>,
        direction: Direction,
        whole: usize,
        mut work: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.forget();
        let ready = self.flag(direction);
        while ready.load(Ordering::Relaxed) {
            match work() {
                Ok(moved) => {
                    ready.store(moved == 0 || moved == whole, Ordering::Relaxed);
                    return Poll::Ready(Ok(moved));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.store(false, Ordering::Relaxed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        sleep::watch(self, direction);
        Poll::Pending
    }

    /// Forgets what an earlier wait knew.
    fn forget(&self) {
        let wait = sleep::number();
        if self.wait.swap(wait, Ordering::Relaxed) != wait {
            self.awake(Direction::In);
            self.awake(Direction::Out);
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn write(stream: &net::TcpStream, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
    // A host that lets SIGPIPE end it is not ended by a server that went away.
    Ok(sendmsg(stream, pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn write(mut stream: &net::TcpStream, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    io::Write::write_vectored(&mut stream, pieces)
}
