//! How a node gets its token.

/// How a node gets its token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Auth {
    /// It needs none.
    None,
    /// Its first input is the token.
    Input,
    /// The scope holds it under this name.
    Credential(String),
}

impl Auth {
    /// Reads `none`, `input` or `credential:NAME`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "input" => Some(Self::Input),
            _ => text
                .strip_prefix("credential:")
                .filter(|name| !name.is_empty())
                .map(|name| Self::Credential(name.into())),
        }
    }
}
