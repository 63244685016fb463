//! Names of hosts to addresses, by the system, whose answer may never come.
//!
//! A lookup occupies a thread until the system gives up, however long ago its caller did. So each session has a number of
//! them, and each origin a part of those: a name that nobody answers for takes nothing from other sessions, and leaves
//! room for the other hosts of its own.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::run::forks::PerProcess;

/// Lookups of a session at a time, and of an origin.
const OF_SESSION: usize = 64;
const OF_ORIGIN: usize = 16;

/// Looks up names for one session.
pub struct Names {
    places: PerProcess<Arc<Semaphore>>,
}

impl Default for Names {
    fn default() -> Self {
        Self { places: places(OF_SESSION) }
    }
}

/// Looks up the names on the way to one origin.
pub(super) struct OriginNames {
    session: Arc<Names>,
    places: PerProcess<Arc<Semaphore>>,
}

impl OriginNames {
    /// Those of an origin that `session` calls.
    pub(super) fn new(session: Arc<Names>) -> Self {
        Self { session, places: places(OF_ORIGIN) }
    }

    /// The addresses of `name`; waits for a place among the lookups, too.
    pub(super) async fn look_up(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let name = name.to_owned();
        self.occupy(move || Ok((name.as_str(), port).to_socket_addrs()?.collect())).await
    }

    async fn occupy<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
        // The origin's first: while it waits for that, it takes nothing from the session.
        let held = (place(&self.places).await?, place(&self.session.places).await?);
        let done = spawn_blocking(move || {
            let _held = held;
            work()
        });
        done.await.map_err(io::Error::other)?
    }
}

fn places(most: usize) -> PerProcess<Arc<Semaphore>> {
    PerProcess::new(move || Arc::new(Semaphore::new(most)))
}

async fn place(places: &PerProcess<Arc<Semaphore>>) -> io::Result<OwnedSemaphorePermit> {
    let places: &Arc<Semaphore> = places;
    places.clone().acquire_owned().await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::transport::runtime::block_on;

    fn now(names: &OriginNames) -> Option<io::Result<Vec<SocketAddr>>> {
        block_on(Instant::now() + Duration::from_secs(10), names.look_up("localhost", 80))
    }

    #[test]
    fn names_without_an_answer_leave_room_for_other_origins_and_sessions() {
        let (session, (answer, unanswered)) = (Arc::<Names>::default(), mpsc::channel::<()>());
        let unanswered = Arc::new(std::sync::Mutex::new(unanswered));
        let evil = OriginNames::new(session.clone());
        let hang = || {
            let unanswered = unanswered.clone();
            evil.occupy(move || Ok(unanswered.lock().unwrap().recv().is_ok()))
        };
        for _ in 0..OF_ORIGIN + 2 {
            assert!(block_on(Instant::now() + Duration::from_millis(2), hang()).is_none());
        }
        assert!(block_on(Instant::now() + Duration::from_millis(20), evil.look_up("localhost", 80)).is_none());
        assert!(now(&OriginNames::new(session)).is_some_and(|found| found.is_ok()));
        assert!(now(&OriginNames::new(Arc::default())).is_some_and(|found| found.is_ok()));
        drop(answer);
        assert!(now(&evil).is_some_and(|found| found.is_ok()));
    }
}
