use proptest::prelude::*;
use serde_json::json;

use super::super::tests::response;
use super::*;
use crate::failure::Code;

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

fn text(format: &str, kind: &'static str, body: &str) -> Result<String, Code> {
    read(format, &response(kind, body)).map_err(|problem| problem.code)
}

#[test]
fn each_format_has_its_text() {
    assert_eq!(text("json", JSON, r#"{"text": "hé"}"#), Ok("hé".into()));
    assert_eq!(text("text", PLAIN, "hé\n"), Ok("hé\n".into()));
    assert_eq!(text("text", PLAIN, ""), Ok("".into()));
    let subtitles = "1\n00:00 --> 00:01\na\n";
    for (format, kind) in [("srt", "text/plain"), ("srt", "application/x-subrip"), ("vtt", "text/vtt")] {
        assert_eq!(text(format, kind, subtitles), Ok(subtitles.into()), "{format} {kind}");
    }
    let verbose = r#"{"text": "a", "segments": [], "error": null}"#;
    for format in ["verbose_json", "diarized_json", "words_json"] {
        assert_eq!(text(format, JSON, verbose), Ok(verbose.into()), "{format}");
    }
    for (format, kind, body) in [
        ("lrc", PLAIN, "[00:01] a"),
        ("tsv", "text/tab-separated-values", "0\t1\ta"),
        ("ttml", PLAIN, "<?xml?><tt/>"),
        ("segments", JSON, r#"[{"text": "a"}]"#),
    ] {
        assert_eq!(text(format, kind, body), Ok(body.into()), "{format}");
    }
}

#[test]
fn a_text_comes_out_right_whatever_form_it_has() {
    for format in ["json", "text"] {
        for kind in [JSON, PLAIN, "application/octet-stream", "text/json", "application/problem+json"] {
            for body in [r#"{"text": "h\u00e9", "usage": null}"#, "\u{feff} {\"text\": \"hé\"}\n"] {
                assert_eq!(text(format, kind, body), Ok("hé".into()), "{format} {kind} {body}");
            }
        }
        assert_eq!(text(format, PLAIN, "\"Hello.\""), Ok("\"Hello.\"".into()), "{format}");
        assert_eq!(text(format, "text/plain", " hé"), Ok(" hé".into()), "{format}");
        assert_eq!(text(format, PLAIN, "[Music]"), Ok("[Music]".into()), "{format}");
    }
    for kind in ["application/octet-stream", JSON] {
        assert_eq!(text("text", kind, "hé"), Ok("hé".into()), "{kind}");
        assert_eq!(text("text", kind, "\"h\\u00e9\\n\""), Ok("hé\n".into()), "{kind}");
    }
    let mut unsaid = response("", "\"h\u{e9}\"");
    unsaid.headers.clear();
    assert_eq!(read("text", &unsaid).unwrap(), "hé");
    assert_eq!(text("text", PLAIN, "{sighs} yes"), Ok("{sighs} yes".into()));
    let timed = json!({"text": "1\n00:00 --> 00:01\na\n"});
    assert_eq!(text("srt", JSON, &timed.to_string()).as_deref(), Ok(timed["text"].as_str().unwrap()));
    assert_eq!(text("vtt", JSON, r#""WEBVTT\n\n""#), Ok("WEBVTT\n\n".into()));
}

#[test]
fn another_answer_holds_no_text() {
    for (format, kind, body) in [
        ("json", JSON, "{}"),
        ("json", JSON, ""),
        ("json", JSON, "hello"),
        ("json", JSON, "5"),
        ("json", JSON, "null"),
        ("json", JSON, r#"["text"]"#),
        ("json", PLAIN, r#"["text"]"#),
        ("json", PLAIN, ""),
        ("json", PLAIN, r#"{"text": "cut"#),
        ("json", "application/octet-stream", "hello"),
        ("json", JSON, "\"hello\""),
        ("json", "image/png", r#"{"text": "a"}"#),
        ("json", JSON, r#"{"text": null}"#),
        ("json", JSON, r#"{"text": ["a"]}"#),
        ("json", JSON, r#"{"text": "a", "text": "b"}"#),
        ("json", JSON, r#"{"text": "half", "error": {"message": "busy"}}"#),
    ] {
        assert_eq!(text(format, kind, body), Err(Code::Answer), "{format} {kind} {body}");
    }
}

#[test]
fn what_is_called_a_text_is_none_for_that() {
    for (format, kind, body) in [
        ("text", JSON, r#"["text"]"#),
        ("text", JSON, "5"),
        ("text", JSON, "{}"),
        ("text", PLAIN, "{}"),
        ("text", PLAIN, r#"{"detail": "Not Found"}"#),
        ("text", "text/html", "hello"),
        ("text", PLAIN, "<!DOCTYPE html><p>log in"),
        ("text", PLAIN, "\n<HTML>"),
        ("text", "application/octet-stream", "<?xml version=\"1.0\"?><Error/>"),
        ("text", "image/png", "a"),
        ("text", "text/plain; charset=iso-8859-1", "a"),
        ("text", "text/plain; charset=utf-16", "a"),
    ] {
        assert_eq!(text(format, kind, body), Err(Code::Answer), "{format} {kind} {body}");
    }
}

#[test]
fn another_body_is_no_format_of_its_own() {
    for (format, kind, body) in [
        ("srt", JSON, r#"{"text": "plain"}"#),
        ("vtt", JSON, r#""plain""#),
        ("vtt", JSON, r#"{"error": "busy"}"#),
        ("verbose_json", JSON, "[]"),
        ("verbose_json", JSON, r#"["text"]"#),
        ("verbose_json", JSON, "{}"),
        ("verbose_json", JSON, r#"{"error": {"message": "busy"}}"#),
        ("verbose_json", PLAIN, "hello"),
        ("diarized_json", JSON, r#"{"detail": "busy"}"#),
        ("diarized_json", JSON, r#"["text"]"#),
        ("lrc", JSON, r#"{"error": "busy"}"#),
        ("lrc", "text/html", "[00:01] a"),
    ] {
        assert_eq!(text(format, kind, body), Err(Code::Answer), "{format} {kind} {body}");
    }
    for format in ["json", "text", "verbose_json", "lrc"] {
        let latin = response(PLAIN, b"{\"text\": \"\xff\"}".to_vec());
        assert_eq!(read(format, &latin).unwrap_err().code, Code::Answer, "{format}");
    }
}

#[test]
fn why_there_is_no_text_is_told() {
    for (format, kind, body, word) in [
        ("json", JSON, r#"{"error": {"message": "busy"}}"#, "busy"),
        ("json", PLAIN, r#"{"object": "error", "message": "busy"}"#, "busy"),
        ("text", PLAIN, r#"{"detail": [{"msg": "busy"}]}"#, "busy"),
        ("srt", JSON, r#"{"code": 1, "message": "busy"}"#, "busy"),
        ("diarized_json", JSON, r#"{"message": "busy"}"#, "busy"),
        ("srt", JSON, r#"{"text": "plain"}"#, "srt"),
        ("text", "text/html", "hello", "response_format=\"json\""),
        ("json", JSON, "\"hello\"", "response_format=\"text\""),
    ] {
        let problem = read(format, &response(kind, body)).unwrap_err();
        assert!(problem.message.contains(word), "{}", problem.message);
    }
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
        for format in ["json", "verbose_json", "text", "srt", "lrc"] {
            for kind in [JSON, PLAIN, "a/b"] {
                let _ = read(format, &response(kind, body.clone()));
            }
        }
    }

    #[test]
    fn any_text_comes_back(said in any::<String>()) {
        let body = json!({"text": said}).to_string();
        for format in ["json", "text"] {
            for kind in [JSON, PLAIN, "application/octet-stream"] {
                prop_assert_eq!(text(format, kind, &body), Ok(said.clone()));
            }
        }
        prop_assert_eq!(text("text", JSON, &json!(said).to_string()), Ok(said));
    }

    /// But a page, and JSON that is no text.
    #[test]
    fn any_bare_text_comes_back(said in "[^{\\[<\"].{0,40}") {
        prop_assert_eq!(text("text", PLAIN, &said), Ok(said.clone()));
        prop_assert_eq!(text("srt", "text/plain", &said), Ok(said.clone()));
    }
}
