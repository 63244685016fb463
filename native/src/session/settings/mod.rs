//! A session's settings as people write them: what JSON may say, and how it is read.

mod completing;
mod form;
mod schema;
mod source;
mod suggesting;

pub use completing::complete;
pub use form::{Form, shown};
pub use schema::{HOST, SESSION, json};
pub use source::{contents, found, parse};
