//! Model metadata: what a server says that a model takes and gives.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::element;
use super::output::MAX_RANK;
use crate::element::ElementType;
use crate::failure::{Code, Problem};
use crate::protocol::json::{First, List, Object};
use crate::protocol::spec::{Description, TensorSpec};

#[derive(Deserialize)]
struct Server {
    #[serde(default)]
    name: Option<IgnoredAny>,
    #[serde(default)]
    extensions: Option<List<String>>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    name: Option<IgnoredAny>,
    #[serde(default)]
    inputs: Option<List<Object<Tensor>>>,
    #[serde(default)]
    outputs: Option<List<Object<Tensor>>>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    datatype: String,
    #[serde(default)]
    shape: Option<First<Size, { MAX_RANK + 1 }>>,
}

/// A dimension as servers write it: a number, which JSON made from protobuf has as a text, or a name or null for one of
/// any size.
#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Number(i64),
    Text(String),
    Any(()),
}

impl Size {
    fn number(&self) -> i64 {
        match self {
            Self::Number(size) => *size,
            Self::Text(text) => text.parse().unwrap_or(-1),
            Self::Any(()) => -1,
        }
    }
}

/// Reads the body of `GET v2/models/<model>`.
pub fn read(body: &[u8]) -> Result<Description, Problem> {
    let Object(metadata): Object<Metadata> = serde_json::from_slice(body)
        .map_err(|error| Problem::new(Code::Answer, format!("the answer is no model metadata: {error}")))?;
    if metadata.name.is_none() && metadata.inputs.is_none() && metadata.outputs.is_none() {
        return Err(Problem::new(Code::Answer, "the answer is no model metadata: it names nothing"));
    }
    let listed = |tensors: Option<List<Object<Tensor>>>| specs(tensors.map(|tensors| tensors.0).unwrap_or_default());
    Ok(Description { inputs: listed(metadata.inputs)?, outputs: listed(metadata.outputs)? })
}

/// The element type that a datatype of metadata means. Servers that people write themselves have other spellings: small
/// letters, Triton's own configuration, numpy.
fn meant(datatype: &str) -> Option<ElementType> {
    let upper = datatype.to_ascii_uppercase();
    let name = upper.strip_prefix("TYPE_").unwrap_or(&upper);
    let name = if name == "STRING" { "BYTES" } else { name };
    element(name).or_else(|| ElementType::from_name(&datatype.to_ascii_lowercase()))
}

/// Whether the body of `GET v2` names Triton's binary extension; `None` where it does not describe a server.
pub fn names_binary(body: &[u8]) -> Option<bool> {
    let server: Server = serde_json::from_slice(body).ok()?;
    let named = |extensions: List<String>| extensions.0.iter().any(|extension| extension == "binary_tensor_data");
    (server.name.is_some() || server.extensions.is_some()).then(|| server.extensions.is_some_and(named))
}

/// What a server says of one tensor, checked.
pub fn spec(name: String, datatype: &str, shape: Option<Vec<i64>>) -> Result<TensorSpec, Problem> {
    let unknown = || format!("tensor \"{name}\" has the unknown datatype {datatype}");
    let Some(element) = meant(datatype) else { return Err(Problem::new(Code::Answer, unknown())) };
    let sizes = shape.as_deref().unwrap_or_default();
    if sizes.len() > MAX_RANK {
        return Err(Problem::new(Code::Answer, format!("tensor \"{name}\" has more than {MAX_RANK} dimensions")));
    }
    if sizes.iter().any(|size| *size < -1) {
        return Err(Problem::new(Code::Answer, format!("tensor \"{name}\" has shape {sizes:?}")));
    }
    Ok(TensorSpec { name, element, shape })
}

fn specs(tensors: Vec<Object<Tensor>>) -> Result<Vec<TensorSpec>, Problem> {
    let shape = |sizes: First<Size, _>| sizes.0.iter().map(Size::number).collect();
    let described = |Object(tensor): Object<Tensor>| spec(tensor.name, &tensor.datatype, tensor.shape.map(shape));
    tensors.into_iter().map(described).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_becomes_specs() {
        let body = br#"{"name":"m","versions":["1"],"platform":"python","inputs":[{"name":"x","datatype":"FP16","shape":[-1,3]}],"outputs":[]}"#;
        let spec = TensorSpec { name: "x".into(), element: ElementType::Float16, shape: Some(vec![-1, 3]) };
        assert_eq!(read(body).unwrap(), Description { inputs: vec![spec], outputs: vec![] });
    }

    #[test]
    fn metadata_are_read_as_servers_write_them() {
        for (datatype, shape, element, sizes) in [
            ("fp32", r#", "shape": ["-1", "3"]"#, ElementType::Float32, Some(vec![-1, 3])),
            ("TYPE_STRING", r#", "shape": ["batch", null, 2]"#, ElementType::String, Some(vec![-1, -1, 2])),
            ("TYPE_INT64", r#", "shape": null"#, ElementType::Int64, None),
            ("float64", "", ElementType::Float64, None),
        ] {
            let tensor =
                format!(r#"{{"name": "x", "datatype": "{datatype}"{shape}, "parameters": {{"content_type": "np"}}}}"#);
            let body = format!(r#"{{"name": "m", "versions": null, "platform": "", "inputs": [{tensor}]}}"#);
            let spec = TensorSpec { name: "x".into(), element, shape: sizes };
            assert_eq!(read(body.as_bytes()).unwrap(), Description { inputs: vec![spec], outputs: vec![] }, "{body}");
        }
    }

    #[test]
    fn a_server_that_names_the_extension_has_it() {
        let named = |body: &str| names_binary(body.as_bytes());
        assert_eq!(named(r#"{"name": "triton", "extensions": ["sequence", "binary_tensor_data"]}"#), Some(true));
        for without in
            [r#"{"name": "mlserver", "extensions": []}"#, r#"{"name": "x"}"#, r#"{"extensions": null, "name": "x"}"#]
        {
            assert_eq!(named(without), Some(false), "{without}");
        }
        for other in ["{}", "[]", "", "<html>", r#"{"outputs": []}"#] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn other_bodies_are_refused() {
        for body in [
            "",
            "{}",
            "<html>",
            "[[],[]]",
            r#"{"inputs":[["x","FP32",[]]],"outputs":[]}"#,
            r#"{"inputs":[{"name":"x","datatype":"FP8","shape":[]}],"outputs":[]}"#,
            r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[-2]}],"outputs":[]}"#,
        ] {
            assert_eq!(read(body.as_bytes()).unwrap_err().code, Code::Answer, "{body}");
        }
    }
}
