//! Connections that wait for a request.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::connection::Connection;
use crate::guard::lock;
use crate::run::forks::PerProcess;

/// How long an unused connection is kept.
const KEEP: Duration = Duration::from_secs(90);

/// Which connection a request goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pick {
    /// One that was kept, if there is one that seems to be good.
    Kept,
    /// A new one.
    Fresh,
    /// One that the call's request beside it is not on: it may be the connection that is slow.
    Beside,
}

/// The kept connections to one origin.
#[derive(Default)]
pub(super) struct Pool {
    ordinary: Lane,
    /// Connections that carry several requests at once, kept for second requests alone.
    beside: Lane,
}

#[derive(Default)]
struct Lane {
    /// The last used at the end.
    idle: PerProcess<Mutex<Vec<Connection>>>,
    /// Held while a connection is made that all callers are going to share.
    opening: PerProcess<tokio::sync::Mutex<()>>,
}

impl Pool {
    fn lane(&self, pick: Pick) -> &Lane {
        if pick == Pick::Beside { &self.beside } else { &self.ordinary }
    }

    /// What is held while a shared connection is made.
    pub(super) fn opening(&self, pick: Pick) -> &tokio::sync::Mutex<()> {
        &self.lane(pick).opening
    }

    /// A kept connection that is still good.
    pub(super) async fn take(&self, pick: Pick) -> Option<Connection> {
        loop {
            let mut connection = self.pop(pick)?;
            if connection.is_ready().await {
                return Some(connection);
            }
            self.forget(&connection);
        }
    }

    fn pop(&self, pick: Pick) -> Option<Connection> {
        match pick {
            Pick::Beside => self.beside.pop(true).or_else(|| self.ordinary.pop(false)),
            _ => self.ordinary.pop(true),
        }
    }

    /// Keeps a connection that no request is on any more, if it can carry another.
    pub(super) fn keep(&self, mut connection: Connection) {
        if !connection.is_returned() {
            return;
        }
        connection.idle_since = Instant::now();
        let mut idle = lock(&self.ordinary.idle);
        let stale = idle.iter().take_while(|kept| kept.idle_since.elapsed() > KEEP).count();
        idle.drain(..stale);
        idle.push(connection);
    }

    /// Keeps a handle of a connection that others may use at the same time.
    pub(super) fn share(&self, connection: &Connection, pick: Pick) {
        lock(&self.lane(pick).idle).extend(connection.share());
    }

    /// Keeps a connection no longer.
    pub(super) fn forget(&self, connection: &Connection) {
        for lane in [&self.ordinary, &self.beside] {
            lock(&lane.idle).retain(|kept| !kept.is_same(connection));
        }
    }
}

impl Lane {
    /// The connection used last; one that others may use at the same time stays where it is, and is none where it is not
    /// to be `shared`.
    fn pop(&self, shared: bool) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        let last = idle.pop_if(|last| shared || !last.is_http2())?;
        if last.idle_since.elapsed() > KEEP {
            idle.clear();
            return None;
        }
        idle.extend(last.share());
        Some(last)
    }
}
