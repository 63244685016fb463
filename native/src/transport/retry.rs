//! When to try again, and how long to wait before.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

const BASE: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(10);

/// Whether an answer with this status says that the request was not worked on, or may be sent again.
pub fn is_retryable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
}

/// Exponential backoff with full jitter: each pause is anywhere between nothing and a bound that doubles.
#[derive(Debug, Default)]
pub struct Backoff {
    pauses: u32,
}

impl Backoff {
    /// The next pause, and never less than the server asked for.
    pub fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let bound = BASE.saturating_mul(1 << self.pauses.min(16)).min(CAP);
        self.pauses += 1;
        bound.mul_f64(fastrand::f64()).max(asked.unwrap_or_default())
    }
}

/// The `Retry-After` header, in seconds or as a date.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::*;

    fn asked(value: &'static str) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
        retry_after(&headers, UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn pauses_stay_below_a_bound_that_doubles() {
        for _ in 0..100 {
            let mut backoff = Backoff::default();
            for bound in [100, 200, 400, 800] {
                assert!(backoff.pause(None) <= Duration::from_millis(bound));
            }
            (0..40).for_each(|_| assert!(backoff.pause(None) <= CAP));
        }
    }

    #[test]
    fn a_pause_is_never_shorter_than_asked() {
        assert!(Backoff::default().pause(Some(Duration::from_secs(60))) >= Duration::from_secs(60));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:27 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("-1"), None);
        assert_eq!(asked("soon"), None);
    }
}
