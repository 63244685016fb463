//! One connection, of either version of HTTP.
//!
//! The thread that waits for an answer does the reading and writing itself: no task switch lies between the caller and
//! the socket, and nothing runs while the connection is idle. An [HTTP/1.1](super::http1) connection is one caller's at
//! a time; an [HTTP/2](super::http2) connection is shared by many, and driven by one of them for all.

use std::time::Instant;

use super::Trouble;
use super::http1::Http1;
use super::http2::Http2;
use super::io::BoxIo;
use crate::endpoint::Wire;

/// An open connection.
pub(super) struct Connection {
    pub(super) http: Http,
    /// When its last exchange ended.
    pub(super) idle_since: Instant,
}

/// What is spoken on a connection.
pub(super) enum Http {
    One(Http1),
    Two(Http2),
}

impl Connection {
    /// Begins HTTP/1.1 on a connected socket.
    pub(super) fn http1(io: BoxIo) -> Self {
        Self::new(Http::One(Http1::new(io)))
    }

    /// Begins HTTP/2 on a connected socket.
    pub(super) async fn http2(io: BoxIo, wire: Wire) -> Result<Self, Trouble> {
        Ok(Self::new(Http::Two(Http2::begin(io, wire).await?)))
    }

    fn new(http: Http) -> Self {
        Self { http, idle_since: Instant::now() }
    }

    /// Another handle of the same connection, where it can carry several requests at once.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.http {
            Http::One(_) => None,
            Http::Two(connection) => Some(Self::new(Http::Two(connection.clone()))),
        }
    }

    /// Whether it can carry several requests at once.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.http, Http::Two(_))
    }

    /// Whether `other` is a handle of the same connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.http, &other.http) {
            (Http::Two(this), Http::Two(other)) => this.is_same(other),
            _ => false,
        }
    }

    /// Whether the next request can be sent now; notices what came in while the connection was idle.
    pub(super) async fn is_ready(&mut self) -> bool {
        match &mut self.http {
            Http::One(connection) => connection.is_ready().await,
            Http::Two(connection) => connection.is_open(),
        }
    }

    /// Whether it goes back to the pool: an HTTP/1.1 connection that can carry another exchange.
    pub(super) fn is_returned(&self) -> bool {
        matches!(&self.http, Http::One(connection) if connection.is_open())
    }
}
