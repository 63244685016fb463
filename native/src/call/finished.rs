//! The report of a call that is over, for a host that wants to see it: [`crate::trace`].

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::Call;
use super::prepared::Invocation;
use crate::endpoint::{Endpoint, Wire};
use crate::failure::{Code, one_line};
use crate::session::budget::units;
use crate::trace;

/// How a call ended: with the code and the status of its failure, if it failed.
pub(super) type Ending = Result<(), (Code, Option<u16>)>;

impl Call {
    /// Reports a call that took so long, if the thread that began it wants to know. Nothing in a report comes from a server
    /// or from an input: what a failure's text may hold is not in it.
    pub(super) fn report(&self, latency: Duration, invocation: &Invocation, ending: Ending) {
        let tally = &invocation.tally;
        let Some(mark) = tally.watch.mark.as_deref() else { return };
        let Some(began) = mark.began else { return };
        let attempts = tally.attempts();
        let succeeded = || (attempts > 0).then(|| self.protocol.success());
        let (code, status) = match ending {
            Ok(()) => (None, succeeded()),
            Err((code, status)) => (Some(code.as_str()), status),
        };
        let asked = self.asked_last(invocation);
        trace::report(json!({
            "node": one_line(&self.node.name),
            "protocol": self.node.protocol.name,
            "grpc": asked.wire == Wire::Grpc,
            "host": asked.origin.host.to_string(),
            "port": asked.origin.port,
            "traceparent": mark.traceparent.as_ref().and_then(|value| value.to_str().ok()),
            "began_ns": trace::nanoseconds(began),
            "seconds": latency.as_secs_f64(),
            "code": code,
            "status": status,
            "counts": {
                "attempts": attempts,
                "retries": tally.retries(),
                "hedges": tally.hedges(),
                "cache_hits": invocation.hits.load(Ordering::Relaxed),
                "bytes_out": tally.bytes_out(),
                "bytes_in": tally.bytes_in(),
                "spent": units(tally.account.spent()),
            },
        }));
    }

    /// Of several servers, the one that the last request went to.
    fn asked_last(&self, invocation: &Invocation) -> &Endpoint {
        self.several.as_ref().map_or(&self.node.endpoint, |several| &several.last(&invocation.tally).endpoint)
    }
}
