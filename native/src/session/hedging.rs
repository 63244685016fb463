//! When a node sends a second request beside one that takes long, and how many of them it may send.

mod latencies;

use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;

use self::latencies::Latencies;
use crate::failure::{Problem, malformed};
use crate::guard::lock;

/// When a node sends second requests, as its attribute `hedge` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    after: After,
    most: f64,
}

/// How long a request may take before a second one is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    /// As long as this quantile of the node's own requests took.
    Quantile(f64),
    /// This long.
    Time(Duration),
}

/// The attribute as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    after: Option<f64>,
    after_ms: Option<u64>,
    most: f64,
}

/// The longest fixed time, in milliseconds: a day.
const LONGEST: u64 = 86_400_000;

impl Rule {
    /// Reads the attribute, which is empty where nothing is hedged; `Err` is an OH301.
    pub fn parse(text: &str) -> Result<Option<Self>, Problem> {
        if text.is_empty() {
            return Ok(None);
        }
        let unreadable = || malformed("hedge is no JSON object of after or after_ms, and most");
        if !text.trim_start().starts_with('{') {
            return Err(unreadable()); // the values alone, in their order, would be read as well
        }
        let Written { after, after_ms, most } = serde_json::from_str(text).map_err(|_| unreadable())?;
        let after = match (after, after_ms) {
            (Some(_), Some(_)) | (None, None) => return Err(malformed("hedge has one of after and after_ms")),
            (_, Some(milliseconds)) if !(1..=LONGEST).contains(&milliseconds) => {
                return Err(malformed(format!("hedge has after_ms {milliseconds}, not from 1 to {LONGEST}")));
            }
            (_, Some(milliseconds)) => After::Time(Duration::from_millis(milliseconds)),
            (Some(quantile), None) => After::Quantile(quantile),
        };
        if let After::Quantile(quantile) = after
            && !(quantile > 0.0 && quantile < 1.0)
        {
            return Err(malformed(format!("hedge has after {quantile}, no quantile between 0 and 1")));
        }
        if !(most > 0.0 && most <= 1.0) {
            return Err(malformed(format!("hedge has most {most}, no share above 0 and up to 1")));
        }
        Ok(Some(Self { after, most }))
    }
}

/// What a node's requests took, and how many second ones may be sent beside them.
#[derive(Debug)]
pub struct Hedging {
    rule: Rule,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Second requests that may be sent, in billionths.
    saved: u64,
    latencies: Option<Latencies>,
}

/// A request, in billionths, so that sums are exact.
const ONE: u64 = 1_000_000_000;

/// So many requests of the past are those whose share may still be used: a long time without a second request does not
/// allow a flood of them.
const SAVING: u64 = 1000;

/// The delay is longer by this, divided by how many second requests may be sent.
const SCARCITY: f64 = 1.0;

impl Hedging {
    /// By `rule`; at first there is no history, and nothing may be sent.
    pub fn new(rule: Rule) -> Self {
        let latencies = match rule.after {
            After::Quantile(quantile) => Some(Latencies::new(quantile)),
            After::Time(_) => None,
        };
        Self { rule, state: Mutex::new(State { saved: 0, latencies }) }
    }

    /// Counts a request, a share of which may be sent a second time.
    pub fn count(&self) {
        self.save(self.share());
    }

    /// How long a request may take before a second one is sent; `None` where too few have been answered to tell.
    ///
    /// By a quantile, it is the longer the fewer may be sent, so that the last of them are for those that take longest.
    pub fn delay(&self) -> Option<Duration> {
        match self.rule.after {
            After::Time(time) => Some(time),
            After::Quantile(_) => {
                let state = lock(&self.state);
                let left = state.saved.max(ONE) as f64 / ONE as f64;
                Some(state.latencies.as_ref()?.delay()?.mul_f64(1.0 + SCARCITY / left))
            }
        }
    }

    /// Takes leave to send a second request, if there is any.
    pub fn take(&self) -> bool {
        let mut state = lock(&self.state);
        let left = state.saved.checked_sub(ONE);
        state.saved = left.unwrap_or(state.saved);
        left.is_some()
    }

    /// Gives back the leave for a request that was not sent.
    pub fn give_back(&self) {
        self.save(ONE);
    }

    /// Keeps what a request took; of one that was given up because the second was answered, what it had taken by then.
    pub fn took(&self, latency: Duration) {
        if let Some(latencies) = &mut lock(&self.state).latencies {
            latencies.add(latency);
        }
    }

    /// What one request allows of second ones; rounded down, so that no sum is more than the share.
    fn share(&self) -> u64 {
        (self.rule.most * ONE as f64) as u64
    }

