//! Room for what blocks a thread until somebody answers, which may be never.
//!
//! Such work occupies its thread however long ago its caller gave up. So each session has a number of places for each
//! kind of it, and whatever may hang by itself (an origin's names, a credential's provider) a part of those: what nobody
//! answers takes nothing from other sessions, and leaves room for the rest of its own.

use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::run::forks::PerProcess;

/// Places, in each process of a line of forks.
pub struct Places(PerProcess<Arc<Semaphore>>);

impl Places {
    /// So many.
    pub fn new(most: usize) -> Self {
        Self(PerProcess::new(move || Arc::new(Semaphore::new(most))))
    }

    async fn one(&self) -> io::Result<OwnedSemaphorePermit> {
        let places: &Arc<Semaphore> = &self.0;
        places.clone().acquire_owned().await.map_err(io::Error::other)
    }
}

/// What `work` gives, done on a thread of its own once there is a place among `own`, and one among the session's `all`.
/// An error where it panicked.
pub async fn occupy<T: Send + 'static>(
    own: &Places,
    all: &Places,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    // Its own first: while it waits for that, it takes nothing from the session.
    let held = (own.one().await?, all.one().await?);
    let done = spawn_blocking(move || {
        let _held = held;
        work()
    });
    done.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};
    use tokio::time::timeout;

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().max_blocking_threads(100).enable_time().build().unwrap()
    }

    async fn now(own: &Places, all: &Places) -> u8 {
        timeout(Duration::from_secs(10), occupy(own, all, || 7)).await.unwrap().unwrap()
    }

    #[test]
    fn what_nobody_answers_leaves_room_for_the_rest_and_for_other_sessions() {
        let (evil, all, (answer, unanswered)) = (Places::new(2), Places::new(4), mpsc::channel::<()>());
        let unanswered = Arc::new(Mutex::new(unanswered));
        let hang = || {
            let unanswered = unanswered.clone();
            occupy(&evil, &all, move || unanswered.lock().unwrap().recv().is_ok())
        };
        runtime().block_on(async {
            for _ in 0..4 {
                assert!(timeout(Duration::from_millis(2), hang()).await.is_err());
            }
            assert!(timeout(Duration::from_millis(20), occupy(&evil, &all, || 7)).await.is_err());
            assert_eq!(now(&Places::new(2), &all).await, 7);
            assert_eq!(now(&Places::new(2), &Places::new(4)).await, 7);
            drop(answer);
            assert_eq!(now(&evil, &all).await, 7);
        });
    }

    #[test]
    fn a_panic_is_an_error_and_gives_its_place_back() {
        let (own, all) = (Places::new(1), Places::new(1));
        runtime().block_on(async {
            assert!(occupy(&own, &all, || panic!("as told")).await.is_err());
            assert_eq!(now(&own, &all).await, 7);
        });
    }
}
