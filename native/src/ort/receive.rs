//! Reading from a socket into memory that nobody has written to yet.

use std::io;
use std::net::TcpStream;

use rustix::net::{RecvFlags, recv};
use tokio::io::ReadBuf;

/// Reads once into the free part of `buffer`, and says how many bytes came.
pub fn receive(stream: &TcpStream, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
    // SAFETY: nothing but what `recv` wrote is taken for initialized.
    let ((received, _), _) = recv(stream, unsafe { buffer.unfilled_mut() }, RecvFlags::empty())?;
    let count = received.len();
    // SAFETY: these bytes were just written.
    unsafe { buffer.assume_init(count) };
    buffer.advance(count);
    Ok(count)
}
