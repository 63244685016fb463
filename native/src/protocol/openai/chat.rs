//! `openai.chat`: a prompt to a completion, for each row of a batch.

use http::HeaderValue;
use serde::Serialize;

use super::{MODEL, STREAM, Service, choice, models_of_bodies, one_prompt, whole, with_body};
use crate::element::ElementType;
use crate::failure::{Code, Problem, malformed};
use crate::protocol::declared::Declared;
use crate::protocol::json::entries;
use crate::protocol::options::{Group, OptionSpec};
use crate::protocol::spec::{Asked, Authentication, Batch, Protocol, ProtocolSpec};
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::{Request, Response};

/// The row of the protocol table.
pub(in crate::protocol) const OPENAI: ProtocolSpec = ProtocolSpec {
    name: "openai.chat",
    schemes: &["http", "https"],
    authentication: Authentication::Bearer,
    attributes: &["form", "extra"],
    required: &[],
    options: &[
        OptionSpec::text("model"),
        OptionSpec::text("system"),
        OptionSpec::float("temperature"),
        OptionSpec::integer("max_tokens"),
        OptionSpec::integer("max_completion_tokens"),
    ],
    required_options: &["model"],
    own_fields: &[
        MODEL,
        STREAM,
        ("messages", "the input prompt, and the argument system"),
        ("temperature", "the argument temperature"),
        ("max_tokens", "the argument max_tokens"),
        ("max_completion_tokens", "the argument max_completion_tokens"),
    ],
    datatypes: &[(ElementType::String, "string")],
    batch: Batch::Row,
    prepare,
    describe: None,
};

/// The row of Azure's form.
pub(in crate::protocol) const AZURE: ProtocolSpec = ProtocolSpec {
    name: "azure_openai.chat",
    authentication: Authentication::ApiKey,
    attributes: &["form", "extra", "api_version"],
    required: &["api_version"],
    ..OPENAI
};

const OPERATION: [&str; 2] = ["chat", "completions"];

struct Chat {
    service: Service,
    /// Whether rows are whole bodies.
    raw: bool,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    let raw = match node.attributes.text("form") {
        "" | "text" => false,
        "raw" => true,
        _ => return Err(malformed("the form is neither text nor raw")),
    };
    if raw && (!node.attributes.text("extra").is_empty() || node.has_group(Group::Extra)) {
        return Err(malformed("a raw prompt is the whole body, and extra has no place in it"));
    }
    if node.has_option("max_tokens") && node.has_option("max_completion_tokens") {
        return Err(malformed("max_tokens and max_completion_tokens are one limit under two names"));
    }
    Ok(Box::new(Chat { service: Service::new(node, ElementType::String)?, raw }))
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<i64>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

impl Protocol for Chat {
    fn request(&self, inputs: &[InputTensor], asked: &Asked) -> Result<Request<'static>, Problem> {
        let prompt = one_prompt(inputs)?;
        if self.raw {
            return self.raw_request(prompt, asked);
        }
        let system = asked.options.text("system").map(|content| Message { role: "system", content });
        let body = Body {
            model: asked.options.required("model")?,
            messages: system.into_iter().chain([Message { role: "user", content: prompt }]).collect(),
            temperature: asked.options.float("temperature"),
            max_tokens: asked.options.integer("max_tokens"),
            max_completion_tokens: asked.options.integer("max_completion_tokens"),
        };
        self.service.post_json(&OPERATION, asked, &body)
    }

    fn models(&self, inputs: &[InputTensor], asked: &Asked) -> Vec<String> {
        let named = inputs.first().filter(|_| self.raw).map(models_of_bodies).unwrap_or_default();
        named.into_iter().chain(asked.options.text("model").map(str::to_owned)).collect()
    }

    fn outputs(&self, response: &Response, _: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        let read = |body: &str| if self.raw { whole(body, "choices") } else { choice::text(body) };
        with_body(response, read).map(|text| vec![OutputTensor::text(&text)])
    }
}

