//! What the configuration entries of a run's options say of its calls.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use crate::failure::{Code, Problem};
use crate::run::running::{Deadline, Wanted};
use crate::trace;

/// How long after its beginning the run's calls have to be over, in milliseconds.
const DEADLINE: &CStr = c"onnxhybrid.deadline_ms";

/// The W3C trace that its calls carry.
const TRACEPARENT: &CStr = c"onnxhybrid.traceparent";

/// The longest deadline: a day.
const MAX: u64 = 86_400_000;

/// What is wanted of the calls of a run that begins; `entry` gives the value of an entry, if there is one.
pub fn wanted(entry: impl Fn(&CStr) -> Option<String>) -> Result<Wanted, Problem> {
    let deadline = entry(DEADLINE).map(|text| deadline(&text).ok_or_else(|| no_deadline(&text)));
    let traceparent = entry(TRACEPARENT).map(|text| trace::header(&text).ok_or_else(|| no_trace(&text)));
    Ok(Wanted { deadline: deadline.transpose()?, traceparent: traceparent.transpose()? })
}

fn deadline(text: &str) -> Option<Deadline> {
    let within = text.parse().ok().filter(|within| (1..=MAX).contains(within)).map(Duration::from_millis)?;
    Some(Deadline { at: Instant::now() + within, within })
}

fn no_deadline(text: &str) -> Problem {
    refused(format!(
        "onnxhybrid.deadline_ms is {text:?}, and not a number of milliseconds from 1 to {MAX}, as in \"1500\""
    ))
}

fn no_trace(text: &str) -> Problem {
    let example = "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"";
    refused(format!("onnxhybrid.traceparent is {text:?}, and no traceparent of the W3C, as in {example}"))
}

fn refused(what: String) -> Problem {
    Problem::new(Code::RunEntry, format!("the configuration entry of the run {what}")).shortened()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &CStr, value: &str) -> Result<Wanted, Code> {
        wanted(|asked| (asked == key).then(|| value.into())).map_err(|problem| problem.code)
    }

    #[test]
    fn a_deadline_is_a_number_of_milliseconds() {
        assert_eq!(read(DEADLINE, "1500").unwrap().deadline.unwrap().within, Duration::from_millis(1500));
        for text in ["", "0", "-1", "1.5", "1e3", " 1", "1s", "86400001", "99999999999999999999"] {
            assert_eq!(read(DEADLINE, text).err(), Some(Code::RunEntry), "{text}");
        }
    }

    #[test]
    fn a_trace_is_one_of_the_w3c() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(read(TRACEPARENT, text).unwrap().traceparent.unwrap(), text);
        for text in ["", "00", "a\r\nb: c", "calls", "spans"] {
            assert_eq!(read(TRACEPARENT, text).err(), Some(Code::RunEntry), "{text}");
        }
    }

    #[test]
    fn nothing_is_wanted_where_nothing_is_said() {
        let wanted = wanted(|_| None).unwrap();
        assert!(wanted.deadline.is_none() && wanted.traceparent.is_none());
    }
}
