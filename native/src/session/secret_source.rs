//! Secrets that the settings do not hold, and say where they are: read at every use, so that a new one is seen.

use crate::session::credential::Resolver;
use crate::session::settings::contents;

/// An environment variable that holds a secret.
pub struct Variable(pub String);

impl Resolver for Variable {
    fn resolve(&self, _: &str) -> Result<Vec<u8>, String> {
        std::env::var(&self.0).map(String::into_bytes).map_err(|error| match error {
            std::env::VarError::NotPresent => format!("the environment has no {}", self.0),
            std::env::VarError::NotUnicode(_) => format!("{} is no text", self.0),
        })
    }
}

/// A file that holds a secret, white space around it aside.
pub struct SecretFile(pub String);

impl Resolver for SecretFile {
    fn resolve(&self, _: &str) -> Result<Vec<u8>, String> {
        let read = contents(&self.0).map_err(|why| format!("its file cannot be used: {why}"));
        read.map(|text| text.trim().as_bytes().to_vec())
    }
}
