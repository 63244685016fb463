//! What a node's calls took and brought.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::failure::Code;
use crate::guard::lock;
use crate::session::budget::{Nanos, units};

/// The counters of one node; shared by all threads that run it.
#[derive(Debug, Default)]
pub struct NodeStats {
    counters: Mutex<Counters>,
    /// Requests to each of several servers, by base URL.
    sent: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

#[derive(Debug)]
struct Counters {
    calls: u64,
    retries: u64,
    hedges: u64,
    errors: BTreeMap<Code, u64>,
    bytes_out: u64,
    bytes_in: u64,
    spent: Nanos,
    tokens: (u64, u64),
    cache_hits: u64,
    /// Microseconds, exact to three digits.
    latency: Histogram<u32>,
}

impl Default for Counters {
    fn default() -> Self {
        let latency = Histogram::new(3).expect("three digits are in range");
        let (errors, tokens) = (BTreeMap::new(), (0, 0));
        Self {
            calls: 0,
            retries: 0,
            hedges: 0,
            errors,
            bytes_out: 0,
            bytes_in: 0,
            spent: 0,
            tokens,
            cache_hits: 0,
            latency,
        }
    }
}

/// One finished call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// From the kernel's start to its end.
    pub latency: Duration,
    /// Requests that were tried again.
    pub retries: u32,
    /// Requests that were sent second, beside one that took long.
    pub hedges: u32,
    /// Bytes of all request bodies.
    pub bytes_out: u64,
    /// Bytes of all response bodies.
    pub bytes_in: u64,
    /// Money that it cost by the prices of the budget.
    pub spent: Nanos,
    /// Tokens that were sent and that came, where they are paid.
    pub tokens: (u64, u64),
    /// Rows, or calls without rows, that were answered without being asked for.
    pub cache_hits: u64,
    /// How it failed, if it did.
    pub error: Option<Code>,
}

impl NodeStats {
    /// Adds a call.
    pub fn add(&self, sample: &Sample) {
        let mut counters = lock(&self.counters);
        counters.calls += 1;
        counters.retries += u64::from(sample.retries);
        counters.hedges += u64::from(sample.hedges);
        counters.bytes_out += sample.bytes_out;
        counters.bytes_in += sample.bytes_in;
        counters.spent = counters.spent.saturating_add(sample.spent);
        let (input, output) = counters.tokens;
        counters.tokens = (input.saturating_add(sample.tokens.0), output.saturating_add(sample.tokens.1));
        counters.cache_hits += sample.cache_hits;
        if let Some(code) = sample.error {
            *counters.errors.entry(code).or_default() += 1;
        }
        let micros = u64::try_from(sample.latency.as_micros()).unwrap_or(u64::MAX);
        // An hour is far past every deadline; the bound keeps the histogram small.
        let _ = counters.latency.record(micros.clamp(1, 3_600_000_000));
    }

    /// The counter of requests to one of several servers, by its base URL as people see it.
    pub fn sent(&self, url: &str) -> Arc<AtomicU64> {
        lock(&self.sent).entry(url.to_owned()).or_default().clone()
    }

    /// The counters as JSON; `connections` is known to the origin, not to the node.
    pub fn to_json(&self, connections: u64) -> Value {
        let sent = lock(&self.sent);
        let sent: BTreeMap<_, _> =
            sent.iter().map(|(url, count)| (url.clone(), count.load(Ordering::Relaxed))).collect();
        let counters = lock(&self.counters);
        let errors: BTreeMap<_, _> = counters.errors.iter().map(|(code, count)| (code.as_str(), count)).collect();
        let seconds =
            |quantile| (counters.calls > 0).then(|| counters.latency.value_at_quantile(quantile) as f64 / 1e6);
        json!({
            "calls": counters.calls, "retries": counters.retries, "hedges": counters.hedges, "errors": errors,
            "bytes_out": counters.bytes_out, "bytes_in": counters.bytes_in,
            "p50": seconds(0.5), "p90": seconds(0.9), "p99": seconds(0.99),
            "connections": connections, "cache_hits": counters.cache_hits,
            "spent": units(counters.spent),
            "input_tokens": counters.tokens.0, "output_tokens": counters.tokens.1,
            "endpoints": sent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_call_there_are_no_quantiles() {
        let value = NodeStats::default().to_json(0);
        assert_eq!((&value["calls"], &value["p50"]), (&json!(0), &Value::Null));
    }

    #[test]
    fn calls_add_up() {
        let stats = NodeStats::default();
        for (millis, error) in [(10, None), (20, Some(Code::Status)), (30, Some(Code::Status))] {
            let latency = Duration::from_millis(millis);
            stats.add(&Sample {
                latency,
                retries: 1,
                hedges: 2,
                cache_hits: 2,
                bytes_out: 5,
                bytes_in: 7,
                error,
                ..Sample::default()
            });
        }
        let value = stats.to_json(4);
        assert_eq!(value["errors"], json!({"OH503": 2}));
        assert_eq!((&value["retries"], &value["bytes_out"], &value["bytes_in"]), (&json!(3), &json!(15), &json!(21)));
        assert!((value["p50"].as_f64().unwrap() - 0.02).abs() < 1e-4);
        assert_eq!((&value["connections"], &value["hedges"]), (&json!(4), &json!(6)));
        assert_eq!(value["cache_hits"], 6);
    }
}
