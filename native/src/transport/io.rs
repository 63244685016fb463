//! What both versions of HTTP know of the socket below them, and how they tell that it broke.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::failure::{Code, Problem};

/// A socket, encrypted or not.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A socket of either kind.
pub(super) type BoxIo = Box<dyn Io>;

/// The problem of an answer that broke off.
pub(super) fn cut_short(error: &dyn std::error::Error) -> Problem {
    Problem::new(Code::CutShort, format!("the answer ended early: {}", cause(error)))
}

/// The problem of a connection that broke before an answer.
pub(super) fn lost(error: &dyn std::error::Error) -> Problem {
    Problem::new(Code::CutShort, format!("the connection was lost before an answer: {}", cause(error)))
}

/// The innermost reason, which says the most.
pub(super) fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
