//! What makes two questions of a node equal: all that can change the answer.

use http::HeaderMap;
use ring::rand::{SecureRandom, SystemRandom};

use super::store::Key;
use crate::node::Node;
use crate::run::bounds::{self, Beyond};
use crate::session::credential::Secret;
use crate::session::fingerprint::Print;
use crate::session::tape::key::asked;
use crate::tensor::InputTensor;

/// What all questions of a node have in common. It begins with a random number, so that no key says anything of a credential
/// even to who could try them all.
pub fn of_node(node: &Node) -> Print {
    let mut salt = [0; 32];
    // Without it the keys are as good at telling questions apart.
    let _ = SystemRandom::new().fill(&mut salt);
    let places = [&node.endpoint].into_iter().chain(&node.places.others);
    let mut print = asked(node, &places.map(|place| place.text.as_str()).collect::<Vec<_>>().join(" "));
    print.add(&salt);
    print.add(format!("{:?} {}", node.auth, node.authentication.name()).as_bytes());
    for (header, credential) in node.headers.credentials() {
        print.add(header.as_str().as_bytes());
        print.add(credential.as_bytes());
    }
    for output in &node.outputs {
        print.add(format!("{:?} {}", output.shape, output.is_blob).as_bytes());
    }
    print
}

/// Adds the options that a call is given.
pub fn add_options(print: &mut Print, options: &[InputTensor]) {
    options.iter().for_each(|option| print.tensor(option));
}

/// Adds whose call it is: its token, and its headers that hold credentials.
pub fn add_caller(print: &mut Print, token: Option<&Secret>, headers: &HeaderMap) {
    print.number(token.is_some().into());
    print.add(token.map(Secret::expose).unwrap_or_default().as_bytes());
    print.number(headers.len() as u64);
    for (name, value) in headers {
        print.add(name.as_str().as_bytes());
        print.add(value.as_bytes());
    }
}

/// The key of a whole call.
pub fn of_call(mut print: Print, tensors: &[InputTensor]) -> Key {
    print.add(b"call");
    tensors.iter().for_each(|tensor| print.tensor(tensor));
    print.finish()
}

/// The keys of `rows` rows of a call, in order. Tensors that are not among `with_rows` go along with each.
pub fn of_rows(mut print: Print, tensors: &[InputTensor], with_rows: &[bool], rows: usize) -> Result<Vec<Key>, Beyond> {
    print.add(b"row");
    let (cut, whole): (Vec<_>, Vec<_>) = tensors.iter().enumerate().partition(|(index, _)| with_rows[*index]);
    for (index, tensor) in whole {
        print.number(index as u64);
        print.tensor(tensor);
    }
    let key = |row| {
        bounds::step()?;
        let mut print = print.clone();
        cut.iter().for_each(|(_, tensor)| print.row(tensor, row));
        Ok(print.finish())
    };
    (0..rows).map(key).collect()
}
