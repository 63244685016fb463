//! `openai.chat`: a prompt to a completion, for each row of a batch.

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::{MODEL, STREAM, Service, json_body, parse, strings, whole};
use crate::element::ElementType;
use crate::failure::{Code, Problem, malformed};
use crate::protocol::answer::answer;
use crate::protocol::declared::Declared;
use crate::protocol::json::{First, entries};
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
    ],
    required_options: &["model"],
    own_fields: &[
        MODEL,
        STREAM,
        ("messages", "the input prompt, and the argument system"),
        ("temperature", "the argument temperature"),
        ("max_tokens", "the argument max_tokens"),
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
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

impl Protocol for Chat {
    fn request(&self, inputs: &[InputTensor], asked: &Asked) -> Result<Request<'static>, Problem> {
        let prompt = match inputs.first().map(strings).transpose()?.as_deref() {
            Some([prompt]) => *prompt,
            _ => return Err(Problem::new(Code::Input, "the input has more dimensions than that of its rows")),
        };
        if self.raw {
            return self.raw_request(prompt, asked);
        }
        let system = asked.options.text("system").map(|content| Message { role: "system", content });
        let body = Body {
            model: asked.options.required("model")?,
            messages: system.into_iter().chain([Message { role: "user", content: prompt }]).collect(),
            temperature: asked.options.float("temperature"),
            max_tokens: asked.options.integer("max_tokens"),
        };
        self.service.post_json(&OPERATION, asked, &body)
    }

    fn outputs(&self, response: &Response, _: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        let body = json_body(response)?;
        let text = if self.raw { whole(&body, response)? } else { content(&body, response)? };
        Ok(vec![OutputTensor::text(&text)])
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

fn content(body: &[u8], response: &Response) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Completion {
        choices: First<Choice, 1>,
    }
    #[derive(Deserialize)]
    struct Choice {
        message: Reply,
    }
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default)]
        content: Option<String>,
        #[serde(default)]
        refusal: Option<String>,
    }
    let completion: Completion = parse(body, response)?;
    let first = completion.choices.0.into_iter().next().ok_or_else(|| answer("it has no choices"))?;
    match first.message {
        Reply { refusal: Some(refusal), .. } => Err(answer(format!("the model refused: {refusal}"))),
        Reply { content: Some(content), .. } => Ok(content),
        Reply { content: None, .. } => Err(answer("the first choice has no content")),
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
        assert_eq!(read(TEXT, completion(json!({"role": "assistant", "content": "hé"}))).unwrap(), "hé");
        assert_eq!(read(TEXT, completion(json!({"content": "", "refusal": null}))).unwrap(), "");
        let body = completion(json!({"content": "x"}));
        assert_eq!(read(RAW, body.clone()).unwrap(), body);
    }

    #[test]
    fn no_content_is_no_answer() {
        for body in [
            "{}".into(),
            r#"{"choices": []}"#.into(),
            r#"{"choices": null}"#.into(),
            r#"{"choices": [{}]}"#.into(),
            completion(json!({"content": null})),
            completion(json!({"content": ["x"]})),
            completion(json!({"tool_calls": []})),
            "null".into(),
            String::new(),
        ] {
            assert_eq!(read(TEXT, body.clone()).unwrap_err().code, Code::Answer, "{body}");
        }
        let refusal = read(TEXT, completion(json!({"content": null, "refusal": "no way"}))).unwrap_err();
        assert!(refusal.message.contains("no way"));
        for form in [TEXT, RAW] {
            let failed = read(form, r#"{"error": {"message": "overloaded"}}"#).unwrap_err();
            assert!(failed.code == Code::Answer && failed.message.contains("overloaded"), "{}", failed.message);
        }
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
