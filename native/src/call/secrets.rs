//! What a call holds that nobody may see, beside the credentials of its scope.

use crate::endpoint::Endpoint;
use crate::failure::{Code, Problem};
use crate::session::credential::Secret;
use crate::tensor::{InputData, InputTensor};

/// The keys in the query of an endpoint, which no message may show.
pub fn keys(endpoint: &Endpoint) -> Vec<Secret> {
    endpoint.keys().filter_map(|(_, key)| Secret::new(key.into_bytes()).ok()).collect()
}

/// The token that a tensor holds.
pub(super) fn token_secret(token: &InputTensor) -> Result<Secret, Problem> {
    let malformed = || Problem::new(Code::CredentialMalformed, "the token input is not exactly one string");
    let InputData::Text(strings) = &token.data else { return Err(malformed()) };
    if strings.starts.len() != 1 {
        return Err(malformed());
    }
    Secret::new(strings.content.clone())
}
