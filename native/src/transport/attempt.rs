//! The time of one attempt, so that one that was swallowed on its way leaves time for another.

use std::future::Future;
use std::time::{Duration, Instant};

use super::{Limits, Response, Trouble};
use crate::failure::{Code, Problem};

/// An attempt that has begun.
pub(super) struct Attempt {
    /// When it ends, and how long it takes then; `None` for as long as the call.
    end: Option<(Instant, Duration)>,
}

impl Attempt {
    pub(super) fn begin(limits: &Limits) -> Self {
        Self { end: limits.attempt_timeout.map(|most| (Instant::now() + most, most)) }
    }

    /// How long a connection may take to be made within the attempt.
    pub(super) fn connect_timeout(&self, limits: &Limits) -> Duration {
        let left = self.end.map(|(end, _)| end.saturating_duration_since(Instant::now()));
        left.unwrap_or(Duration::MAX).min(limits.connect_timeout)
    }

    /// What `exchange` brings, if it does so within the attempt.
    pub(super) async fn within(
        &self,
        exchange: impl Future<Output = Result<Response, Trouble>>,
    ) -> Result<Response, Trouble> {
        let Some((end, most)) = self.end else { return exchange.await };
        tokio::time::timeout_at(end.into(), exchange).await.unwrap_or_else(|_| {
            let message = format!("no answer to an attempt within {} ms (attempt_timeout)", most.as_millis());
            Err(Trouble::Silent(Problem::new(Code::Deadline, message)))
        })
    }
}
