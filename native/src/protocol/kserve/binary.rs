//! Tensors in the binary form: numbers side by side in little-endian order, each string behind its length.

use super::little_endian;
use crate::failure::{Code, Problem};
use crate::tensor::{InputData, InputTensor};
use crate::transport::Body;

/// How many bytes the tensor of input `name` takes; `Err` if it cannot be sent in this form.
pub fn size(name: &str, tensor: &InputTensor) -> Result<usize, Problem> {
    match &tensor.data {
        InputData::Raw(bytes) => Ok(bytes.len()),
        InputData::Text(strings) => {
            strings.iter().try_for_each(|string| check_length(name, string))?;
            Ok(strings.content.len() + LENGTH * strings.starts.len())
        }
        InputData::Blob(string) => {
            check_length(name, string)?;
            Ok(string.len() + LENGTH)
        }
    }
}

/// Bytes of the length before a string.
const LENGTH: usize = 4;

fn check_length(name: &str, string: &[u8]) -> Result<(), Problem> {
    let long = string.len();
    match u32::try_from(long) {
        Ok(_) => Ok(()),
        Err(_) => {
            let message = format!("input \"{name}\" holds a string of {long} bytes, more than BYTES can carry");
            Err(Problem::new(Code::Input, message))
        }
    }
}

/// The strings of a tensor that was [`write`]n.
pub fn strings(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk()?;
        let (string, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        bytes = rest;
        Some(string)
    })
}

/// From this many bytes on a tensor is sent from where it lies; a smaller one is copied, which is quicker.
pub const LENT: usize = 64 << 10;

/// A body of `start` and then the tensors, which [`size`] has accepted.
pub fn body<'a>(start: Vec<u8>, tensors: &[InputTensor<'a>]) -> Body<'a> {
    let (mut body, mut own) = (Body::default(), start);
    for tensor in tensors {
        match tensor.data {
            InputData::Raw(bytes) if bytes.len() >= LENT && cfg!(target_endian = "little") => {
                body.push(std::mem::take(&mut own));
                body.lend(bytes);
            }
            InputData::Blob(string) if string.len() + LENGTH >= LENT => {
                write_length(&mut own, string);
                body.push(std::mem::take(&mut own));
                body.lend(string);
            }
            _ => write(&mut own, tensor),
        }
    }
    body.push(own);
    body
}

/// Writes a tensor that [`size`] has accepted.
pub fn write(body: &mut Vec<u8>, tensor: &InputTensor) {
    match &tensor.data {
        InputData::Raw(bytes) => body.extend_from_slice(&little_endian(bytes, tensor.element.size())),
        InputData::Text(strings) => {
            for string in strings.iter() {
                write_length(body, string);
                body.extend_from_slice(string);
            }
        }
        InputData::Blob(string) => {
            write_length(body, string);
            body.extend_from_slice(string);
        }
    }
}

fn write_length(body: &mut Vec<u8>, string: &[u8]) {
    // `size` has refused what does not fit.
    body.extend_from_slice(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_le_bytes());
}
