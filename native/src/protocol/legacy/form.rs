//! `legacy.form`: a form with a field for each input, and one string as the answer. Inputs of bytes are files.

use http::HeaderValue;
use http::uri::PathAndQuery;

use super::{body, one_string, path, post};
use crate::element::ElementType;
use crate::failure::{Problem, malformed};
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
    attributes: &["query", "fields", "audio_format", "file_name", "model_field"],
    required: &[],
    options: &[],
    required_options: &[],
    own_fields: &[],
    datatypes: &[(ElementType::UInt8, "file"), (ElementType::String, "text")],
    batch: Batch::Whole,
    prepare,
    describe: None,
};

const MODEL: &str = "model";

/// Bytes that a file's name has at least to be sent in place of the default: the old library takes a shorter one for none.
const SHORTEST_FILE_NAME: usize = 5;

/// Bytes that a model's name has at least, by the same rule.
const SHORTEST_MODEL: usize = 2;

struct Fields {
    path: PathAndQuery,
    /// Fields that are the same in every request; they come first.
    constant: Vec<(String, String)>,
    /// The fields of the inputs.
    names: Vec<String>,
    file_name: String,
    /// The input that gives the files' name instead of `file_name`.
    file_name_field: Option<usize>,
    /// The input that gives the model instead of the constant field. It is sent as that field alone.
    model_field: Option<usize>,
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    let constant = match node.attributes.text("fields") {
        "" => Vec::new(),
        text => serde_json::from_str(text).map_err(|_| malformed("fields is no JSON array of [name, value] pairs"))?,
    };
    let names: Vec<String> = node.inputs.iter().map(|input| field(&input.name).to_owned()).collect();
    let place = |attribute| {
        let wanted = node.attributes.text(attribute);
        names.iter().position(|name| !wanted.is_empty() && name == wanted)
    };
    let file_name = format!("audio.{}", node.attributes.text("audio_format"));
    let (file_name_field, model_field) = (place("file_name"), place("model_field"));
    Ok(Box::new(Fields { path: path(node)?, constant, names, file_name, file_name_field, model_field }))
}

/// What an input's field is called: what follows its last slash.
fn field(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

impl Protocol for Fields {
    fn request<'a>(&self, inputs: &[InputTensor<'a>], _: &Asked) -> Result<Request<'a>, Problem> {
        let (file_name, model) = (self.file_name(inputs)?, self.model(inputs)?);
        let mut form = Form::new();
        for (name, value) in &self.constant {
            form.field(name, model.filter(|_| name == MODEL).unwrap_or(value.as_bytes()));
        }
        for (index, (name, tensor)) in self.names.iter().zip(inputs).enumerate() {
            match &tensor.data {
                _ if Some(index) == self.model_field => (),
                InputData::Raw(bytes) if tensor.element == ElementType::UInt8 => {
                    form.file(name, &file_name, "application/octet-stream", bytes);
                }
                _ => form.field(name, one_string(name, tensor)?),
            }
        }
        let (body, kind): (_, HeaderValue) = form.finish();
        Ok(post(&self.path, kind, body))
    }

    fn models(&self, inputs: &[InputTensor], _: &Asked) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Ok(Some(model)) = self.model(inputs) {
            return vec![text(model)];
        }
        let constant = self.constant.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let given = self.names.iter().zip(inputs).map(|(name, tensor)| (name.as_str(), one_string(MODEL, tensor)));
        let given = given.map(|(name, string)| (name, text(string.unwrap_or(b""))));
        constant.chain(given).filter(|(name, _)| *name == MODEL).map(|(_, value)| value).collect()
    }

    fn outputs(&self, response: &Response, _: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        body(response)
    }
}

impl Fields {
    /// What the files are called. A name ends before a NUL.
    fn file_name(&self, inputs: &[InputTensor]) -> Result<String, Problem> {
        let given = self.given(self.file_name_field, inputs)?.and_then(|name| name.split(|byte| *byte == 0).next());
        let long = given.filter(|name| name.len() >= SHORTEST_FILE_NAME);
        Ok(long.map_or_else(|| self.file_name.clone(), |name| String::from_utf8_lossy(name).into_owned()))
    }

    /// The model that an input gives.
    fn model<'t>(&self, inputs: &'t [InputTensor]) -> Result<Option<&'t [u8]>, Problem> {
        Ok(self.given(self.model_field, inputs)?.filter(|model| model.len() >= SHORTEST_MODEL))
    }

    fn given<'t>(&self, field: Option<usize>, inputs: &'t [InputTensor]) -> Result<Option<&'t [u8]>, Problem> {
        field.and_then(|index| inputs.get(index).map(|tensor| one_string(&self.names[index], tensor))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;
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
    fn a_field_is_one_string() {
        let protocol = prepared(&["file", "prompt"]).unwrap();
        let refusal = |inputs: &[InputTensor]| protocol.request(inputs, &Asked::default()).unwrap_err().code;
        assert_eq!(refusal(&[file(), text(&["a", "b"])]), Code::Input);
        assert_eq!(refusal(&[file(), text(&[])]), Code::Input);
        let numbers = || InputTensor { element: ElementType::Int64, shape: vec![1], data: InputData::Raw(&[0; 8]) };
        assert_eq!(refusal(&[file(), numbers()]), Code::Input);
    }

    #[test]
    fn bytes_are_files_under_any_name_and_a_file_may_be_text() {
        let protocol = prepared(&["audio", "file", "x/file"]).unwrap();
        let request = protocol.request(&[file(), text(&["t"]), file()], &Asked::default()).unwrap();
        let parts = parts(&request);
        assert!(parts[1].starts_with("name=\"audio\"; filename=\"audio.mp3\"\r\n"), "{parts:?}");
        assert_eq!(parts[2], "name=\"file\"\r\n\r\nt");
        assert!(parts[3].starts_with("name=\"file\"; filename=\"audio.mp3\"\r\n"), "{parts:?}");
    }

    #[test]
    fn a_short_name_of_a_file_or_a_model_is_none() {
        let mut declared =
            Parts::new("http://h/", &["file", "filename", "x/model_name"], &[("y", ElementType::String)]);
        let constant = ("fields", "[[\"model\", \"m\"]]");
        declared.attributes =
            [constant, ("audio_format", "wav"), ("file_name", "filename"), ("model_field", "model_name")].into();
        let protocol = prepare(&declared.declared()).unwrap();
        for (file_name, model, expected, called) in [
            ("", "", "m", "audio.wav"),
            ("a.wa", "n", "m", "audio.wav"),
            ("ab\0cdef", "nn", "nn", "audio.wav"),
            ("a.wav\0x", "gpt", "gpt", "a.wav"),
        ] {
            let inputs = [file(), text(&[file_name]), text(&[model])];
            let parts = parts(&protocol.request(&inputs, &Asked::default()).unwrap());
            assert_eq!(parts[0], format!("name=\"model\"\r\n\r\n{expected}"));
            assert!(parts[1].starts_with(&format!("name=\"file\"; filename=\"{called}\"\r\n")), "{parts:?}");
            assert_eq!(parts.len(), 3, "{parts:?}");
            assert_eq!(protocol.models(&inputs, &Asked::default()), [expected]);
        }
    }
}
