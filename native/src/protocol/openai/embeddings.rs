//! `openai.embeddings`: a batch of texts to their vectors, float32 as base64 on the wire.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{MODEL, STREAM, Service, json_body, parse, strings};
use crate::element::ElementType;
use crate::failure::{Code, Problem};
use crate::protocol::answer::answer;
use crate::protocol::declared::Declared;
use crate::protocol::kserve::json_data::{self, Elements};
use crate::protocol::kserve::little_endian;
use crate::protocol::options::OptionSpec;
use crate::protocol::spec::{Asked, Authentication, Batch, Protocol, ProtocolSpec};
use crate::run::bounds;
use crate::tensor::{InputTensor, OutputData, OutputTensor};
use crate::transport::{Request, Response};

/// The row of the protocol table.
pub(in crate::protocol) const OPENAI: ProtocolSpec = ProtocolSpec {
    name: "openai.embeddings",
    schemes: &["http", "https"],
    authentication: Authentication::Bearer,
    attributes: &["extra"],
    required: &[],
    options: &[OptionSpec::text("model"), OptionSpec::integer("dimensions")],
    required_options: &["model"],
    own_fields: &[
        MODEL,
        STREAM,
        ("input", "the input text"),
        ("encoding_format", "nothing, since base64 and lists are both read"),
        ("dimensions", "the argument dimensions"),
    ],
    datatypes: &[(ElementType::String, "string"), (ElementType::Float32, "base64")],
    batch: Batch::Filled,
    prepare,
    describe: None,
};

/// The row of Azure's form.
pub(in crate::protocol) const AZURE: ProtocolSpec = ProtocolSpec {
    name: "azure_openai.embeddings",
    authentication: Authentication::ApiKey,
    attributes: &["extra", "api_version"],
    required: &["api_version"],
    ..OPENAI
};

struct Embeddings {
    service: Service,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    Ok(Box::new(Embeddings { service: Service::new(node, ElementType::Float32)? }))
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<i64>,
}

impl Protocol for Embeddings {
    fn request(&self, inputs: &[InputTensor], asked: &Asked) -> Result<Request<'static>, Problem> {
        let texts = inputs.first().map(strings).transpose()?.unwrap_or_default();
        if texts.len() != asked.rows {
            return Err(Problem::new(Code::Input, "the input has more dimensions than that of its rows"));
        }
        let body = Body {
            model: asked.options.required("model")?,
            input: texts,
            encoding_format: "base64",
            dimensions: asked.options.integer("dimensions"),
        };
        self.service.post_json(&["embeddings"], asked, &body)
    }

    fn outputs(&self, response: &Response, asked: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        let body = json_body(response)?;
        let list: List = parse(&body, response)?;
        let mut elements = Elements { count: 0, bytes: Vec::new() };
        for (row, item) in in_order(&list.data, asked.rows)?.into_iter().enumerate() {
            bounds::step()?;
            let before = elements.bytes.len();
            item.read(&mut elements)?;
            let values = &elements.bytes;
            // The first vector says how wide the others are.
            if values.len() - before != values.len() / (row + 1) {
                return Err(unfit("the embeddings differ in length".into()));
            }
            if values.is_empty() {
                return Err(unfit("the embeddings are empty".into()));
            }
        }
        let values = elements.bytes;
        let width = values.len() / 4 / asked.rows.max(1);
        if let Some(dimensions) = asked.options.integer("dimensions").filter(|asked| *asked != width as i64) {
            return Err(unfit(format!("an embedding has {width} dimensions, not {dimensions}")));
        }
        let shape = vec![asked.rows as i64, width as i64];
        let data = OutputData::Raw(bytes::Bytes::from(values).into());
        Ok(vec![OutputTensor { element: ElementType::Float32, shape, data }])
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    index: u64,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

impl Item<'_> {
    /// Appends the vector's bytes: base64 of little-endian float32, or a list of numbers.
    fn read(&self, elements: &mut Elements) -> Result<(), Problem> {
        let malformed = |what: &str| answer(format!("embedding {} is {what}", self.index));
        let text = self.embedding.get();
        if text.starts_with('"') {
            #[derive(Deserialize)]
            struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
            let Text(text) = serde_json::from_str(text).map_err(|_| malformed("no text"))?;
            let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| malformed("no base64"))?;
            if bytes.len() % 4 != 0 {
                return Err(unfit(format!("embedding {} has {} bytes, no float32 values", self.index, bytes.len())));
            }
            elements.bytes.extend_from_slice(&little_endian(&bytes, 4));
        } else {
            let read = json_data::read_into(elements, text, ElementType::Float32);
            read.map_err(|_| malformed("no list of numbers"))?;
        }
        Ok(())
    }
}

fn unfit(message: String) -> Problem {
    Problem::new(Code::OutputShape, message)
}

