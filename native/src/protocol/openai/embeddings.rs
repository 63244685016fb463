//! `openai.embeddings`: a batch of texts to their vectors, float32 as base64 on the wire.

use serde::Serialize;

use super::{MODEL, STREAM, Service, strings, vectors, with_body};
use crate::element::ElementType;
use crate::failure::{Code, Problem};
use crate::protocol::declared::Declared;
use crate::protocol::options::OptionSpec;
use crate::protocol::spec::{Asked, Authentication, Batch, Protocol, ProtocolSpec};
use crate::tensor::{InputTensor, OutputData, OutputTensor};
use crate::transport::{Request, Response};

/// The row of the protocol table.
pub(in crate::protocol) const OPENAI: ProtocolSpec = ProtocolSpec {
    name: "openai.embeddings",
    schemes: &["http", "https"],
    authentication: Authentication::Bearer,
    attributes: &["extra"],
    required: &[],
    options: &[OptionSpec::text("model"), OptionSpec::integer("dimensions"), OptionSpec::text("encoding_format")],
    required_options: &["model"],
    own_fields: &[
        MODEL,
        STREAM,
        ("input", "the input text"),
        ("encoding_format", "the argument encoding_format"),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'static str>,
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
            encoding_format: encoding(asked)?,
            dimensions: asked.options.integer("dimensions"),
        };
        self.service.post_json(&["embeddings"], asked, &body)
    }

    fn outputs(&self, response: &Response, asked: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        let (values, width) = with_body(response, |body| vectors::read(body, asked.rows))?;
        if let Some(dimensions) = asked.options.integer("dimensions").filter(|asked| *asked != width as i64) {
            let message = format!("an embedding has {width} dimensions, not {dimensions}");
            return Err(Problem::new(Code::OutputShape, message));
        }
        let shape = vec![asked.rows as i64, width as i64];
        let data = OutputData::Raw(bytes::Bytes::from(values).into());
        Ok(vec![OutputTensor { element: ElementType::Float32, shape, data }])
    }
}

/// How the vectors are asked for: as base64 unless another form is given, or `none`, which leaves it to the service.
/// Both forms are read, whichever was asked for.
fn encoding(asked: &Asked) -> Result<Option<&'static str>, Problem> {
    if !asked.options.has("encoding_format") {
        return Ok(Some("base64"));
    }
    match asked.options.text("encoding_format") {
        Some("base64") => Ok(Some("base64")),
        Some("float") => Ok(Some("float")),
        None | Some("none") => Ok(None),
        Some(other) => {
            let message = format!("encoding_format \"{other}\" is none of base64, float, none");
            Err(Problem::new(Code::Input, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
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
    fn the_form_of_the_vectors_is_asked_for_as_the_node_says() {
        let sent = |format: Option<&'static str>| {
            let given = format.map(|format| ("encoding_format", format));
            let options = Options::from_iter([("model", "m")].into_iter().chain(given).collect::<Vec<_>>());
            let request = embeddings().request(&[texts(&["a"])], &Asked { options, rows: 1 });
            let body = request.map_err(|problem| problem.code)?.body.join();
            Ok(serde_json::from_slice::<Value>(&body).unwrap().get("encoding_format").cloned())
        };
        for (format, expected) in [
            (None, Some("base64")),
            (Some("base64"), Some("base64")),
            (Some("float"), Some("float")),
            (Some("none"), None),
            (Some(""), None),
        ] {
            assert_eq!(sent(format), Ok(expected.map(Value::from)), "{format:?}");
        }
        assert_eq!(sent(Some("int8")), Err(Code::Input));
    }

    #[test]
    fn vectors_come_in_the_order_of_their_index_as_base64_or_lists() {
        let body = list(&[(1, json!([3, 4.5])), (0, base64(&[1.0, -2.0]))]);
        assert_eq!(read(body, 2), Ok((vec![2, 2], vec![1.0, -2.0, 3.0, 4.5])));
        let escaped = r#"{"data": [{"index": 0, "embedding": "\u0041ACAPw=="}]}"#;
        assert_eq!(read(escaped, 1), Ok((vec![1, 1], vec![1.0])));
    }

    #[test]
    fn vectors_without_an_index_come_in_their_order() {
        let of = |indices: &[&str]| {
            let item = |(value, index): (usize, &&str)| format!(r#"{{"embedding": [{value}e0]{index}}}"#);
            let items: Vec<_> = indices.iter().enumerate().map(item).collect();
            let body = format!(r#"{{"data": [{}], "error": null, "usage": null}}"#, items.join(","));
            read(body, indices.len()).map(|(_, values)| values)
        };
        let at = [r#", "index": 0"#, r#", "index": 1"#, r#", "index": 2.0"#];
        assert_eq!(of(&["", "", ""]), Ok(vec![0.0, 1.0, 2.0]));
        assert_eq!(of(&[r#", "index": null"#, ""]), Ok(vec![0.0, 1.0]));
        assert_eq!(of(&["", at[1], at[2]]), Ok(vec![0.0, 1.0, 2.0]));
        assert_eq!(of(&[at[2], "", at[1]]), Ok(vec![1.0, 2.0, 0.0]));
        for mixed in [&["", at[0]][..], &["", "", at[1]], &["", "", at[2]], &["", at[2]], &[at[0], at[0]]] {
            assert_eq!(of(mixed), Err(Code::Answer), "{mixed:?}");
        }
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
            (vec![(0, json!("AACAPw"))], 1, Code::Answer),
            (vec![(0, json!("AACAPx=="))], 1, Code::Answer),
            (vec![(0, json!("AACAPw==\n"))], 1, Code::Answer),
            (vec![(0, json!(null))], 1, Code::Answer),
            (vec![(0, json!({"x": 1}))], 1, Code::Answer),
            (vec![(0, json!(["a"]))], 1, Code::Answer),
        ] {
            assert_eq!(read(list(&items), rows), Err(code), "{items:?}");
        }
        for body in [
            "{}",
            "[]",
            r#"[[{"index": 0, "embedding": [1]}]]"#,
            r#"{"data": [[0, [1]]]}"#,
            r#"{"data": [{"index": "0", "embedding": [1]}]}"#,
            r#"{"data": [{"index": -1, "embedding": [1]}]}"#,
            r#"{"data": [{"index": 0.5, "embedding": [1]}]}"#,
            r#"{"error": {"message": "no"}}"#,
            r#"{"error": {"message": "no"}, "data": [{"index": 0, "embedding": [1]}]}"#,
        ] {
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
