//! The answer of a chat: the text of its first choice, or why there is none.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::content::Content;
use super::{failed, parse, refused};
use crate::failure::Problem;
use crate::protocol::answer::answer;
use crate::protocol::json::{First, Object};
use crate::protocol::told;

/// Reasons to finish with which an empty text is no answer: the model had something to say, and it did not come.
const UNFINISHED: [&str; 5] = ["length", "content_filter", "tool_calls", "function_call", "error"];

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    choices: First<Object<Choice<'a>>, 1>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    message: Option<Object<Reply<'a>>>,
    /// Of servers that answer as the older completions do.
    #[serde(default)]
    text: Option<String>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_filter_results: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
}

/// The text of the first choice of `json`.
pub(super) fn text(json: &str) -> Result<String, Problem> {
    let completion: Completion = parse(json, "choices")?;
    let Object(choice) = completion.choices.0.into_iter().next().ok_or_else(|| answer("it has no choices"))?;
    if let Some(error) = choice.error.map(RawValue::get).filter(|error| told::says_something(error)) {
        return Err(failed(told::of_error(error)));
    }
    let reply = choice.message.as_ref().map(|Object(reply)| reply);
    if let Some(refusal) = reply.and_then(Reply::refusal) {
        return Err(refused(&refusal));
    }
    let text = match reply {
        Some(reply) => reply.content.as_ref().and_then(|content| content.text.clone()),
        None => choice.text.clone(),
    };
    let reason = choice.reason();
    let unfinished = reason.as_deref().is_some_and(|reason| UNFINISHED.contains(&reason));
    text.filter(|text| !(unfinished && text.trim().is_empty())).ok_or_else(|| choice.no_content(reason.as_deref()))
}

impl Reply<'_> {
    fn refusal(&self) -> Option<String> {
        let part = || self.content.as_ref().and_then(|content| content.refusal.clone());
        self.refusal.clone().filter(|refusal| !refusal.is_empty()).or_else(part)
    }

    fn has_reasoned(&self) -> bool {
        [self.reasoning_content, self.reasoning].into_iter().flatten().any(|text| told::says_something(text.get()))
    }

    fn calls_tools(&self) -> bool {
        self.tool_calls.is_some_and(|calls| told::says_something(calls.get()))
    }
}

impl Choice<'_> {
    fn reason(&self) -> Option<String> {
        let reason = self.finish_reason?.get();
        Some(serde_json::from_str(reason).unwrap_or_else(|_| reason.to_owned()))
    }

    fn no_content(&self, reason: Option<&str>) -> Problem {
        let nothing = Reply::default();
        let reply = self.message.as_ref().map_or(&nothing, |Object(reply)| reply);
        let told =
            reason.map_or_else(|| "it tells no finish_reason".into(), |reason| format!("finish_reason {reason}"));
        let found = self.content_filter_results.map(|found| told::filtered(found.get())).unwrap_or_default();
        let why = match reason {
            Some("length") => {
                let by = if reply.has_reasoned() { " by the model's reasoning" } else { "" };
                format!("; the tokens were used up{by} before there was a text: allow for more of them")
            }
            Some("content_filter") if found.is_empty() => "; a filter took it away".into(),
            Some("content_filter") => format!("; a filter took it away for {}", found.join(", ")),
            _ if reply.calls_tools() => "; the model calls a tool, which is not run here".into(),
            _ if reply.has_reasoned() => "; it holds reasoning alone".into(),
            _ => String::new(),
        };
        answer(format!("the first choice has no content ({told}){why}"))
    }
}
