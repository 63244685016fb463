//! `openai.audio`: one file to one text, transcribed or translated.

use super::{MODEL, STREAM, Service, transcript};
use crate::element::ElementType;
use crate::failure::{Code, Problem, malformed};
use crate::protocol::declared::Declared;
use crate::protocol::multipart::Form;
use crate::protocol::options::OptionSpec;
use crate::protocol::spec::{Asked, Authentication, Batch, Protocol, ProtocolSpec};
use crate::tensor::{InputData, InputTensor, OutputTensor};
use crate::transport::{Request, Response};

/// The row of the protocol table.
pub(in crate::protocol) const OPENAI: ProtocolSpec = ProtocolSpec {
    name: "openai.audio",
    schemes: &["http", "https"],
    authentication: Authentication::Bearer,
    attributes: &["task", "extra"],
    required: &[],
    options: &[
        OptionSpec::text("model"),
        OptionSpec::text("audio_format"),
        OptionSpec::text("response_format"),
        OptionSpec::text("language"),
        OptionSpec::text("prompt"),
        OptionSpec::float("temperature"),
    ],
    required_options: &["model"],
    own_fields: &[
        MODEL,
        STREAM,
        ("file", "the input file, and the argument audio_format"),
        ("response_format", "the argument response_format"),
        ("language", "the argument language"),
        ("prompt", "the argument prompt"),
        ("temperature", "the argument temperature"),
    ],
    datatypes: &[(ElementType::UInt8, "file"), (ElementType::String, "text")],
    batch: Batch::Whole,
    prepare,
    describe: None,
};

/// The row of Azure's form.
pub(in crate::protocol) const AZURE: ProtocolSpec = ProtocolSpec {
    name: "azure_openai.audio",
    authentication: Authentication::ApiKey,
    attributes: &["task", "extra", "api_version"],
    required: &["api_version"],
    ..OPENAI
};

/// Content types by file name extension.
const FORMATS: &[(&str, &str)] = &[
    ("flac", "audio/flac"),
    ("m4a", "audio/mp4"),
    ("mp3", "audio/mpeg"),
    ("mp4", "audio/mp4"),
    ("mpeg", "audio/mpeg"),
    ("mpga", "audio/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("webm", "audio/webm"),
];

/// Fields that are sent as they are.
const TEXT_FIELDS: [&str; 4] = ["model", "response_format", "language", "prompt"];

struct Audio {
    service: Service,
    operation: [&'static str; 2],
}

fn prepare(node: &Declared) -> Result<Box<dyn Protocol>, Problem> {
    let task = match node.attributes.text("task") {
        "" | "transcriptions" => "transcriptions",
        "translations" => "translations",
        _ => return Err(malformed("the task is neither transcriptions nor translations")),
    };
    if task == "translations" && node.has_option("language") {
        return Err(malformed("a translation takes no language"));
    }
    Ok(Box::new(Audio { service: Service::new(node, ElementType::String)?, operation: ["audio", task] }))
}

impl Protocol for Audio {
    fn request<'a>(&self, inputs: &[InputTensor<'a>], asked: &Asked) -> Result<Request<'a>, Problem> {
        let file = match inputs {
            [InputTensor { element: ElementType::UInt8, data: InputData::Raw(bytes), .. }] => bytes,
            _ => return Err(Problem::new(Code::Input, "the input is no uint8 tensor with the bytes of an audio file")),
        };
        asked.options.required("model")?;
        let extension = extension(asked.options.text("audio_format").unwrap_or("wav"))?;
        let mut form = Form::new();
        for name in TEXT_FIELDS {
            asked.options.text(name).into_iter().for_each(|value| form.field(name, value));
        }
        if let Some(temperature) = asked.options.float("temperature") {
            form.field("temperature", format!("{temperature:?}"));
        }
        for (name, value) in self.service.extra.of(asked) {
            form.json(name, &value);
        }
        let kind = FORMATS.iter().find(|(name, _)| *name == extension).map_or("application/octet-stream", |row| row.1);
        form.file("file", &format!("audio.{extension}"), kind, file);
        let (body, kind) = form.finish();
        self.service.post(&self.operation, asked, kind, body)
    }

    fn outputs(&self, response: &Response, asked: &Asked) -> Result<Vec<OutputTensor>, Problem> {
        let format = asked.options.text("response_format").unwrap_or("json");
        transcript::read(format, response).map(|text| vec![OutputTensor::text(&text)])
    }
}

fn extension(format: &str) -> Result<&str, Problem> {
    if format.len() <= 16 && format.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(format);
    }
    Err(Problem::new(Code::Input, "audio_format is no file name extension of up to 16 letters and digits"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, prepared};
    use super::*;
    use crate::protocol::declared::tests::Parts;
    use crate::protocol::options::Options;

    fn transcription() -> Box<dyn Protocol> {
        prepared(&OPENAI, [], ElementType::String).unwrap()
    }

    fn file(bytes: &[u8]) -> [InputTensor<'_>; 1] {
        [InputTensor { element: ElementType::UInt8, shape: vec![bytes.len() as i64], data: InputData::Raw(bytes) }]
    }

    #[test]
    fn a_file_travels_with_the_fields_that_are_set() {
        let protocol = transcription();
        let options =
            Options::from_iter([("model", "m"), ("language", ""), ("prompt", "a\r\nb"), ("audio_format", "mp3")]);
        let options = options.and_float("temperature", 0.2);
        let request = protocol.request(&file(b"\0RIFF\xff"), &Asked { options, rows: 1 }).unwrap();
        assert_eq!(request.path, "/v1/audio/transcriptions");
        let body = String::from_utf8_lossy(&request.body.join()).into_owned();
        for part in [
            "name=\"model\"\r\n\r\nm\r\n",
            "name=\"prompt\"\r\n\r\na\r\nb\r\n",
            "name=\"temperature\"\r\n\r\n0.2\r\n",
            "name=\"file\"; filename=\"audio.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\0RIFF",
        ] {
            assert!(body.contains(part), "{part}");
        }
        assert!(!body.contains("language") && !body.contains("response_format"));
    }

    #[test]
    fn translations_have_a_path_of_their_own_and_no_language() {
        let of = |task, options: Options| {
            let mut parts = Parts::new("http://h/v1", &["x"], &[("y", ElementType::String)]);
            (parts.attributes, parts.options) = ([("task", task)].into(), options);
            prepare(&parts.declared())
        };
        let translation = of("translations", Options::default()).unwrap();
        assert_eq!(translation.request(&file(b""), &asked(1)).unwrap().path, "/v1/audio/translations");
        let with_language = of("translations", Options::from_iter([("language", "de")]));
        assert_eq!(with_language.err().unwrap().code, Code::Node);
        assert_eq!(of("x", Options::default()).err().unwrap().code, Code::Node);
    }

    #[test]
    fn options_that_cannot_be_are_refused() {
        let protocol = transcription();
        for (name, value) in [("audio_format", "wav\"\r\nX: y"), ("audio_format", "../x"), ("model", "")] {
            let options = if name == "model" {
                Options::from_iter([(name, value)])
            } else {
                Options::from_iter([("model", "m"), (name, value)])
            };
            let problem = protocol.request(&file(b""), &Asked { options, rows: 1 }).unwrap_err();
            assert_eq!(problem.code, Code::Input, "{value}");
        }
        let floats = InputTensor { element: ElementType::Float32, shape: vec![0], data: InputData::Raw(&[]) };
        assert_eq!(protocol.request(&[floats], &asked(1)).unwrap_err().code, Code::Input);
    }
}