impl Chat {
    fn raw_request(&self, body: &str, asked: &Asked) -> Result<Request<'static>, Problem> {
        match entries(body, &[]) {
            Ok(_) => {
                self.service.post(&OPERATION, asked, HeaderValue::from_static("application/json"), body.to_owned())
            }
            Err(_) => Err(Problem::new(Code::Input, "a raw prompt is no JSON object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::tests::{asked, prepared, response, texts};
    use super::*;
    use crate::protocol::declared::tests::Parts;
    use crate::protocol::options::Options;
    use crate::tensor::OutputData;

    const TEXT: &str = "text";
    const RAW: &str = "raw";

    fn chat(form: &str) -> Box<dyn Protocol> {
        prepared(&OPENAI, [("form", form)], ElementType::String).unwrap()
    }

    fn read(form: &str, body: impl Into<Vec<u8>>) -> Result<String, Problem> {
        let outputs = chat(form).outputs(&response("application/json", body), &asked(1))?;
        let OutputData::Text(strings) = &outputs[0].data else { panic!("numbers") };
        Ok(String::from_utf8(strings.iter().next().unwrap().to_vec()).unwrap())
    }

    fn completion(message: Value) -> String {
        json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {}}).to_string()
    }

    #[test]
    fn a_prompt_is_a_message_behind_the_system_s() {
        let protocol = chat(TEXT);
        let options = Options::from_iter([("model", "m"), ("system", "be brief")]);
        let options = options.and_float("temperature", 0.2).and_integer("max_tokens", 7);
        let request = protocol.request(&[texts(&["hi \"é\""])], &Asked { options, rows: 1 }).unwrap();
        assert_eq!(request.path, "/v1/chat/completions");
        let expected = json!({"model": "m", "temperature": 0.2, "max_tokens": 7, "messages": [
            {"role": "system", "content": "be brief"}, {"role": "user", "content": "hi \"é\""}]});
        assert_eq!(serde_json::from_slice::<Value>(&request.body.join()).unwrap(), expected);
    }

    #[test]
    fn what_is_not_set_is_not_sent() {
        let protocol = chat(TEXT);
        let request = protocol.request(&[texts(&[""])], &asked(1)).unwrap();
        let expected = json!({"model": "m", "messages": [{"role": "user", "content": ""}]});
        assert_eq!(serde_json::from_slice::<Value>(&request.body.join()).unwrap(), expected);
    }

    #[test]
    fn a_raw_prompt_is_the_body_as_it_is() {
        let protocol = chat(RAW);
        let body = r#"{ "model": "x", "n": 1 }"#;
        assert_eq!(protocol.request(&[texts(&[body])], &asked(1)).unwrap().body.join(), body);
        for body in ["", "[]", "{", "NaN", "{\"t\": NaN}"] {
            assert_eq!(protocol.request(&[texts(&[body])], &asked(1)).unwrap_err().code, Code::Input, "{body}");
        }
    }

    #[test]
    fn the_content_of_the_first_choice_is_the_text() {
        for (message, text) in [
            (json!({"role": "assistant", "content": "hé"}), "hé"),
            (json!({"content": "", "refusal": null}), ""),
            (json!({"content": "x", "refusal": "", "reasoning_content": "hm", "tool_calls": []}), "x"),
            (
                json!({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "4"}, {"text": "2"}]}),
                "42",
            ),
        ] {
            assert_eq!(read(TEXT, completion(message.clone())).unwrap(), text, "{message}");
        }
        let body = completion(json!({"content": "x"}));
        assert_eq!(read(RAW, body.clone()).unwrap(), body);
        for form in [TEXT, RAW] {
            let marked = format!("\u{feff}  {body}\n");
            assert_eq!(read(form, marked).unwrap().trim(), if form == RAW { body.as_str() } else { "x" });
        }
        assert_eq!(read(TEXT, r#"{"choices": [{"text": "older", "index": 0}]}"#).unwrap(), "older");
    }

    #[test]
    fn an_empty_text_is_one_where_the_model_was_done() {
        for reason in [json!("stop"), json!(null), json!("eos"), json!(5)] {
            let body = json!({"choices": [{"message": {"content": ""}, "finish_reason": reason}]});
            assert_eq!(read(TEXT, body.to_string()).unwrap(), "", "{reason}");
        }
        for reason in ["length", "content_filter"] {
            let of = |content: &str| {
                let choice = json!({"message": {"content": content}, "finish_reason": reason});
                read(TEXT, json!({"choices": [choice]}).to_string())
            };
            assert_eq!(of("cut").unwrap(), "cut");
            for nothing in ["", "\n\n"] {
                assert!(of(nothing).unwrap_err().message.contains(reason));
            }
        }
    }

    #[test]
    fn why_there_is_no_content_is_told() {
        let hate = json!({"hate": {"filtered": true, "severity": "high"}});
        for (choice, words) in [
            (
                json!({"message": {"content": null, "reasoning_content": "hm"}, "finish_reason": "length"}),
                &["length", "reasoning"][..],
            ),
            (json!({"message": {"content": null, "reasoning": "hm"}, "finish_reason": "stop"}), &["stop", "reasoning"]),
            (json!({"message": {}, "finish_reason": "length"}), &["length", "tokens"]),
            (json!({"message": {}, "finish_reason": "content_filter"}), &["content_filter"]),
            (
                json!({"finish_reason": "content_filter", "content_filter_results": hate}),
                &["content_filter", "hate (high)"],
            ),
            (
                json!({"message": {"content": null, "tool_calls": [{"id": "x"}]}, "finish_reason": "tool_calls"}),
                &["tool_calls", "tool"],
            ),
            (json!({"message": {"content": [{"type": "thinking"}]}, "finish_reason": "odd"}), &["odd"]),
            (json!({"message": {"content": null}}), &["no finish_reason"]),
            (json!({"message": {"content": null, "refusal": "no way"}}), &["no way"]),
            (json!({"message": {"content": [{"type": "refusal", "refusal": "no way"}]}}), &["no way"]),
            (json!({"message": {"content": "half"}, "error": {"code": 502, "message": "lost"}}), &["lost"]),
        ] {
            let problem = read(TEXT, json!({"choices": [choice]}).to_string()).unwrap_err();
            assert_eq!(problem.code, Code::Answer, "{choice}");
            assert!(words.iter().all(|word| problem.message.contains(word)), "{}", problem.message);
        }
    }

    #[test]
    fn no_content_is_no_answer() {
        for body in [
            "{}".into(),
            r#"{"choices": []}"#.into(),
            r#"{"choices": null}"#.into(),
            r#"{"choices": [{}]}"#.into(),
            r#"{"choices": [[{"content": "x"}]]}"#.into(),
            r#"{"choices": [{"message": ["x"]}]}"#.into(),
            r#"[[{"message": {"content": "x"}}]]"#.into(),
            completion(json!({"content": null})),
            completion(json!({"content": ["x"]})),
            completion(json!({"content": []})),
            completion(json!({"content": {"text": "x"}})),
            completion(json!({"tool_calls": []})),
            "null".into(),
            String::new(),
        ] {
            assert_eq!(read(TEXT, body.clone()).unwrap_err().code, Code::Answer, "{body}");
        }
        let stream = read(TEXT, ": PROCESSING\n\ndata: {}\n\n").unwrap_err();
        assert!(stream.message.contains("stream"), "{}", stream.message);
    }

    #[test]
    fn a_failure_with_status_200_is_told() {
        for form in [TEXT, RAW] {
            for body in [
                r#"{"error": {"message": "overloaded"}}"#.to_owned(),
                r#"{"error": "overloaded", "choices": [{"message": {"content": "x"}}]}"#.into(),
                r#"{"object": "error", "message": "overloaded", "code": 404}"#.into(),
                r#"{"detail": "overloaded"}"#.into(),
                r#"{"code": 5, "message": "overloaded"}"#.into(),
            ] {
                let failed = read(form, body).unwrap_err();
                assert!(failed.code == Code::Answer && failed.message.contains("overloaded"), "{}", failed.message);
            }
            let body = r#"{"error": null, "message": "ok", "choices": [{"message": {"content": "{\"error\": 1}"}}]}"#;
            assert_eq!(read(form, body).unwrap(), if form == RAW { body } else { r#"{"error": 1}"# });
        }
    }

    #[test]
    fn the_limit_of_today_s_models_has_a_name_of_its_own() {
        let options = Options::from_iter([("model", "m")]).and_integer("max_completion_tokens", 7);
        let request = chat(TEXT).request(&[texts(&["hi"])], &Asked { options, rows: 1 }).unwrap();
        let body: Value = serde_json::from_slice(&request.body.join()).unwrap();
        assert_eq!((&body["max_completion_tokens"], body.get("max_tokens")), (&json!(7), None));
        let mut parts = Parts::new("http://h/v1", &["x"], &[("y", ElementType::String)]);
        parts.options = Options::default().and_integer("max_tokens", 1).and_integer("max_completion_tokens", 1);
        assert_eq!(prepare(&parts.declared()).err().unwrap().code, Code::Node);
    }

    #[test]
    fn azure_puts_deployment_and_version_into_the_path() {
        let mut parts = Parts::new("https://r.openai.azure.com/", &["x"], &[("y", ElementType::String)]);
        parts.attributes = [("api_version", "2024-10-21&x=1")].into();
        let protocol = (AZURE.prepare)(&parts.declared()).unwrap();
        let of = |model| {
            let options = Options::from_iter([("model", model)]);
            protocol.request(&[texts(&["hi"])], &Asked { options, rows: 1 }).map(|request| request.path)
        };
        let expected = "/openai/deployments/my%20dep%2F1/chat/completions?api-version=2024-10-21%26x%3D1";
        assert_eq!(of("my dep/1").unwrap(), expected);
        assert_eq!(of("..").unwrap_err().code, Code::Input);
        assert_eq!(of("").unwrap_err().code, Code::Input);
    }

    #[test]
    fn a_node_of_another_form_is_malformed() {
        assert!(prepared(&OPENAI, [], ElementType::String).is_ok());
        assert_eq!(prepared(&OPENAI, [], ElementType::Float32).err().unwrap().code, Code::Node);
    }

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(TEXT, body.clone());
            let _ = read(RAW, body);
        }

        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            prop_assert_eq!(read(TEXT, completion(json!({"content": text}))).unwrap(), text);
        }
    }
}
