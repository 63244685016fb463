//! Model metadata: what a server says that a model takes and gives.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::element;
use super::output::MAX_RANK;
use crate::failure::{Code, Problem};
use crate::protocol::json::{First, List};
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
    inputs: List<Tensor>,
    outputs: List<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    datatype: String,
    shape: First<i64, { MAX_RANK + 1 }>,
}

/// Reads the body of `GET v2/models/<model>`.
pub fn read(body: &[u8]) -> Result<Description, Problem> {
    let metadata: Metadata = serde_json::from_slice(body)
        .map_err(|error| Problem::new(Code::Answer, format!("the answer is no model metadata: {error}")))?;
    Ok(Description { inputs: specs(metadata.inputs.0)?, outputs: specs(metadata.outputs.0)? })
}

/// Whether the body of `GET v2` names Triton's binary extension; `None` where it does not describe a server.
pub fn names_binary(body: &[u8]) -> Option<bool> {
    let server: Server = serde_json::from_slice(body).ok()?;
    let named = |extensions: List<String>| extensions.0.iter().any(|extension| extension == "binary_tensor_data");
    (server.name.is_some() || server.extensions.is_some()).then(|| server.extensions.is_some_and(named))
}

/// What a server says of one tensor, checked.
pub fn spec(name: String, datatype: &str, shape: Vec<i64>) -> Result<TensorSpec, Problem> {
    let unknown = || format!("tensor \"{name}\" has the unknown datatype {datatype}");
    let Some(element) = element(datatype) else { return Err(Problem::new(Code::Answer, unknown())) };
    if shape.len() > MAX_RANK {
        return Err(Problem::new(Code::Answer, format!("tensor \"{name}\" has more than {MAX_RANK} dimensions")));
    }
    if shape.iter().any(|size| *size < -1) {
        return Err(Problem::new(Code::Answer, format!("tensor \"{name}\" has shape {shape:?}")));
    }
    Ok(TensorSpec { name, element, shape })
}

fn specs(tensors: Vec<Tensor>) -> Result<Vec<TensorSpec>, Problem> {
    tensors.into_iter().map(|tensor| spec(tensor.name, &tensor.datatype, tensor.shape.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::ElementType;

    #[test]
    fn metadata_becomes_specs() {
        let body = br#"{"name":"m","versions":["1"],"platform":"python","inputs":[{"name":"x","datatype":"FP16","shape":[-1,3]}],"outputs":[]}"#;
        let spec = TensorSpec { name: "x".into(), element: ElementType::Float16, shape: vec![-1, 3] };
        assert_eq!(read(body).unwrap(), Description { inputs: vec![spec], outputs: vec![] });
    }

    #[test]
    fn other_bodies_are_refused() {
        for body in [
            "",
            "{}",
            "<html>",
            r#"{"inputs":[{"name":"x","datatype":"FP8","shape":[]}],"outputs":[]}"#,
            r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[-2]}],"outputs":[]}"#,
        ] {
            assert_eq!(read(body.as_bytes()).unwrap_err().code, Code::Answer, "{body}");
        }
    }
}
