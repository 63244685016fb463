//! `openai.responses`: a prompt to a text by the Responses API, for each row of a batch.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::content::Content;
use super::{MODEL, STREAM, Service, one_prompt, parse, refused, with_body};
use crate::element::ElementType;
use crate::failure::Problem;
use crate::protocol::answer::answer;
use crate::protocol::declared::Declared;
use crate::protocol::json::{List, Object, entries, value};
use crate::protocol::options::OptionSpec;
use crate::protocol::spec::{Asked, Authentication, Batch, Protocol, ProtocolSpec};
use crate::run::bounds;
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::{Request, Response};

/// The row of the protocol table.
pub(in crate::protocol) const OPENAI: ProtocolSpec = ProtocolSpec {
    name: "openai.responses",
    schemes: &["http", "https"],
    authentication: Authentication::Bearer,
    attributes: &["extra"],
    required: &[],
    options: &[OptionSpec::text("model"), OptionSpec::text("instructions"), OptionSpec::integer("max_output_tokens")],
    required_options: &["model"],
    own_fields: &[
        MODEL,
        STREAM,
        ("input", "the input prompt"),
        ("instructions", "the argument instructions"),
        ("max_output_tokens", "the argument max_output_tokens"),
        ("background", "nothing, since an answer is waited for"),
    ],
    datatypes: &[(ElementType::String, "string")],
    batch: Batch::Row,
    prepare,
    describe: None,
};

struct Responses {
    service: Service,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    Ok(Box::new(Responses { service: Service::new(node, ElementType::String)? }))
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<i64>,
}

impl Protocol for Responses {
    fn request(&self, inputs: &[InputTensor], asked: &Asked) -> Result<Request<'static>, Problem> {
        let body = Body {
            model: asked.options.required("model")?,
            input: one_prompt(inputs)?,
            instructions: asked.options.text("instructions"),
            max_output_tokens: asked.options.integer("max_output_tokens"),
        };
        self.service.post_json(&["responses"], asked, &body)
    }

    fn outputs(&self, response: &Response, _: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        with_body(response, text).map(|text| vec![OutputTensor::text(&text)])
    }
}

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    incomplete_details: Option<&'a RawValue>,
    #[serde(borrow)]
    output: List<Object<Item<'a>>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// What the official client calls `output_text`: all texts of all messages, one behind the other.
fn text(json: &str) -> Result<String, Problem> {
    let answered: Answered = parse(json, "output")?;
    let mut texts = None;
    let mut incomplete = check_status(&answered);
    for Object(item) in answered.output.0.iter().filter(|Object(item)| item.kind == "message") {
        bounds::step()?;
        let text: &mut String = texts.get_or_insert_default();
        let content = item.content.map(|json| Content::of_kinds(json.get(), &["output_text"])).transpose();
        let content = content.map_err(answer)?.unwrap_or_default();
        if let Some(refusal) = content.refusal {
            incomplete = incomplete.and(Err(refused(&refusal)));
        }
        text.push_str(&content.text.unwrap_or_default());
    }
    incomplete?;
    texts.ok_or_else(|| no_message(&answered))
}

/// Refuses a response that is not completed, in the service's words.
fn check_status(answered: &Answered) -> Result<(), Problem> {
    let status = match answered.status.as_deref() {
        None | Some("completed") => return Ok(()),
        Some(status) => status,
    };
    let details = answered.incomplete_details.and_then(|details| entries(details.get(), &["reason"]).ok());
    let reason = details.and_then(|details| serde_json::from_str::<String>(value(&details, 0)?).ok());
    let hint = match reason.as_deref() {
        Some("max_output_tokens") => "; allow for more of them",
        _ => "",
    };
    let reason = reason.map(|reason| format!(": {reason}{hint}")).unwrap_or_default();
    Err(answer(format!("the response is {status}{reason}")))
}

