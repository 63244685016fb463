//! The tokens that a service says it used, and those that a request allows it to.
//!
//! Sources: the `usage` of <https://platform.openai.com/docs/api-reference>, for chats and audio `prompt_tokens` or
//! `input_tokens` with `completion_tokens` or `output_tokens`; embeddings have no output. Cached tokens are part of the
//! input, those of reasoning part of the output.

use serde_json::value::RawValue;

use crate::protocol::json::entries;

/// Tokens of one request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tokens {
    /// What was sent.
    pub(super) input: u64,
    /// What came.
    pub(super) output: u64,
}

/// Above this a number is no count of tokens.
const MOST: u64 = 1 << 40;

const COUNTS: [&str; 5] = ["prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens"];

const LIMITS: [&str; 4] = ["n", "max_tokens", "max_completion_tokens", "max_output_tokens"];

/// The tokens that a service names in its answer; `None` where it names none, or what is no count.
pub(super) fn told(answer: &[u8]) -> Option<Tokens> {
    let text = object(answer)?;
    let usage = entries(text, &["usage"]).ok()?.first()?.1.get();
    let counts = entries(usage, &COUNTS).ok()?;
    let input = first(&counts, &[0, 1])?;
    let output = first(&counts, &[2, 3])?;
    let total = first(&counts, &[4])?;
    match (input, output, total) {
        // Some count what a model thought in the total alone.
        (Some(input), output, total) => {
            let rest = total.unwrap_or(0).saturating_sub(input);
            Some(Tokens { input, output: output.unwrap_or(0).max(rest) })
        }
        (None, Some(output), Some(total)) if total >= output => Some(Tokens { input: total - output, output }),
        _ => None,
    }
}

/// The most tokens that a request lets a service give, if it says so.
pub(super) fn allowed(request: &[u8]) -> Option<u64> {
    let limits = entries(object(request)?, &LIMITS).ok()?;
    let most = [1, 2, 3].into_iter().filter_map(|name| first(&limits, &[name]).flatten()).max()?;
    Some(most.saturating_mul(first(&limits, &[0]).flatten().unwrap_or(1)))
}

fn object(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    Some(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The count under one of these names, if there is one; `None` where what stands there is none.
fn first(found: &[(usize, &RawValue)], names: &[usize]) -> Option<Option<u64>> {
    let mut values = found.iter().filter(|(name, value)| names.contains(name) && value.get() != "null");
    values.next().map(|(_, value)| count(value.get())).map_or(Some(None), |count| count.map(Some))
}

/// A number as a count; some write it with a fraction of nothing.
fn count(json: &str) -> Option<u64> {
    let number: f64 = serde_json::from_str(json).ok()?;
    // In range, so that the cast is exact.
    (number.fract() == 0.0 && (0.0..=MOST as f64).contains(&number)).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage(usage: &str) -> Option<(u64, u64)> {
        let answer = format!(r#"{{"choices": [{{"usage": {{"prompt_tokens": 9}}}}], "usage": {usage}}}"#);
        told(answer.as_bytes()).map(|tokens| (tokens.input, tokens.output))
    }

    #[test]
    fn each_service_names_its_tokens_in_its_own_words() {
        for (text, tokens) in [
            (r#"{"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}"#, (5, 7)),
            (r#"{"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}"#, (5, 7)),
            (r#"{"input_tokens": 5, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7}"#, (5, 7)),
            (r#"{"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}"#, (14, 45)),
            (r#"{"prompt_tokens": 5, "total_tokens": 5}"#, (5, 0)),
            (r#"{"prompt_tokens": 5.0, "completion_tokens": null}"#, (5, 0)),
            (r#"{"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 100}"#, (5, 95)),
            (r#"{"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 0}"#, (5, 7)),
            (r#"{"completion_tokens": 7, "total_tokens": 12}"#, (5, 7)),
        ] {
            assert_eq!(usage(text), Some(tokens), "{text}");
        }
    }

    #[test]
    fn what_is_no_count_is_not_told() {
        for text in [
            "null",
            "[]",
            "5",
            "{}",
            r#"{"type": "duration", "seconds": 9}"#,
            r#"{"total_tokens": 5}"#,
            r#"{"prompt_tokens": -5}"#,
            r#"{"prompt_tokens": 1.5}"#,
            r#"{"prompt_tokens": "5"}"#,
            r#"{"prompt_tokens": 1e300}"#,
            r#"{"prompt_tokens": 99999999999999999999999999}"#,
            r#"{"prompt_tokens": 5, "completion_tokens": -1}"#,
            r#"{"prompt_tokens": {"prompt_tokens": 5}}"#,
        ] {
            assert_eq!(usage(text), None, "{text}");
        }
        assert!(
            [&b""[..], b"{", b"[]", b"\xff", b"null", br#"{"usage": }"#].into_iter().all(|body| told(body).is_none())
        );
    }

    #[test]
    fn a_request_allows_what_its_limits_say_together() {
        for (text, most) in [
            (r#"{"max_tokens": 5}"#, Some(5)),
            (r#"{"max_completion_tokens": 5, "n": 3}"#, Some(15)),
            (r#"{"max_output_tokens": 5, "max_tokens": 9}"#, Some(9)),
            (r#"{"n": 3}"#, None),
            (r#"{"max_tokens": "5"}"#, None),
            ("RIFF", None),
        ] {
            assert_eq!(allowed(text.as_bytes()), most, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_a_panic(body in proptest::collection::vec(any::<u8>(), 0..64), text in any::<String>()) {
            let _ = (told(&body), allowed(&body), usage(&text), allowed(text.as_bytes()));
        }
    }
}
