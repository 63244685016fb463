//! One line of a record: a request's fingerprint and what became of it, as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::key;
use crate::element::ElementType;
use crate::failure::{Code, Problem};
use crate::session::masking::Mask;
use crate::tensor::{Chunks, OutputData, OutputTensor, element_count};

/// What became of a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Requests that were tried.
    pub attempts: u32,
    /// The outputs, or the failure with its text fit to be shown.
    pub outcome: Result<Vec<OutputTensor>, Problem>,
}

/// A line: the call, and a hash of its text that shows damage.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CheckedEntry<'a> {
    check: String,
    #[serde(borrow)]
    call: &'a RawValue,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CallEntry {
    key: String,
    /// For people who read the file.
    node: String,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outputs: Option<Vec<TensorEntry>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<FailureEntry>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FailureEntry {
    code: String,
    status: Option<u16>,
    message: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TensorEntry {
    dtype: String,
    shape: Vec<i64>,
    /// Little-endian elements in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    /// The elements of a tensor of strings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Vec<String>>,
}

/// The line of an answer; tokens, where a server sent them back, become stars.
pub(super) fn write(key: &str, node: &str, answer: &Answer, mask: &Mask) -> serde_json::Result<String> {
    let outputs = |outputs: &Vec<OutputTensor>| outputs.iter().map(|output| TensorEntry::of(output, mask)).collect();
    let failure = |problem: &Problem| FailureEntry {
        code: problem.code.as_str().to_owned(),
        status: problem.status,
        message: problem.message.clone(),
    };
    let entry = CallEntry {
        key: key.to_owned(),
        node: node.to_owned(),
        attempts: answer.attempts,
        outputs: answer.outcome.as_ref().ok().map(outputs),
        failure: answer.outcome.as_ref().err().map(failure),
    };
    let call = serde_json::value::to_raw_value(&entry)?;
    serde_json::to_string(&CheckedEntry { check: key::check(call.get()), call: &call })
}

/// The fingerprint and the answer in a line; `None` if it is damaged.
pub(super) fn read(line: &str) -> Option<(String, Answer)> {
    let line: CheckedEntry = serde_json::from_str(line).ok()?;
    if key::check(line.call.get()) != line.check {
        return None;
    }
    let entry: CallEntry = serde_json::from_str(line.call.get()).ok()?;
    let outcome = match (entry.outputs, entry.failure) {
        (Some(outputs), None) => Ok(outputs.into_iter().map(TensorEntry::output).collect::<Option<_>>()?),
        (None, Some(failure)) => {
            let code = Code::parse(&failure.code)?;
            Err(Problem { code, message: failure.message, status: failure.status })
        }
        _ => return None,
    };
    Some((entry.key, Answer { attempts: entry.attempts, outcome }))
}

impl TensorEntry {
    fn of(output: &OutputTensor, mask: &Mask) -> Self {
        let (data, text) = match &output.data {
            OutputData::Raw(chunks) => {
                let mut bytes = chunks.join().to_vec();
                mask.data(&mut bytes);
                (Some(STANDARD.encode(bytes)), None)
            }
            OutputData::Text(strings) => {
                let text = |bytes: &[u8]| mask.string(&String::from_utf8_lossy(bytes));
                (None, Some(strings.iter().map(text).collect()))
            }
        };
        Self { dtype: output.element.name().to_owned(), shape: output.shape.clone(), data, text }
    }

    /// The tensor, if its data fit its type and shape.
    fn output(self) -> Option<OutputTensor> {
        let element = ElementType::from_name(&self.dtype)?;
        let count = element_count(&self.shape)?;
        let data = match (self.data, self.text) {
            (Some(data), None) if element != ElementType::String => {
                let bytes = STANDARD.decode(data).ok()?;
                let fits = count.checked_mul(element.size()) == Some(bytes.len());
                OutputData::Raw(fits.then(|| Chunks::from(Bytes::from(bytes)))?)
            }
            (None, Some(text)) if element == ElementType::String && text.len() == count => {
                OutputData::Text(text.iter().map(String::as_str).collect())
            }
            _ => return None,
        };
        Some(OutputTensor { element, shape: self.shape, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::credential::Secret;
    use crate::session::masking::Masks;

    fn text(items: &[&str]) -> OutputTensor {
        let data = OutputData::Text(items.iter().copied().collect());
        OutputTensor { element: ElementType::String, shape: vec![items.len() as i64], data }
    }

    fn bytes(content: &[u8]) -> OutputTensor {
        let data = OutputData::Raw(Chunks::from(Bytes::copy_from_slice(content)));
        OutputTensor { element: ElementType::UInt8, shape: vec![content.len() as i64], data }
    }

    fn answer(outputs: Vec<OutputTensor>) -> Answer {
        Answer { attempts: 1, outcome: Ok(outputs) }
    }

    #[test]
    fn a_failure_comes_back_as_it_was() {
        let problem = Problem::new(Code::Status, "the server answered 429").with_status(429);
        let line =
            write("k", "n", &Answer { attempts: 3, outcome: Err(problem.clone()) }, &Masks::default().with(None))
                .unwrap();
        let (key, answer) = read(&line).unwrap();
        assert_eq!((key.as_str(), answer.attempts, answer.outcome.unwrap_err()), ("k", 3, problem));
    }

    #[test]
    fn a_token_that_a_server_sends_back_is_not_kept() {
        let secret = Secret::new(b"s3cret-0123".to_vec()).unwrap();
        let outputs = vec![text(&["a s3cret-0123 b"]), bytes(b"xs3cret-0123y")];
        let line = write("k", "n", &answer(outputs), &Masks::default().with(Some(&secret))).unwrap();
        assert!(line.contains("a *** b") && !line.contains("s3cret"), "{line}");
        let outputs = read(&line).unwrap().1.outcome.unwrap();
        let OutputData::Raw(chunks) = &outputs[1].data else { panic!("strings") };
        assert_eq!(chunks.join().as_ref(), b"x***********y");
    }

    proptest! {
        #[test]
        fn tensors_come_back_as_they_were(content: Vec<u8>, items in proptest::collection::vec(any::<String>(), 0..5)) {
            let items: Vec<_> = items.iter().map(String::as_str).collect();
            let line = write("k", "n", &answer(vec![bytes(&content), text(&items)]), &Masks::default().with(None)).unwrap();
            prop_assert!(!line.contains('\n'));
            let outputs = read(&line).unwrap().1.outcome.unwrap();
            let OutputData::Raw(chunks) = &outputs[0].data else { panic!("strings") };
            let OutputData::Text(strings) = &outputs[1].data else { panic!("numbers") };
            prop_assert_eq!(chunks.join(), content);
            prop_assert!(strings.iter().eq(items.iter().map(|item| item.as_bytes())));
        }

        #[test]
        fn a_line_with_another_byte_is_damaged(at: proptest::sample::Index, byte: u8) {
            let line = write("k", "n", &answer(vec![text(&["text"])]), &Masks::default().with(None)).unwrap();
            let mut damaged = line.clone().into_bytes();
            let at = at.index(damaged.len());
            prop_assume!(damaged[at] != byte);
            damaged[at] = byte;
            let damaged = String::from_utf8_lossy(&damaged);
            // white space around JSON is no damage
            prop_assert!(read(&damaged).is_none() || damaged.trim() != line);
        }

        #[test]
        fn other_text_is_damaged(line: String) {
            prop_assert!(read(&line).is_none());
        }
    }
}
