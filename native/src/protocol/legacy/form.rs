//! `legacy.form`: a form with a field for each input and one file, and one string as the answer.

use http::HeaderValue;
use http::uri::PathAndQuery;

use super::{body, one_string, path, post};
use crate::element::ElementType;
use crate::failure::{Code, Problem, malformed};
use crate::protocol::declared::Declared;
use crate::protocol::multipart::Form;
use crate::protocol::spec::{Asked, Authentication, Batch, Protocol, ProtocolSpec};
use crate::tensor::{InputData, InputTensor, OutputTensor};
use crate::transport::{Request, Response};

/// The row of the protocol table.
pub(in crate::protocol) const SPEC: ProtocolSpec = ProtocolSpec {
    name: "legacy.form",
    schemes: &["http", "https"],
    authentication: Authentication::Bearer,
    attributes: &["query", "fields", "audio_format", "file_name"],
    required: &[],
    options: &[],
    required_options: &[],
    own_fields: &[],
    datatypes: &[(ElementType::UInt8, "file"), (ElementType::String, "text")],
    batch: Batch::Request,
    prepare,
    describe: None,
};

const FILE: &str = "file";
const MODEL: &str = "model";

struct Fields {
    path: PathAndQuery,
    /// Fields that are the same in every request; they come first.
    constant: Vec<(String, String)>,
    /// The fields of the inputs.
    names: Vec<String>,
    file_name: String,
    /// The field that gives the file's name instead of `file_name`; empty if none does.
    file_name_field: String,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    let constant = match node.attributes.text("fields") {
        "" => Vec::new(),
        text => serde_json::from_str(text).map_err(|_| malformed("fields is no JSON array of [name, value] pairs"))?,
    };
    let names: Vec<String> = node.inputs.iter().map(|input| field(&input.name).to_owned()).collect();
    if names.iter().filter(|name| *name == FILE).count() != 1 {
        return Err(malformed("it has one input whose field is called file"));
    }
    let file_name = format!("audio.{}", node.attributes.text("audio_format"));
    let file_name_field = node.attributes.text("file_name").to_owned();
    Ok(Box::new(Fields { path: path(node)?, constant, names, file_name, file_name_field }))
}

/// What an input's field is called: what follows its last slash.
fn field(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

impl Protocol for Fields {
    fn request<'a>(&self, inputs: &[InputTensor<'a>], _: &Asked) -> Result<Request<'a>, Problem> {
        let file_name = self.file_name(inputs)?;
        let mut form = Form::new();
        self.constant.iter().for_each(|(name, value)| form.field(name, value));
        for (name, tensor) in self.names.iter().zip(inputs) {
            match &tensor.data {
                InputData::Raw(bytes) if name == FILE && tensor.element == ElementType::UInt8 => {
                    form.file(name, &file_name, "application/octet-stream", bytes);
                }
                _ if name == FILE => {
                    let message = format!("the input \"file\" is {}, not uint8", tensor.element.name());
                    return Err(Problem::new(Code::Input, message));
                }
                _ => form.field(name, one_string(name, tensor)?),
            }
        }
        let (body, kind): (_, HeaderValue) = form.finish();
        Ok(post(&self.path, kind, body))
    }

    fn models(&self, inputs: &[InputTensor], _: &Asked) -> Vec<String> {
        let constant = self.constant.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let text =
            |tensor: &InputTensor| String::from_utf8_lossy(one_string(MODEL, tensor).unwrap_or(b"")).into_owned();
        let given = self.names.iter().zip(inputs).map(|(name, tensor)| (name.as_str(), text(tensor)));
        constant.chain(given).filter(|(name, _)| *name == MODEL).map(|(_, value)| value).collect()
    }

    fn outputs(&self, response: &Response, _: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        body(response)
    }
}

impl Fields {
    fn file_name(&self, inputs: &[InputTensor]) -> Result<String, Problem> {
        match self.names.iter().zip(inputs).find(|(name, _)| **name == self.file_name_field) {
            None => Ok(self.file_name.clone()),
            Some((name, tensor)) => Ok(String::from_utf8_lossy(one_string(name, tensor)?).into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::declared::tests::Parts;

    fn prepared(inputs: &[&str]) -> Result<Box<dyn Protocol>, Problem> {
        let mut parts = Parts::new("http://h/v1/x", inputs, &[("y", ElementType::String)]);
        let constant = ("fields", "[[\"deployment_id\", \"\"]]");
        parts.attributes = [("query", "k=1"), constant, ("audio_format", "mp3"), ("file_name", "filename")].into();
        prepare(&parts.declared())
    }

    fn text(values: &[&str]) -> InputTensor<'static> {
        let data = InputData::Text(values.iter().collect());
        InputTensor { element: ElementType::String, shape: vec![values.len() as i64], data }
    }

    fn file() -> InputTensor<'static> {
        InputTensor { element: ElementType::UInt8, shape: vec![1, 3], data: InputData::Raw(b"\0\r\n") }
    }

    fn parts(request: &Request) -> Vec<String> {
        let body = String::from_utf8(request.body.join().to_vec()).unwrap();
        let boundary = body.lines().next().unwrap().to_owned();
        let parts = body.split(&boundary).filter(|part| !part.is_empty() && *part != "--\r\n");
        parts
            .map(|part| part.replace("Content-Disposition: form-data; ", "").trim_matches(['\r', '\n']).into())
            .collect()
    }

    #[test]
    fn fields_come_in_the_order_of_the_inputs_behind_the_constant_ones() {
        let protocol = prepared(&["a/prompt", "file", "b/prompt"]).unwrap();
        let request = protocol.request(&[text(&["p"]), file(), text(&["q\"\r\n"])], &Asked::default()).unwrap();
        assert_eq!(request.path, "/v1/x?k=1");
        let file = "name=\"file\"; filename=\"audio.mp3\"\r\nContent-Type: application/octet-stream\r\n\r\n\0";
        let expected = ["name=\"deployment_id\"", "name=\"prompt\"\r\n\r\np", file, "name=\"prompt\"\r\n\r\nq\""];
        assert_eq!(parts(&request), expected);
    }

    #[test]
    fn an_input_can_name_the_file() {
        let protocol = prepared(&["x/file", "filename"]).unwrap();
        let request = protocol.request(&[file(), text(&["a\"\r\n.flac"])], &Asked::default()).unwrap();
        assert!(parts(&request)[1].starts_with("name=\"file\"; filename=\"a%22%0D%0A.flac\"\r\n"));
        assert!(parts(&request)[2].starts_with("name=\"filename\"\r\n\r\na\"\r\n.flac"));
    }

    #[test]
    fn a_form_without_a_file_is_malformed_and_a_field_is_one_string() {
        assert_eq!(prepared(&["prompt"]).err().unwrap().code, Code::Node);
        assert_eq!(prepared(&["a/file", "file"]).err().unwrap().code, Code::Node);
        let protocol = prepared(&["file", "prompt"]).unwrap();
        let refusal = |inputs: &[InputTensor]| protocol.request(inputs, &Asked::default()).unwrap_err().code;
        assert_eq!(refusal(&[file(), text(&["a", "b"])]), Code::Input);
        assert_eq!(refusal(&[file(), text(&[])]), Code::Input);
        assert_eq!(refusal(&[file(), file()]), Code::Input);
        assert_eq!(refusal(&[text(&["a"]), text(&["b"])]), Code::Input);
    }
}
