//! What a request holds: each form is a scoring script's, or a service's, own.

use super::super::declared::DeclaredInput;
use super::super::nested;
use crate::failure::{Code, Problem, malformed};
use crate::tensor::InputTensor;

/// How inputs become a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// `{"x": …, "w": …}`.
    Named,
    /// `{"data": …}`, the one input.
    Data,
    /// `{"inputs": …}` of MLflow: the one input, or an object of all.
    Inputs,
    /// `{"input_data": …}` of AzureML, which holds the same.
    InputData,
    /// `{"dataframe_split": {"columns": […], "data": […]}}` of MLflow: each input is a column.
    DataframeSplit,
    /// `{"input_data": {"columns": […], "index": […], "data": […]}}` of AzureML, which holds the same.
    InputDataSplit,
}

/// Each form by the text of the attribute.
const FORMS: [(&str, Form); 6] = [
    ("named", Form::Named),
    ("data", Form::Data),
    ("mlflow", Form::Inputs),
    ("input_data", Form::InputData),
    ("dataframe_split", Form::DataframeSplit),
    ("input_data_split", Form::InputDataSplit),
];

impl Form {
    /// Reads the attribute of a node with so many inputs and outputs; empty means `named`.
    pub(super) fn parse(text: &str, inputs: usize, outputs: usize) -> Result<Self, Problem> {
        let text = if text.is_empty() { "named" } else { text };
        let found = FORMS.iter().find(|(name, _)| *name == text).map(|(_, form)| *form);
        let form = found
            .ok_or_else(|| malformed(format!("the form is none of {}", FORMS.map(|(name, _)| name).join(", "))))?;
        match form {
            Self::Data if (inputs, outputs) != (1, 1) => Err(malformed("the form data has one input and one output")),
            Self::Named | Self::Data => Ok(form),
            _ if inputs == 0 => Err(malformed(format!("the form {text} has an input"))),
            _ => Ok(form),
        }
    }

    /// The key of the answer's object that holds the outputs, where it is there.
    pub(super) fn result_key(self) -> Option<&'static str> {
        match self {
            Self::Named => None,
            Self::Data => Some("result"),
            _ => Some("predictions"),
        }
    }

    /// The body of a request.
    pub(super) fn body(self, declared: &[DeclaredInput], tensors: &[InputTensor]) -> Result<Vec<u8>, Problem> {
        let names = declared.iter().map(|input| input.name.len() + 6).sum::<usize>();
        let mut body = Vec::with_capacity(tensors.iter().map(nested::size_hint).sum::<usize>() + names + 64);
        match self {
            Self::Named => by_name(&mut body, declared, tensors)?,
            Self::Data => under("data", &mut body, declared, tensors)?,
            Self::Inputs => under("inputs", &mut body, declared, tensors)?,
            Self::InputData => under("input_data", &mut body, declared, tensors)?,
            Self::DataframeSplit => split("dataframe_split", false, &mut body, declared, tensors)?,
            Self::InputDataSplit => split("input_data", true, &mut body, declared, tensors)?,
        }
        Ok(body)
    }
}

/// `{"x": …, "w": …}`
fn by_name(body: &mut Vec<u8>, declared: &[DeclaredInput], tensors: &[InputTensor]) -> Result<(), Problem> {
    body.push(b'{');
    for (index, (input, tensor)) in declared.iter().zip(tensors).enumerate() {
        key(body, index, &input.name);
        nested::write(body, &input.name, tensor)?;
    }
    body.push(b'}');
    Ok(())
}

/// `{"key": …}` with the one input, or an object of several.
fn under(name: &str, body: &mut Vec<u8>, declared: &[DeclaredInput], tensors: &[InputTensor]) -> Result<(), Problem> {
    body.push(b'{');
    key(body, 0, name);
    match (declared, tensors) {
        ([input], [tensor]) => nested::write(body, &input.name, tensor)?,
        _ => by_name(body, declared, tensors)?,
    }
    body.push(b'}');
    Ok(())
}

/// A table: the names of its columns, perhaps the numbers of its rows, and the rows.
fn split(
    name: &str,
    is_indexed: bool,
    body: &mut Vec<u8>,
    declared: &[DeclaredInput],
    tensors: &[InputTensor],
) -> Result<(), Problem> {
    let rows = tensors.first().map_or(0, InputTensor::rows);
    for (input, tensor) in declared.iter().zip(tensors) {
        let is_column = matches!(*tensor.shape, [_] | [_, 1]) && tensor.rows() == rows;
        if !is_column {
            let shape = &tensor.shape;
            let message =
                format!("input \"{}\" has the shape {shape:?}, and is to be a column of {rows} rows", input.name);
            return Err(Problem::new(Code::Input, message));
        }
    }
    body.push(b'{');
    key(body, 0, name);
    body.extend_from_slice(b"{\"columns\":");
    let columns: Vec<_> = declared.iter().map(|input| input.name.as_str()).collect();
    body.extend_from_slice(serde_json::json!(columns).to_string().as_bytes());
    if is_indexed {
        body.extend_from_slice(b",\"index\":");
        let index: Vec<_> = (0..rows).collect();
        body.extend_from_slice(serde_json::json!(index).to_string().as_bytes());
    }
    body.extend_from_slice(b",\"data\":[");
    for row in 0..rows {
        body.extend_from_slice(if row == 0 { b"[" } else { b",[" });
        for (column, (input, tensor)) in declared.iter().zip(tensors).enumerate() {
            if column > 0 {
                body.push(b',');
            }
            nested::write(body, &input.name, &InputTensor { shape: Vec::new(), ..tensor.slice(row..row + 1) })?;
        }
        body.push(b']');
    }
    body.extend_from_slice(b"]}}");
    Ok(())
}

fn key(body: &mut Vec<u8>, index: usize, name: &str) {
    if index > 0 {
        body.push(b',');
    }
    body.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
    body.push(b':');
}
