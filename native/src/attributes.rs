//! The attributes of a node, and what holds where a node lacks one.
//!
//! Those that a node has whatever its protocol are declared here and nowhere else: the library exports them
//! ([`json`]), Python reads their defaults from there, and `docs/operator.md` is tested against them.

use serde_json::{Value, json};

use crate::failure::{Problem, malformed};

/// Where a node's attributes are read from.
pub trait Attributes {
    /// A text attribute, if it is there.
    fn text(&self, name: &str) -> Option<String>;
    /// An integer attribute, if it is there.
    fn integer(&self, name: &str) -> Option<i64>;
    /// A float attribute, if it is there.
    fn float(&self, _name: &str) -> Option<f32> {
        None
    }
}

/// A text attribute that every node must have.
#[derive(Clone, Copy, Debug)]
pub struct Required {
    /// Its name.
    pub name: &'static str,
}

/// A text attribute that a node may lack.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Its name.
    pub name: &'static str,
    /// What holds where a node lacks it.
    pub default: &'static str,
}

/// An integer attribute that a node may lack.
#[derive(Clone, Copy, Debug)]
pub struct Integer {
    /// Its name.
    pub name: &'static str,
    /// What holds where a node lacks it.
    pub default: u64,
    /// The values that it can have.
    pub range: (u64, u64),
}

/// Milliseconds of any time to wait: a year bounds what a clock must be able to add.
const MILLISECONDS: (u64, u64) = (1, 31_536_000_000);

/// The wire protocol.
pub const PROTOCOL: Required = Required { name: "protocol" };
/// The base URL.
pub const ENDPOINT: Required = Required { name: "endpoint" };
/// The name that a session resolves to URLs; empty where the base URL is the only one.
pub const ENDPOINT_NAME: Text = Text { name: "endpoint_name", default: "" };
/// Which of several URLs of a name takes a request.
pub const ENDPOINT_ORDER: Text = Text { name: "endpoint_order", default: "first" };
/// The inputs' names on the wire, a JSON array.
pub const INPUT_NAMES: Required = Required { name: "input_names" };
/// The outputs' names on the wire, a JSON array.
pub const OUTPUT_NAMES: Required = Required { name: "output_names" };
/// The inputs' shapes, a JSON array; empty where none is known.
pub const INPUT_SHAPES: Text = Text { name: "input_shapes", default: "" };
/// The outputs' shapes, a JSON array; empty where none is known.
pub const OUTPUT_SHAPES: Text = Text { name: "output_shapes", default: "" };
/// The options that are inputs, a JSON array; empty for none.
pub const OPTION_NAMES: Text = Text { name: "option_names", default: "" };
/// How the node gets its token.
pub const AUTH: Text = Text { name: "auth", default: "none" };
/// How the token is carried: `bearer`, `api-key`, or empty for the protocol's own way.
pub const AUTH_SCHEME: Text = Text { name: "auth_scheme", default: "" };
/// Headers of every request, a JSON object; empty for none.
pub const HEADERS: Text = Text { name: "headers", default: "" };
/// The deadline of a call, in milliseconds.
pub const TIMEOUT: Integer = Integer { name: "timeout_ms", default: 30_000, range: MILLISECONDS };
/// How long one attempt may take, in milliseconds; 0 for as long as the call.
pub const ATTEMPT_TIMEOUT: Integer = Integer { name: "attempt_timeout_ms", default: 0, range: (0, MILLISECONDS.1) };
/// How long a connection may take, in milliseconds.
pub const CONNECT_TIMEOUT: Integer = Integer { name: "connect_timeout_ms", default: 5_000, range: MILLISECONDS };
/// Requests after the first.
pub const RETRIES: Integer = Integer { name: "retries", default: 2, range: (0, u32::MAX as u64) };
/// Rows of one request at most; 0 for all in one.
pub const BATCH: Integer = Integer { name: "batch", default: 0, range: (0, u32::MAX as u64) };
/// Bytes of the tensors of one request at most, where its rows can be fewer; 0 for any number.
pub const BATCH_BYTES: Integer = Integer { name: "batch_bytes", default: 0, range: (0, 1 << 40) };
/// When a second request is sent beside one that takes long, a JSON object; empty for never.
pub const HEDGE: Text = Text { name: "hedge", default: "" };
/// How answers are kept in memory, a JSON object; empty where none is.
pub const CACHE: Text = Text { name: "cache", default: "" };
/// What becomes of a failure.
pub const ON_ERROR: Text = Text { name: "on_error", default: "raise" };
/// The types of the outputs that the call of a `Begin` node brings, a JSON array; other nodes do not have it.
pub const OUTPUT_TYPES: Required = Required { name: "output_types" };
/// The outputs of the call that the answers of an `Audit` node are, a JSON array; other nodes do not have it.
pub const ANSWERS: Required = Required { name: "answers" };
/// Those of the answers that an `Audit` node compares, a JSON array; empty for all.
pub const COMPARED: Text = Text { name: "compared", default: "" };
/// At most this share of rows differs, as a certificate says: a number as text; empty where none is known.
pub const PROMISED: Text = Text { name: "promised", default: "" };
/// Whether each row of an `Audit` node's answers counts for itself.
pub const BY_ROW: Integer = Integer { name: "by_row", default: 0, range: (0, 1) };
/// The share of accepted rows that a `Draw` node draws, a float from 0 to 1.
const SHARE: &str = "share";

