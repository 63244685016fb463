//! When to try again, and how long to wait before.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, StatusCode};

/// The first pause after an answer, and the longest: those of OpenAI's own client.
const ANSWERED: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));

/// The first pause where no answer came, and the longest: a server that restarts is back soon, and has no work to do yet.
const UNANSWERED: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Headers that say in milliseconds how long to wait: Azure OpenAI's and OpenAI's, then Azure's older one.
const MILLISECONDS: [HeaderName; 2] =
    [HeaderName::from_static("retry-after-ms"), HeaderName::from_static("x-ms-retry-after-ms")];

/// Says `false` where the server wants no repeat; OpenAI's, and that of others who follow it.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Whether an answer with this status says that the request was not worked on, or may be sent again.
pub fn is_retryable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 502 | 503 | 504)
}

/// Whether the server says in so many words that a repeat is of no use.
pub(super) fn is_unwanted(headers: &HeaderMap) -> bool {
    headers.get(SHOULD_RETRY).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"false"))
}

/// Pauses that grow: each has a bound that doubles.
#[derive(Debug, Default)]
pub struct Backoff {
    pauses: u32,
}

impl Backoff {
    /// The pause after an answer: what the server asked for; else near the bound, from three quarters of it on, since a
    /// server that is too busy needs the time.
    pub fn after_answer(&mut self, asked: Option<Duration>) -> Duration {
        let bound = self.bound(ANSWERED);
        asked.filter(|asked| !asked.is_zero()).unwrap_or_else(|| bound.mul_f64(1.0 - fastrand::f64() / 4.0))
    }

    /// The pause where no answer came: anywhere between nothing and the bound, so that callers who lost one connection
    /// do not come back together.
    pub fn without_answer(&mut self) -> Duration {
        self.bound(UNANSWERED).mul_f64(fastrand::f64())
    }

    fn bound(&mut self, (first, longest): (Duration, Duration)) -> Duration {
        let bound = first.saturating_mul(1 << self.pauses.min(16)).min(longest);
        self.pauses += 1;
        bound
    }
}

/// How long the server asks to wait: in milliseconds, in seconds, or until a date. A value that says nothing of use is as
/// if it were not there: a date that has passed, a negative number, nothing that is digits.
pub(super) fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = |name: &HeaderName| usable(number(text(name)?)? / 1000.0);
    let seconds = || usable(number(text(&RETRY_AFTER)?)?);
    let date = || {
        let date = httpdate::parse_http_date(text(&RETRY_AFTER)?).ok()?;
        usable(date.duration_since(now).ok()?.as_secs_f64())
    };
    MILLISECONDS.iter().find_map(milliseconds).or_else(seconds).or_else(date)
}

/// Digits, perhaps with a fraction behind them; what else programs read as numbers is none here.
fn number(text: &str) -> Option<f64> {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    text.parse().ok().filter(|_| digits && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

fn usable(seconds: f64) -> Option<Duration> {
    (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::*;

    fn asked_by(rows: &[(&'static str, &'static str)]) -> Option<Duration> {
        let rows = rows.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        asked(&rows.collect(), UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn pauses_after_an_answer_double_from_half_a_second_on() {
        for _ in 0..100 {
            let mut backoff = Backoff::default();
            for bound in [500, 1000, 2000, 4000, 8000, 8000, 8000] {
                let pause = backoff.after_answer(None).as_millis();
                assert!((bound * 3 / 4..=bound).contains(&pause), "{pause} of {bound}");
            }
        }
    }

    #[test]
    fn pauses_where_no_answer_came_stay_below_a_bound_that_doubles() {
        for _ in 0..100 {
            let mut backoff = Backoff::default();
            for bound in [100, 200, 400, 800] {
                assert!(backoff.without_answer() <= Duration::from_millis(bound));
            }
            (0..40).for_each(|_| assert!(backoff.without_answer() <= UNANSWERED.1));
        }
    }

    #[test]
    fn a_pause_is_the_one_that_was_asked_for() {
        for asked in [20, 60_000].map(Duration::from_millis) {
            assert_eq!(Backoff::default().after_answer(Some(asked)), asked);
        }
        assert!(Backoff::default().after_answer(Some(Duration::ZERO)) > Duration::from_millis(300));
    }

    #[test]
    fn a_server_asks_in_milliseconds_seconds_or_by_a_date() {
        for (rows, expected) in [
            (&[("retry-after-ms", "1200")][..], 1200),
            (&[("retry-after-ms", "0.5"), ("retry-after", "9")], 0),
            (&[("x-ms-retry-after-ms", "70")], 70),
            (&[("retry-after", "7"), ("x-ms-retry-after-ms", "70"), ("retry-after-ms", "60")], 60),
            (&[("retry-after", "7")], 7000),
            (&[("retry-after", " 1.25 ")], 1250),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")], 10_000),
            (&[("retry-after-ms", "soon"), ("retry-after", "2")], 2000),
            (&[("retry-after-ms", "-5"), ("retry-after", "2")], 2000),
        ] {
            assert_eq!(asked_by(rows).map(|asked| asked.as_millis()), Some(expected), "{rows:?}");
        }
    }

    #[test]
    fn a_wait_that_nobody_can_mean_is_not_there() {
        let past = "Sun, 06 Nov 1994 08:49:27 GMT";
        for text in ["-1", "0", "1e400", "1e3", "NaN", "inf", "+5", "0x10", "soon", "", ".", "1.2.3", past] {
            assert_eq!(asked_by(&[("retry-after", text)]), None, "{text}");
            assert_eq!(asked_by(&[("retry-after-ms", text)]), None, "{text}");
        }
    }

    #[test]
    fn a_wait_beyond_all_bounds_is_longer_than_any_deadline() {
        for text in ["99999999999999999999", "9".repeat(400).leak(), "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert!(asked_by(&[("retry-after", text)]) > Some(Duration::from_secs(1 << 37)), "{text}");
        }
    }
}