    fn save(&self, more: u64) {
        let most = ONE.max(self.share() * SAVING);
        let mut state = lock(&self.state);
        state.saved = (state.saved + more).min(most);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::failure::Code;

    fn hedging(text: &str) -> Hedging {
        Hedging::new(Rule::parse(text).unwrap().unwrap())
    }

    #[test]
    fn nothing_is_hedged_where_the_attribute_is_empty() {
        assert_eq!(Rule::parse(""), Ok(None));
    }

    #[test]
    fn what_cannot_be_is_malformed() {
        for text in [
            "0.95",
            "[]",
            "[0.95, null, 0.05]",
            "{",
            "{}",
            r#"{"most": 0.1}"#,
            r#"{"after": 0.5}"#,
            r#"{"after": 0, "most": 0.1}"#,
            r#"{"after": 1, "most": 0.1}"#,
            r#"{"after": "0.9", "most": 0.1}"#,
            r#"{"after": 1e999, "most": 0.1}"#,
            r#"{"after_ms": 0, "most": 0.1}"#,
            r#"{"after_ms": -1, "most": 0.1}"#,
            r#"{"after_ms": 0.5, "most": 0.1}"#,
            r#"{"after_ms": 86400001, "most": 0.1}"#,
            r#"{"after": 0.5, "after_ms": 5, "most": 0.1}"#,
            r#"{"after": 0.5, "most": 0}"#,
            r#"{"after": 0.5, "most": 1.01}"#,
            r#"{"after": 0.5, "most": -0.1}"#,
            r#"{"after": 0.5, "most": 0.1, "least": 0.1}"#,
        ] {
            assert_eq!(Rule::parse(text).unwrap_err().code, Code::Node, "{text}");
        }
    }

    #[test]
    fn a_fixed_time_needs_no_history_but_leave() {
        let hedging = hedging(r#"{"after_ms": 20, "most": 0.25}"#);
        assert_eq!(hedging.delay(), Some(Duration::from_millis(20)));
        let taken: Vec<_> = (0..9).map(|_| (hedging.count(), hedging.take()).1).collect();
        assert_eq!(taken, [false, false, false, true, false, false, false, true, false]);
    }

    #[test]
    fn the_last_second_requests_are_for_those_that_take_longest() {
        let hedging = hedging(r#"{"after": 0.95, "most": 0.1}"#);
        (0..400).for_each(|_| hedging.took(Duration::from_millis(10)));
        let delays: Vec<_> = [10, 10, 80, 900]
            .map(|requests| {
                (0..requests).for_each(|_| hedging.count());
                hedging.delay().unwrap().as_secs_f64() * 1000.0
            })
            .into();
        // One, two, ten and a hundred are left.
        assert!(delays.iter().zip([40.0, 30.0, 22.0, 20.2]).all(|(delay, expected)| (delay - expected).abs() < 0.01));
    }

    #[test]
    fn a_quiet_time_allows_no_flood() {
        for (text, most) in [(r#"{"after_ms": 1, "most": 0.05}"#, 50), (r#"{"after_ms": 1, "most": 0.0001}"#, 1)] {
            let hedging = hedging(text);
            (0..1_000_000).for_each(|_| hedging.count());
            assert_eq!((0..1000).filter(|_| hedging.take()).count(), most);
        }
    }

    #[test]
    fn requests_that_were_given_up_do_not_lower_the_quantile() {
        let (hedging, mut random) = (hedging(r#"{"after": 0.9, "most": 1.0}"#), fastrand::Rng::with_seed(7));
        (0..1000).for_each(|_| hedging.count());
        let mut time = || Duration::from_millis(random.u64(1..=100).pow(2));
        let mut hedged = 0;
        for number in 0..20_000 {
            let (first, second) = (time(), time());
            let delay = hedging.delay().filter(|delay| first > *delay);
            // The request is given up when the second one is answered.
            hedging.took(delay.map_or(first, |delay| first.min(delay + second)));
            hedged += u32::from(number >= 10_000 && delay.is_some());
        }
        assert!((800..1200).contains(&hedged), "{hedged} of 10 000 at the quantile 0.9");
    }

    proptest! {
        #[test]
        fn second_requests_are_never_more_than_their_share(
            most in 0.0001f64..=1.0, steps in proptest::collection::vec(0u8..4, 0..2000),
        ) {
            let hedging = hedging(&format!(r#"{{"after_ms": 1, "most": {most}}}"#));
            let (mut requests, mut sent) = (0u64, 0u64);
            for step in steps {
                match step {
                    0 if hedging.take() => sent += 1,
                    1 if hedging.take() => hedging.give_back(),
                    _ => {
                        hedging.count();
                        requests += 1;
                    }
                }
                prop_assert!(sent as f64 <= most * requests as f64, "{sent} of {requests}");
            }
        }
    }
}