/// The items by their index, each of which is there once.
fn in_order<'a, 'b>(items: &'a [Item<'b>], rows: usize) -> Result<Vec<&'a Item<'b>>, Problem> {
    if items.len() != rows {
        return Err(unfit(format!("{} embeddings came in answer to {rows} texts", items.len())));
    }
    let mut ordered: Vec<_> = items.iter().collect();
    ordered.sort_unstable_by_key(|item| item.index);
    match ordered.iter().enumerate().find(|(row, item)| *row as u64 != item.index) {
        Some((row, _)) => Err(answer(format!("embedding {row} is missing"))),
        None => Ok(ordered),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::tests::{asked, prepared, response, texts};
    use super::*;
    use crate::protocol::options::Options;

    fn embeddings() -> Box<dyn Protocol> {
        prepared(&OPENAI, [], ElementType::Float32).unwrap()
    }

    fn read(body: impl Into<Vec<u8>>, rows: usize) -> Result<(Vec<i64>, Vec<f32>), Code> {
        let outputs = embeddings().outputs(&response("application/json", body), &asked(rows));
        let output = outputs.map_err(|problem| problem.code)?.remove(0);
        let OutputData::Raw(chunks) = &output.data else { panic!("strings") };
        let values = chunks.join().chunks(4).map(|bytes| f32::from_ne_bytes(bytes.try_into().unwrap())).collect();
        Ok((output.shape, values))
    }

    fn base64(values: &[f32]) -> Value {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        STANDARD.encode(bytes).into()
    }

    fn list(items: &[(u64, Value)]) -> String {
        let items: Vec<_> = items
            .iter()
            .map(|(index, value)| json!({"object": "embedding", "index": index, "embedding": value}))
            .collect();
        json!({"object": "list", "data": items, "model": "m"}).to_string()
    }

    #[test]
    fn a_batch_is_one_request() {
        let options = Options::from_iter([("model", "m")]).and_integer("dimensions", 2);
        let request = embeddings().request(&[texts(&["a", "é"])], &Asked { options, rows: 2 }).unwrap();
        assert_eq!(request.path, "/v1/embeddings");
        let expected = json!({"model": "m", "input": ["a", "é"], "encoding_format": "base64", "dimensions": 2});
        assert_eq!(serde_json::from_slice::<Value>(&request.body.join()).unwrap(), expected);
    }

    #[test]
    fn vectors_come_in_the_order_of_their_index_as_base64_or_lists() {
        let body = list(&[(1, json!([3, 4.5])), (0, base64(&[1.0, -2.0]))]);
        assert_eq!(read(body, 2), Ok((vec![2, 2], vec![1.0, -2.0, 3.0, 4.5])));
        let escaped = r#"{"data": [{"index": 0, "embedding": "\u0041ACAPw=="}]}"#;
        assert_eq!(read(escaped, 1), Ok((vec![1, 1], vec![1.0])));
    }

    #[test]
    fn other_rows_or_widths_are_refused() {
        let one = || base64(&[1.0]);
        for (items, rows, code) in [
            (vec![(0, one())], 2, Code::OutputShape),
            (vec![(0, one()), (1, one())], 1, Code::OutputShape),
            (vec![(0, one()), (1, base64(&[1.0, 2.0]))], 2, Code::OutputShape),
            (vec![(0, one()), (1, base64(&[]))], 2, Code::OutputShape),
            (vec![(0, json!("AAA="))], 1, Code::OutputShape),
            (vec![(0, one()), (0, one())], 2, Code::Answer),
            (vec![(0, one()), (u64::MAX, one())], 2, Code::Answer),
            (vec![(0, json!("?"))], 1, Code::Answer),
            (vec![(0, json!(null))], 1, Code::Answer),
            (vec![(0, json!({"x": 1}))], 1, Code::Answer),
            (vec![(0, json!(["a"]))], 1, Code::Answer),
        ] {
            assert_eq!(read(list(&items), rows), Err(code), "{items:?}");
        }
        for body in ["{}", "[]", r#"{"data": [{"embedding": "AACAPw=="}]}"#, r#"{"error": {"message": "no"}}"#] {
            assert_eq!(read(body, 1), Err(Code::Answer), "{body}");
        }
    }

    #[test]
    fn the_width_is_the_one_that_was_asked() {
        let options = Options::from_iter([("model", "m")]).and_integer("dimensions", 3);
        let body = list(&[(0, base64(&[1.0, 2.0]))]);
        let outputs = embeddings().outputs(&response("application/json", body), &Asked { options, rows: 1 });
        assert_eq!(outputs.unwrap_err().code, Code::OutputShape);
    }

    proptest! {
        #[test]
        fn vectors_survive_bit_by_bit(rows in 1usize..5, width in 1usize..6, seed in any::<u64>()) {
            let mut random = fastrand::Rng::with_seed(seed);
            let vectors: Vec<Vec<f32>> = (0..rows).map(|_| (0..width).map(|_| random.f32()).collect()).collect();
            let items: Vec<_> = vectors.iter().enumerate().map(|(index, vector)| (index as u64, base64(vector))).rev().collect();
            prop_assert_eq!(read(list(&items), rows), Ok((vec![rows as i64, width as i64], vectors.concat())));
        }

        #[test]
        fn arbitrary_answers_never_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(body, 2);
        }
    }
}