fn no_message(answered: &Answered) -> Problem {
    let mut kinds: Vec<_> = answered.output.0.iter().map(|Object(item)| item.kind.as_ref()).collect();
    kinds.dedup();
    kinds.truncate(8);
    let kinds = if kinds.is_empty() { "nothing".into() } else { kinds.join(", ") };
    answer(format!("the response has no message; its output holds {kinds}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::tests::{asked, prepared, response, texts};
    use super::*;
    use crate::failure::Code;
    use crate::protocol::options::Options;
    use crate::tensor::OutputData;

    fn responses() -> Box<dyn Protocol> {
        prepared(&OPENAI, [], ElementType::String).unwrap()
    }

    fn read(body: impl Into<Vec<u8>>) -> Result<String, Problem> {
        let outputs = responses().outputs(&response("application/json", body), &asked(1))?;
        let OutputData::Text(strings) = &outputs[0].data else { panic!("numbers") };
        Ok(String::from_utf8(strings.iter().next().unwrap().to_vec()).unwrap())
    }

    fn part(text: &str) -> Value {
        json!({"type": "output_text", "text": text, "annotations": []})
    }

    fn message(content: Value) -> Value {
        json!({"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content})
    }

    fn answered(status: &str, output: Value) -> Value {
        json!({"object": "response", "status": status, "error": null, "incomplete_details": null, "output": output})
    }

    #[test]
    fn a_prompt_is_the_input_beside_the_options_that_are_set() {
        let sent = |options| {
            let request = responses().request(&[texts(&["hé"])], &Asked { options, rows: 1 }).unwrap();
            assert_eq!(request.path, "/v1/responses");
            serde_json::from_slice::<Value>(&request.body.join()).unwrap()
        };
        assert_eq!(sent(Options::from_iter([("model", "m")])), json!({"model": "m", "input": "hé"}));
        let all =
            Options::from_iter([("model", "m"), ("instructions", "be brief")]).and_integer("max_output_tokens", 7);
        let expected = json!({"model": "m", "input": "hé", "instructions": "be brief", "max_output_tokens": 7});
        assert_eq!(sent(all), expected);
    }

    #[test]
    fn the_texts_of_all_messages_are_the_text() {
        let reasoning =
            json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]});
        let other = json!({"type": "text", "text": "no"});
        let output = json!([reasoning, message(json!([part("4"), other])), message(json!([part("2")]))]);
        assert_eq!(read(answered("completed", output).to_string()).unwrap(), "42");
        assert_eq!(read(answered("completed", json!([message(json!([]))])).to_string()).unwrap(), "");
        assert_eq!(read(json!({"output": [message(json!([part("a")]))]}).to_string()).unwrap(), "a");
    }

    #[test]
    fn what_is_no_whole_text_is_refused_in_words() {
        let cut = |reason: &str| {
            let mut body = answered("incomplete", json!([message(json!([part("half")]))]));
            body["incomplete_details"] = json!({"reason": reason});
            body
        };
        let mut failure = answered("failed", json!([]));
        failure["error"] = json!({"code": "server_error", "message": "overloaded"});
        let no = json!([message(json!([{"type": "refusal", "refusal": "no way"}, part("x")]))]);
        for (body, word) in [
            (cut("max_output_tokens"), "incomplete: max_output_tokens"),
            (cut("content_filter"), "incomplete: content_filter"),
            (answered("incomplete", json!([])), "incomplete"),
            (failure, "overloaded"),
            (answered("in_progress", json!([])), "in_progress"),
            (answered("cancelled", json!([])), "cancelled"),
            (answered("completed", no), "no way"),
            (answered("completed", json!([{"type": "reasoning", "summary": []}])), "reasoning"),
            (answered("completed", json!([])), "nothing"),
            (json!({"detail": "Not Found"}), "Not Found"),
        ] {
            let problem = read(body.to_string()).unwrap_err();
            assert_eq!(problem.code, Code::Answer, "{body}");
            assert!(problem.message.contains(word), "{}", problem.message);
        }
    }

    #[test]
    fn another_answer_is_none() {
        for body in [
            "{}".into(),
            "[]".into(),
            json!(["completed", null, []]).to_string(),
            json!({"output": null}).to_string(),
            json!({"output": "text"}).to_string(),
            json!({"output": [["message", [part("x")]]]}).to_string(),
            json!({"output": [message(json!(5))]}).to_string(),
            json!({"output": [message(json!([{"type": "output_text", "text": 5}]))]}).to_string(),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().code, Code::Answer, "{body}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(body);
        }

        #[test]
        fn any_texts_come_back_joined(texts in proptest::collection::vec(any::<String>(), 0..4)) {
            let parts: Vec<_> = texts.iter().map(|text| part(text)).collect();
            let body = answered("completed", json!([message(parts.into())])).to_string();
            prop_assert_eq!(read(body).unwrap(), texts.concat());
        }
    }
}
