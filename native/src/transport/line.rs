//! A connected socket that does not block, and what it is known to be ready for.

use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::event::PollFlags;
use tokio::io::ReadBuf;

use crate::ort::receive::receive;

/// What a socket is watched for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Direction {
    /// Bytes that came, or the end of them.
    In,
    /// Room for bytes to send.
    Out,
}

impl Direction {
    /// As the operating system is asked for it.
    pub(super) fn flags(self) -> PollFlags {
        match self {
            Self::In => PollFlags::IN,
            Self::Out => PollFlags::OUT,
        }
    }
}

/// A socket that does not block, and what it is known to be ready for.
pub(super) struct Line {
    stream: TcpStream,
    readable: AtomicBool,
    writable: AtomicBool,
    /// The number of the wait that knows it. Between two waits nobody watches the socket.
    wait: AtomicU64,
}

impl Line {
    /// A socket that may be ready for anything.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, readable: true.into(), writable: true.into(), wait: 0.into() }
    }

    /// The socket itself.
    pub(super) fn stream(&self) -> &TcpStream {
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

    /// Reads once, for the wait of this number; `None` where the socket has to be watched first.
    pub(super) fn read(&self, wait: u64, buffer: &mut ReadBuf<'_>) -> Option<io::Result<usize>> {
        let room = buffer.remaining();
        self.attempt(wait, Direction::In, room, || receive(&self.stream, buffer))
    }

    /// Writes once, for the wait of this number; `None` where the socket has to be watched first.
    pub(super) fn write(&self, wait: u64, pieces: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        self.attempt(wait, Direction::Out, length, || write(&self.stream, pieces))
    }

    /// Moves bytes unless the socket is known not to be ready. If fewer than `whole` are moved, it is not ready for more.
    fn attempt(
        &self,
        wait: u64,
        direction: Direction,
        whole: usize,
        mut work: impl FnMut() -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        self.begin(wait);
        let ready = self.flag(direction);
        while ready.load(Ordering::Relaxed) {
            match work() {
                Ok(moved) => {
                    ready.store(moved == 0 || moved == whole, Ordering::Relaxed);
                    return Some(Ok(moved));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.store(false, Ordering::Relaxed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// Forgets what an earlier wait knew.
    fn begin(&self, wait: u64) {
        if self.wait.swap(wait, Ordering::Relaxed) != wait {
            self.awake(Direction::In);
            self.awake(Direction::Out);
        }
    }
}

/// Writes once, and raises no signal: a host that lets SIGPIPE end it is not ended by a server that went away.
#[cfg(all(unix, not(target_vendor = "apple")))]
pub(super) fn write(socket: impl std::os::fd::AsFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
    Ok(sendmsg(socket, pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
}

/// Writes once, and raises no signal: the sockets that the runtime makes have SO_NOSIGPIPE set.
#[cfg(target_vendor = "apple")]
pub(super) fn write(socket: impl std::os::fd::AsFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::io::writev(socket, pieces)?)
}

/// Writes once, of the first piece alone.
#[cfg(not(unix))]
pub(super) fn write(socket: impl rustix::fd::AsFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let first = pieces.iter().find(|piece| !piece.is_empty()).map_or(&[][..], |piece| piece);
    Ok(rustix::net::send(socket, first, rustix::net::SendFlags::empty())?)
}
