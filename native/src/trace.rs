//! What the host wants to see of the calls that a thread makes: a W3C `traceparent` on their requests, a report of each.
//!
//! All of it belongs to the thread: the host says it before a run, and fetches the reports after the run, on the thread
//! that runs. A run whose options name a trace of its own has that. A call of which nothing is wanted costs a look at
//! two variables.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use serde_json::Value;

use crate::run::running::{self, EXIT};

/// Reports that a thread keeps at most, until the host fetches them; further ones are counted.
const KEPT: usize = 16_384;

/// What the host's resolver is asked for where each call has a trace of its own; the node's name follows. No credential
/// has such a name.
const ASKED: &str = ":call ";

/// What the host said, and the reports that wait for it.
#[derive(Default)]
struct Current {
    traceparent: Option<HeaderValue>,
    reported: bool,
    asked: bool,
    reports: Vec<Value>,
    forgotten: u64,
}

thread_local! {
    static CURRENT: RefCell<Option<Box<Current>>> = const { RefCell::new(None) };
}

/// What goes along with one call.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    /// The trace that its requests carry.
    pub traceparent: Option<HeaderValue>,
    /// When it began, if a report of it is wanted.
    pub began: Option<SystemTime>,
}

/// Says what is wanted of the calls of this thread from now on. `text` is one of
/// - a `traceparent`, which all of them carry;
/// - `calls`, for a report of each, or `calls` and after a space a `traceparent`, for both;
/// - `spans`: a report of each, and each carries the `traceparent` that the scope's resolver gives for it.
///
/// Anything else ends it. Reports that wait are dropped.
pub fn set(text: Option<&str>) {
    let current = text.and_then(Current::read).map(Box::new);
    CURRENT.with(|cell| cell.replace(current));
}

/// The mark of a call of `node` that this thread begins; `ask` gets the host's answer to a question, if it has one.
pub fn begin(node: &str, ask: impl FnOnce(&str) -> Option<Vec<u8>>) -> Option<Box<Mark>> {
    let own = running::traceparent();
    let said = CURRENT.with(|cell| {
        let current = cell.borrow();
        let current = current.as_deref()?;
        Some((current.traceparent.clone(), current.reported, current.asked))
    });
    let (traceparent, reported, asked) = match (said, own.is_some()) {
        (Some(said), _) => said,
        (None, true) => Default::default(),
        (None, false) => return None,
    };
    let began = reported.then(SystemTime::now);
    // The host may come back to this thread's variable while it is asked.
    let given = || {
        let text = (!EXIT.is_raised()).then(|| ask(&format!("{ASKED}{node}")))??;
        header(std::str::from_utf8(&text).ok()?)
    };
    let traceparent = own.or_else(|| if asked { given() } else { traceparent });
    Some(Box::new(Mark { traceparent, began }))
}

/// Keeps the report of a call that is over, as far as this thread's are wanted.
pub fn report(report: Value) {
    CURRENT.with(|cell| {
        let mut current = cell.borrow_mut();
        match current.as_deref_mut() {
            Some(current) if current.reports.len() < KEPT => current.reports.push(report),
            Some(current) => current.forgotten += 1,
            None => {}
        }
    });
}

/// The reports that wait on this thread, which are then gone, and how many were too many to keep.
pub fn take() -> (Vec<Value>, u64) {
    CURRENT
        .with(|cell| {
            let mut current = cell.borrow_mut();
            let current = current.as_deref_mut();
            current.map(|current| (std::mem::take(&mut current.reports), std::mem::take(&mut current.forgotten)))
        })
        .unwrap_or_default()
}

/// Nanoseconds since 1970.
pub fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Current {
    fn read(text: &str) -> Option<Self> {
        let (word, traceparent) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "spans" if traceparent.is_empty() => Some(Self { reported: true, asked: true, ..Self::default() }),
            "calls" => Some(Self { traceparent: header(traceparent), reported: true, ..Self::default() }),
            _ => Some(Self { traceparent: Some(header(text)?), ..Self::default() }),
        }
    }
}

/// The text as a header, if it is a `traceparent`.
pub fn header(text: &str) -> Option<HeaderValue> {
    is_traceparent(text).then(|| HeaderValue::from_str(text).ok()).flatten()
}

/// `version-trace-parent-flags` in lower-case hexadecimal digits (section 3.2 of the recommendation).
fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [2, 32, 16, 2] && text.split('-').all(is_hex)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn begun(node: &str) -> Option<(bool, bool)> {
        let mark = begin(node, |name| (name == ":call n").then(|| TRACE.into()))?;
        Some((mark.traceparent.is_some_and(|value| value == TRACE), mark.began.is_some()))
    }

    #[test]
    fn a_trace_belongs_to_its_thread() {
        set(Some(TRACE));
        assert_eq!(begun("other"), Some((true, false)));
        assert_eq!(std::thread::spawn(|| begun("n")).join().unwrap(), None);
        set(None);
        assert_eq!(begun("n"), None);
    }

    #[test]
    fn each_call_is_reported_and_has_the_trace_that_the_host_gives_it_where_that_is_wanted() {
        set(Some("calls"));
        assert_eq!(begun("n"), Some((false, true)));
        set(Some(&format!("calls {TRACE}")));
        assert_eq!(begun("other"), Some((true, true)));
        set(Some("spans"));
        assert_eq!((begun("n"), begun("other")), (Some((true, true)), Some((false, true))));
        set(None);
    }

    #[test]
    fn other_text_is_no_trace() {
        for text in
            ["", "00", "00-0-0-0", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "a\r\nx: y", "spans x"]
        {
            set(Some(text));
            assert_eq!(begun("n"), None, "{text}");
        }
    }

    #[test]
    fn reports_are_taken_once_on_their_thread_and_their_number_is_bounded() {
        report(json!(0));
        assert_eq!(take(), (Vec::new(), 0));
        set(Some("calls"));
        (0..KEPT + 2).for_each(|number| report(json!(number)));
        assert_eq!(std::thread::spawn(take).join().unwrap(), (Vec::new(), 0));
        let (reports, forgotten) = take();
        assert_eq!((reports.len(), &reports[0], forgotten), (KEPT, &json!(0), 2));
        assert_eq!(take(), (Vec::new(), 0));
        set(None);
    }
}