impl Required {
    /// The text that `node` has; `Err` where it is absent, empty or no text.
    pub fn read(self, node: &dyn Attributes) -> Result<String, Problem> {
        let given = text(node, self.name)?.filter(|text| !text.is_empty());
        given.ok_or_else(|| malformed(format!("the attribute {} is missing", self.name)))
    }
}

impl Text {
    /// The text that `node` has, or the default; `Err` where it is no text.
    pub fn read(self, node: &dyn Attributes) -> Result<String, Problem> {
        Ok(text(node, self.name)?.unwrap_or_else(|| self.default.to_owned()))
    }
}

impl Integer {
    /// The integer that `node` has, or the default; `Err` where it is no integer, or not in its range.
    pub fn read(self, node: &dyn Attributes) -> Result<u64, Problem> {
        let (least, most) = self.range;
        match node.integer(self.name) {
            Some(value) => u64::try_from(value)
                .ok()
                .filter(|value| (least..=most).contains(value))
                .ok_or_else(|| malformed(format!("{} is {value}, not from {least} to {most}", self.name))),
            None if node.text(self.name).is_some() || node.float(self.name).is_some() => {
                Err(malformed(format!("the attribute {} is no integer", self.name)))
            }
            None => Ok(self.default),
        }
    }

    /// `given`, as near as its range allows, or the default.
    pub fn or_default(self, given: Option<u64>) -> u64 {
        given.map_or(self.default, |value| value.clamp(self.range.0, self.range.1))
    }
}

/// The share that a `Draw` node has.
pub fn share(node: &dyn Attributes) -> Result<f64, Problem> {
    let share = node.float(SHARE).map(f64::from).filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| malformed(format!("the attribute {SHARE} is no number from 0 to 1")))
}

/// What is promised to an `Audit` node.
pub fn promised(node: &dyn Attributes) -> Result<Option<f64>, Problem> {
    let text = PROMISED.read(node)?;
    if text.is_empty() {
        return Ok(None);
    }
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.map(Some).ok_or_else(|| malformed(format!("{} is \"{text}\", no number from 0 to 1", PROMISED.name)))
}

/// A text attribute, if it is there; `Err` where it is something else.
fn text(node: &dyn Attributes, name: &str) -> Result<Option<String>, Problem> {
    match node.text(name) {
        None if node.integer(name).is_some() || node.float(name).is_some() => {
            Err(malformed(format!("the attribute {name} is no text")))
        }
        given => Ok(given),
    }
}

/// These attributes as JSON: name -> `{"type", "default", "least", "most"}`. One without a default is required; only
/// integers have a range. Those that `Begin`, `Draw` and `Audit` alone have are none of them.
pub fn json() -> Value {
    let required = [PROTOCOL, ENDPOINT, INPUT_NAMES, OUTPUT_NAMES].map(|row| (row.name, json!({"type": "string"})));
    let texts = [
        ENDPOINT_NAME,
        ENDPOINT_ORDER,
        INPUT_SHAPES,
        OUTPUT_SHAPES,
        OPTION_NAMES,
        AUTH,
        AUTH_SCHEME,
        HEADERS,
        CACHE,
        HEDGE,
        ON_ERROR,
    ];
    let texts = texts.map(|row| (row.name, json!({"type": "string", "default": row.default})));
    let integers = [TIMEOUT, CONNECT_TIMEOUT, ATTEMPT_TIMEOUT, RETRIES, BATCH, BATCH_BYTES];
    let integer =
        |row: Integer| json!({"type": "int", "default": row.default, "least": row.range.0, "most": row.range.1});
    let integers = integers.map(|row| (row.name, integer(row)));
    let rows = required.into_iter().chain(texts).chain(integers);
    Value::Object(rows.map(|(name, row)| (name.to_owned(), row)).collect())
}
