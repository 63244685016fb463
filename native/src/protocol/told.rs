//! What a server says of a failure, in the forms that services have for it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{First, List, entries, not_null, value};

/// Where services put what went wrong, in the order in which it is looked for: OpenAI's and Azure's own, FastAPI's, and
/// those of gateways and of others who speak the same API.
const SENTENCES: [&str; 10] = [
    "error",
    "message",
    "detail",
    "msg",
    "errors",
    "error_message",
    "error_msg",
    "error_description",
    "status_msg",
    "base_resp",
];

/// How deep within each other they may lie.
const DEPTH: u8 = 5;

/// Failures of a list that are told.
const MOST: usize = 4;

/// What Azure's filter looks for.
const FILTERED: [&str; 12] = [
    "hate",
    "self_harm",
    "sexual",
    "violence",
    "profanity",
    "jailbreak",
    "indirect_attack",
    "protected_material_text",
    "protected_material_code",
    "ungrounded_material",
    "custom_blocklists",
    "custom_topics",
];

/// What the JSON object `text` says of a failure.
pub(super) fn message(text: &str) -> Option<String> {
    in_object(text, DEPTH)
}

/// What the JSON value of an error says.
pub(super) fn of_error(json: &str) -> String {
    words(json, DEPTH).unwrap_or_else(|| json.to_owned())
}

/// What the body of a success says of its own failure; `None` if it is an answer, or no JSON object.
///
/// An `error` that says anything is a failure, and so is what calls itself an error. Where the entry `promised` is
/// missing, which every answer has, whatever sentence is there tells why.
pub(super) fn failure(text: &str, promised: &str) -> Option<String> {
    const OBJECT: usize = SENTENCES.len();
    const PROMISED: usize = OBJECT + 1;
    let names: Vec<_> = SENTENCES.into_iter().chain(["object", promised]).collect();
    let found = entries(text, &names).ok()?;
    let is_error = not_null(&found, 0).is_some_and(says_something) || value(&found, OBJECT) == Some("\"error\"");
    let tells = |name| not_null(&found, name).is_some_and(|said| words(said, DEPTH).is_some());
    let is_other = not_null(&found, PROMISED).is_none() && (1..OBJECT).any(tells);
    (is_error || is_other).then(|| message(text).unwrap_or_else(|| text.to_owned()))
}

/// Whether a value says anything; servers add an empty `error` to their successes.
pub(super) fn says_something(json: &str) -> bool {
    let bare: String = json.chars().filter(|character| !character.is_ascii_whitespace()).take(6).collect();
    !["null", "false", "0", "\"\"", "{}", "[]"].contains(&bare.as_str())
}

/// What Azure's filter found, each with how severe it is, in the JSON object that it adds to errors and to choices.
pub(super) fn filtered(json: &str) -> Vec<String> {
    let verdict = |(name, verdict): (usize, &RawValue)| {
        let found = entries(verdict.get(), &["filtered", "severity"]).ok()?;
        let severity = value(&found, 1).and_then(text);
        let severity = severity.map(|severity| format!(" ({severity})")).unwrap_or_default();
        (value(&found, 0)? == "true").then(|| format!("{}{severity}", FILTERED[name]))
    };
    entries(json, &FILTERED).unwrap_or_default().into_iter().filter_map(verdict).collect()
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str::<String>(json).ok().filter(|text| !text.trim().is_empty())
}

fn words(json: &str, depth: u8) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => text(json),
        b'{' if depth > 0 => in_object(json, depth - 1),
        b'[' if depth > 0 => {
            let items: First<&RawValue, MOST> = serde_json::from_str(json).ok()?;
            let told: Vec<_> = items.0.into_iter().filter_map(|item| words(item.get(), depth - 1)).collect();
            (!told.is_empty()).then(|| told.join("; "))
        }
        _ => None,
    }
}

fn in_object(json: &str, depth: u8) -> Option<String> {
    let found = entries(json, &SENTENCES).ok()?;
    let said = |name| value(&found, name).and_then(|value| words(value, depth));
    // Some give a title as the error, and say more in the message.
    let title = value(&found, 0).and_then(text);
    let told = match (title, value(&found, 1).and_then(text)) {
        (Some(title), Some(message)) if title != message => format!("{title}: {message}"),
        _ => (0..SENTENCES.len()).find_map(said)?,
    };
    let told = match place(json) {
        Some(place) => format!("{place}: {told}"),
        None => told,
    };
    let details = details(json);
    Some(if details.is_empty() { told } else { format!("{told} ({})", details.join(", ")) })
}

/// Where in the request the fault is, as FastAPI tells it: `"loc": ["body", "inputs", 0]`.
fn place(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Step {
        Name(String),
        Index(u64),
    }
    let found = entries(json, &["loc"]).ok()?;
    let steps: List<Step> = serde_json::from_str(value(&found, 0)?).ok()?;
    let steps = steps.0.into_iter().map(|step| match step {
        Step::Name(name) => name,
        Step::Index(index) => index.to_string(),
    });
    Some(steps.collect::<Vec<_>>().join(".")).filter(|place| !place.is_empty())
}

/// What Azure tells beside its message: the code of the inner error, and what its filter found.
fn details(error: &str) -> Vec<String> {
    const RESULTS: [&str; 2] = ["content_filter_result", "content_filter_results"];
    let found = entries(error, &["innererror", RESULTS[0], RESULTS[1]]).unwrap_or_default();
    let mut details = Vec::new();
    for (name, told) in found {
        if name > 0 {
            details.extend(filtered(told.get()));
            continue;
        }
        let inner = entries(told.get(), &["code", RESULTS[0], RESULTS[1]]).unwrap_or_default();
        details.extend(value(&inner, 0).and_then(text));
        details.extend(inner.iter().filter(|(name, _)| *name > 0).flat_map(|(_, results)| filtered(results.get())));
    }
    details
}

#[cfg(test)]
mod tests;
