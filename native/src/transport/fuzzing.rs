//! Doors for the fuzz targets, of what else is private: the readers of what comes over a socket. Not in an ordinary build.

use std::io::{Cursor, ErrorKind, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf, join, sink};

use super::http1::Http1;
use super::runtime::block_on;
use super::{Body, Limits, Tally, proxy};
use crate::failure::{Code, Problem};

/// An answer that comes in pieces of so many bytes: its status, its headers and its body; or a code.
pub fn http1(bytes: &[u8], piece: usize) -> Result<(u16, String, Vec<u8>), Code> {
    let deadline = Instant::now() + Duration::from_secs(600);
    let limits = Limits {
        deadline,
        connect_timeout: Duration::ZERO,
        attempt_timeout: None,
        retries: 0,
        max_response_bytes: 1 << 20,
    };
    let mut connection = Http1::new(Box::new(join(Pieces::of(bytes, piece), sink())));
    let (body, tally) = (Body::default(), Tally::default());
    let answer = block_on(deadline, connection.exchange(b"GET / HTTP/1.1\r\n\r\n", &body, &limits, &tally));
    let answer = answer.expect("what never waits has no deadline");
    answer
        .map(|answer| (answer.status.as_u16(), format!("{:?}", answer.headers), answer.body.join().to_vec()))
        .map_err(|trouble| Problem::from(trouble).code)
}

/// Whether a proxy that says this to a CONNECT made a tunnel, and what of it is left for the tunnel.
pub fn tunnel(bytes: &[u8], piece: usize) -> Result<Vec<u8>, Code> {
    proxy::fuzzing::tunnel(Pieces::of(bytes, piece))
}

/// The same of a SOCKS 5 proxy.
pub fn socks(bytes: &[u8], piece: usize) -> Result<Vec<u8>, Code> {
    proxy::fuzzing::socks(Pieces::of(bytes, piece))
}

/// Bytes that are read so many at a time, and then the end.
pub(super) struct Pieces {
    bytes: Cursor<Vec<u8>>,
    piece: usize,
}

impl Pieces {
    fn of(bytes: &[u8], piece: usize) -> Self {
        Self { bytes: Cursor::new(bytes.to_vec()), piece }
    }
}

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let most = self.piece.min(buffer.remaining());
        let mut read = vec![0; most.min(self.bytes.get_ref().len())];
        let count = self.bytes.read(&mut read).map_err(|_| ErrorKind::Other)?;
        buffer.put_slice(&read[..count]);
        Poll::Ready(Ok(()))
    }
}
