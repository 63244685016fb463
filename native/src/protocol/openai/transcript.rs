//! The text of an answer to an audio request, by the format that was asked for and by what came.
//!
//! Services take that format for a wish: some answer JSON whatever was asked, some a bare text, some a text in quotes.

use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{failed, parse, unmarked, whole, with_body};
use crate::failure::Problem;
use crate::protocol::answer::answer;
use crate::protocol::told;
use crate::transport::Response;

/// The entry that every answer has which is an object.
const TEXT: &str = "text";

/// The text of the answer where `format` was asked for.
pub(super) fn read(format: &str, response: &Response) -> Result<String, Problem> {
    let kind = Kind::of(response);
    let read = |body: &str| match format {
        "json" => spoken(body, &kind, false),
        "text" => spoken(body, &kind, true),
        "srt" | "vtt" => subtitles(format, body, &kind),
        "verbose_json" => parse::<Transcription>(body, TEXT).and_then(|_| whole(body, TEXT)),
        other if other.ends_with("json") => whole(body, TEXT),
        _ => as_it_came(body),
    };
    let problem = match with_body(response, read) {
        Err(problem) if kind.is_page() && format != "json" => problem,
        outcome => return outcome,
    };
    // The server of whisper.cpp calls its plain texts so.
    let message = format!("{}; response_format=\"json\" gives the text in another way", problem.message);
    Err(Problem { message, ..problem })
}

#[derive(Deserialize)]
struct Transcription {
    text: String,
}

/// What an answer calls itself.
struct Kind {
    /// Its content type; empty if it says none.
    name: String,
    charset: Option<String>,
}

impl Kind {
    fn of(response: &Response) -> Self {
        let value = response.headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let value = value.unwrap_or_default().to_ascii_lowercase();
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_owned();
        let charset = parts.filter_map(|parameter| parameter.split_once('=')).find(|(key, _)| key.trim() == "charset");
        Self { name, charset: charset.map(|(_, value)| value.trim().trim_matches('"').to_owned()) }
    }

    fn is_page(&self) -> bool {
        self.name == "text/html"
    }

    fn is_json(&self) -> bool {
        self.name == "application/json" || self.name.ends_with("+json")
    }

    fn is_text(&self) -> bool {
        const TEXTS: [&str; 2] = ["application/x-subrip", "application/srt"];
        TEXTS.contains(&self.name.as_str()) || (self.name.starts_with("text/") && self.name != "text/xml")
    }

    /// Whether nothing is said that tells text from anything else.
    fn is_open(&self) -> bool {
        self.is_text() || ["", "application/octet-stream"].contains(&self.name.as_str())
    }
}

/// What was heard: the `text` of an object, a JSON string, or, where a text was asked for or comes as one, the body.
fn spoken(body: &str, kind: &Kind, asked_text: bool) -> Result<String, Problem> {
    let json = unmarked(body).trim_start();
    let bare_is_right = kind.is_text() || (asked_text && (kind.is_open() || kind.is_json()));
    match json.as_bytes().first() {
        Some(b'{') => match parse::<Transcription>(body, TEXT) {
            // A text is free to begin with a brace.
            Err(_) if asked_text && kind.is_text() && !is_json(json) => bare(body, kind),
            read => read.map(|transcription| transcription.text),
        },
        Some(b'[') if is_json(json) => Err(answer("it is a JSON list, and no text")),
        Some(b'"') if !kind.is_text() && is_json(json) && !asked_text => {
            Err(answer("it is a JSON string and no object; response_format=\"text\" takes it"))
        }
        Some(b'"') if !kind.is_text() && is_json(json) => serde_json::from_str(json).map_err(answer),
        _ if kind.is_json() && is_json(json) => Err(answer("it is JSON that holds no text")),
        None if !asked_text => Err(answer("it is empty")),
        _ if bare_is_right => bare(body, kind),
        _ => Err(answer(format!("it is neither JSON nor called a text, but \"{}\"", kind.name))),
    }
}

/// Subtitles as they came, or those that lie in JSON; a text without times is no subtitles.
fn subtitles(format: &str, body: &str, kind: &Kind) -> Result<String, Problem> {
    let json = unmarked(body).trim_start();
    let is_wrapped = json.starts_with('{') || (json.starts_with('"') && !kind.is_text());
    let text = spoken(body, kind, true)?;
    let is_timed = text.trim().is_empty() || text.contains("-->") || text.starts_with("WEBVTT");
    if is_wrapped && is_json(json) && !is_timed {
        return Err(answer(format!("it is JSON with a plain text, where {format} was asked for")));
    }
    Ok(text)
}

/// A format that a service has for itself.
fn as_it_came(body: &str) -> Result<String, Problem> {
    match told::failure(unmarked(body), TEXT) {
        Some(reported) => Err(failed(reported)),
        None => Ok(body.to_owned()),
    }
}

/// A body that is a text by itself.
fn bare(body: &str, kind: &Kind) -> Result<String, Problem> {
    const PAGES: [&str; 3] = ["<!doctype", "<html", "<?xml"];
    let start = unmarked(body).trim_start();
    let begins = |mark: &str| start.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark));
    if PAGES.into_iter().any(begins) {
        return Err(answer("it is a page for people, or a document, and no text"));
    }
    match kind.charset.as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => Ok(body.to_owned()),
        Some(other) => Err(answer(format!("its characters are {other}, not utf-8"))),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests;
