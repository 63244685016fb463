//! Inputs that may be left out: which a call sends, and which a server says there are.

use serde::Deserialize;

use crate::failure::{Code, Problem};
use crate::protocol::declared::{DeclaredInput, Optional};
use crate::protocol::json::List;
use crate::tensor::InputTensor;

/// The inputs that a call sends, as they are `travelling`; `None` where these are all there are. What is left out is seen
/// in `tensors`, as the graph gives them.
pub fn sent<'a>(
    inputs: &[DeclaredInput],
    optional: &Optional,
    tensors: &[InputTensor],
    travelling: &[InputTensor<'a>],
) -> Option<(Vec<DeclaredInput>, Vec<InputTensor<'a>>)> {
    let pairs = || inputs.iter().zip(tensors);
    pairs().any(|(input, tensor)| optional.is_left_out(input, tensor)).then(|| {
        let kept = pairs().zip(travelling).filter(|((input, tensor), _)| !optional.is_left_out(input, tensor));
        kept.map(|((input, _), tensor)| (input.clone(), tensor.clone())).unzip()
    })
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    input: Option<List<Input>>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    #[serde(default)]
    optional: Option<bool>,
}

/// The names of the optional inputs in the body of `GET v2/models/<model>/config`.
pub fn named(body: &[u8]) -> Result<Vec<String>, Problem> {
    let config: Config = serde_json::from_slice(body)
        .map_err(|error| Problem::new(Code::Answer, format!("the answer is no model configuration: {error}")))?;
    let inputs = config.input.map(|inputs| inputs.0).unwrap_or_default();
    Ok(inputs.into_iter().filter(|input| input.optional == Some(true)).map(|input| input.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::ElementType;
    use crate::shape::Shape;
    use crate::tensor::InputData;

    #[test]
    fn an_optional_input_of_no_size_at_all_is_left_out_and_any_other_is_sent() {
        let inputs: Vec<_> =
            ["x", "y"].map(|name| DeclaredInput { name: name.into(), shape: Shape::UNKNOWN }).into_iter().collect();
        let optional = Optional::read("[\"y\"]", &inputs).unwrap();
        let tensor = |shape: &[i64]| InputTensor {
            element: ElementType::Int8,
            shape: shape.to_vec(),
            data: InputData::Raw(&[]),
        };
        let names = |x: &[i64], y: &[i64]| {
            let given = [tensor(x), tensor(y)];
            let sent = sent(&inputs, &optional, &given, &given);
            sent.map(|(inputs, tensors)| {
                assert_eq!(inputs.len(), tensors.len());
                inputs.into_iter().map(|input| input.name).collect::<Vec<_>>()
            })
        };
        assert_eq!(names(&[0], &[0]), Some(vec!["x".into()]));
        assert_eq!(names(&[0], &[0, 0]), Some(vec!["x".into()]));
        assert_eq!((names(&[0], &[0, 4]), names(&[0], &[]), names(&[0], &[1])), (None, None, None));
    }

    #[test]
    fn a_configuration_names_the_inputs_that_may_be_left_out() {
        let body = br#"{"name":"m","input":[{"name":"a","data_type":"TYPE_FP32","dims":[-1]},{"name":"b","optional":true},{"name":"c","optional":false}]}"#;
        assert_eq!(named(body).unwrap(), ["b"]);
        assert_eq!(named(b"{}").unwrap(), [""; 0]);
        assert_eq!(named(b"[1]").unwrap_err().code, Code::Answer);
    }
}
