//! Several exchanges of one call, side by side on the thread that waits for them.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Awaits all `futures`, at most `most` of them at a time, in any order; their results come in the order of the
/// futures. The first failure ends them all.
///
/// Each wake polls every running future, which is cheap as long as `most` is small.
pub async fn side_by_side<F, T, E>(futures: impl IntoIterator<Item = F>, most: usize) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = futures.into_iter().enumerate().map(|(index, future)| (index, Box::pin(future)));
    let mut running: Vec<(usize, Pin<Box<F>>)> = waiting.by_ref().take(most.max(1)).collect();
    let mut done: Vec<(usize, T)> = Vec::new();
    poll_fn(|context| {
        let mut at = 0;
        while let Some((index, future)) = running.get_mut(at) {
            match future.as_mut().poll(context) {
                Poll::Pending => at += 1,
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Ready(Ok(result)) => {
                    done.push((*index, result));
                    match waiting.next() {
                        Some(next) => running[at] = next,
                        None => drop(running.swap_remove(at)),
                    }
                }
            }
        }
        if running.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await?;
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::transport::runtime::block_on;

    fn wait<T>(future: impl Future<Output = T>) -> T {
        block_on(Instant::now() + Duration::from_secs(10), future).unwrap()
    }

    #[test]
    fn results_come_in_order_and_no_more_run_than_may() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let work = (0..20u64).map(|number| {
            let (running, most) = (&running, &most);
            async move {
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                tokio::time::sleep(Duration::from_millis((20 - number) % 5)).await;
                running.set(running.get() - 1);
                Ok::<_, ()>(number)
            }
        });
        assert_eq!(wait(side_by_side(work, 4)), Ok((0..20).collect()));
        assert_eq!(most.get(), 4);
    }

    #[test]
    fn the_first_failure_ends_all() {
        let work = (0..3u64).map(|number| async move {
            if number == 1 {
                return Err(number);
            }
            std::future::pending::<Result<u64, u64>>().await
        });
        assert_eq!(wait(side_by_side(work, 3)), Err(1));
    }

    #[test]
    fn nothing_is_done_at_once() {
        assert_eq!(wait(side_by_side(Vec::<std::future::Ready<Result<u8, u8>>>::new(), 3)), Ok(Vec::new()));
    }
}
