//! A connected socket, watched by the very thread that waits for it.
//!
//! A runtime's socket is watched by a thread of the runtime, which then wakes the one that waits: two task switches for
//! each message, and they take longer than everything else in a small call. So a thread that waits sees to its sockets
//! by itself, see [`super::sleep`]. Where none waits, as in a call that was begun and goes on alone, the runtime does.

use std::io::{self, ErrorKind, IoSlice};
use std::net;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::line::{Direction, Line, write};
use super::sleep;

/// A connected socket.
pub(super) struct Socket {
    watcher: Watcher,
    shared: bool,
}

/// Who watches a socket.
enum Watcher {
    /// The thread that waits for it, if one does.
    Caller(Arc<Line>),
    /// A thread of the runtime.
    Runtime(TcpStream),
    /// Nobody: it could not be handed over.
    Nobody,
}

impl Socket {
    /// A socket that one caller at a time waits for.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { watcher: Watcher::Runtime(stream), shared: false }
    }

    /// A socket of the runtime's, which any number of callers may wait for.
    pub(super) fn shared(stream: TcpStream) -> Self {
        Self { watcher: Watcher::Runtime(stream), shared: true }
    }

    /// Says whether several callers are going to wait for it, so that it is the runtime's.
    pub(super) fn share(&mut self, shared: bool) {
        self.shared = shared;
    }

    /// The socket, to be read or written once by whoever watches it now.
    fn turn(&mut self, context: &Context<'_>) -> Poll<io::Result<&mut Watcher>> {
        if sleep::may_move() {
            return Poll::Ready(self.watcher());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// The socket, handed over to whoever has to watch it now.
    fn watcher(&mut self) -> io::Result<&mut Watcher> {
        let here = !self.shared && sleep::is_watching();
        if here != matches!(self.watcher, Watcher::Caller(_)) {
            self.watcher = match std::mem::replace(&mut self.watcher, Watcher::Nobody) {
                Watcher::Runtime(stream) => Watcher::Caller(Arc::new(Line::new(stream.into_std()?))),
                Watcher::Caller(line) => Watcher::Runtime(TcpStream::from_std(line.stream().try_clone()?)?),
                Watcher::Nobody => Watcher::Nobody,
            };
        }
        Ok(&mut self.watcher)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match ready!(self.get_mut().turn(context))? {
            Watcher::Caller(line) => or_watch(line, Direction::In, line.read(sleep::number(), buffer)).map_ok(drop),
            Watcher::Runtime(stream) => Pin::new(stream).poll_read(context, buffer),
            Watcher::Nobody => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
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
        match ready!(self.get_mut().turn(context))? {
            Watcher::Caller(line) => or_watch(line, Direction::Out, line.write(sleep::number(), pieces)),
            Watcher::Runtime(stream) => poll_write(stream, context, pieces),
            Watcher::Nobody => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().watcher()? {
            Watcher::Caller(line) => Poll::Ready(line.stream().shutdown(net::Shutdown::Write)),
            Watcher::Runtime(stream) => Pin::new(stream).poll_shutdown(context),
            Watcher::Nobody => Poll::Ready(Ok(())),
        }
    }
}

/// Writes once as the runtime watches the socket. Its own way of writing several pieces raises SIGPIPE.
fn poll_write(stream: &TcpStream, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(context))?;
        match stream.try_io(Interest::WRITABLE, || write(stream, pieces)) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            outcome => return Poll::Ready(outcome),
        }
    }
}

/// What was read or written; the socket is watched where that has to wait.
fn or_watch(line: &Arc<Line>, direction: Direction, moved: Option<io::Result<usize>>) -> Poll<io::Result<usize>> {
    moved.map_or_else(
        || {
            sleep::watch(line, direction);
            Poll::Pending
        },
        Poll::Ready,
    )
}
