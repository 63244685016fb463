//! The variables that the official clients read, each for its service's own hosts alone.
//!
//! An artifact may come from a stranger and name any endpoint, so a variable that is set for other programs goes to
//! the service that it belongs to, encrypted, and nowhere else.

use url::Host;

use crate::endpoint::Origin;
use crate::failure::{Code, Problem};
use crate::session::credential::{Credential, Secret, Source};

struct Official {
    credential: &'static str,
    variable: &'static str,
    /// Names of hosts; one that begins with a dot stands for all below it.
    hosts: &'static [&'static str],
}

const OFFICIAL: &[Official] = &[
    Official { credential: "openai", variable: "OPENAI_API_KEY", hosts: &["api.openai.com"] },
    Official {
        credential: "azure_openai",
        variable: "AZURE_OPENAI_API_KEY",
        hosts: &[".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"],
    },
];

/// The credential `name` as the environment has it for `origin`: our own variable first, then the official client's.
pub fn from_environment(
    name: &str,
    origin: &Origin,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Credential, Problem> {
    let missing = match Credential::from_environment(name, &variable) {
        Err(problem) if problem.code == Code::CredentialMissing => problem,
        found => return found,
    };
    let Some(official) = OFFICIAL.iter().find(|official| official.credential == name) else { return Err(missing) };
    let Some(value) = variable(official.variable).filter(|value| !value.is_empty()) else {
        let message = format!("{}; {} serves {}", missing.message, official.variable, official.hosts());
        return Err(Problem { message, ..missing });
    };
    if !official.owns(origin) {
        let message = format!(
            "{} is for https and {} alone, and this is {origin}: give the session the credential \"{name}\"",
            official.variable,
            official.hosts()
        );
        return Err(Problem::new(Code::CredentialHost, message));
    }
    Ok(Credential { source: Source::Value(Secret::new(value.into_bytes())?), hosts: None })
}

impl Official {
    fn owns(&self, origin: &Origin) -> bool {
        let Host::Domain(name) = &origin.host else { return false };
        let owned = |host: &&str| if host.starts_with('.') { name.ends_with(*host) } else { name == host };
        origin.tls && self.hosts.iter().any(owned)
    }

    fn hosts(&self) -> String {
        let spelled = |host: &&str| if host.starts_with('.') { format!("*{host}") } else { (*host).to_owned() };
        self.hosts.iter().map(spelled).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    fn found(name: &str, url: &str, variables: &[(&str, &str)]) -> Result<String, Code> {
        let origin = Endpoint::parse(url).unwrap().origin;
        let variable =
            |key: &str| variables.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        let credential = from_environment(name, &origin, variable).map_err(|problem| problem.code)?;
        credential.check_host(name, &origin, false).map_err(|problem| problem.code)?;
        Ok(credential.value().unwrap().expose().to_owned())
    }

    #[test]
    fn an_official_variable_goes_to_its_own_service_alone() {
        let keys = [("OPENAI_API_KEY", "one"), ("AZURE_OPENAI_API_KEY", "two")];
        for (name, url, expected) in [
            ("openai", "https://api.openai.com/v1", Ok("one")),
            ("openai", "https://API.OpenAI.com.:443/v1", Ok("one")),
            ("openai", "http://api.openai.com/v1", Err(Code::CredentialHost)),
            ("openai", "https://api.openai.com.evil.example/v1", Err(Code::CredentialHost)),
            ("openai", "https://evilapi.openai.com", Err(Code::CredentialHost)),
            ("openai", "https://r.openai.azure.com", Err(Code::CredentialHost)),
            ("openai", "http://127.0.0.1:8000", Err(Code::CredentialHost)),
            ("azure_openai", "https://r.openai.azure.com", Ok("two")),
            ("azure_openai", "https://r.cognitiveservices.azure.com", Ok("two")),
            ("azure_openai", "https://r.services.ai.azure.com", Ok("two")),
            ("azure_openai", "https://openai.azure.com", Err(Code::CredentialHost)),
            ("azure_openai", "https://evilopenai.azure.com", Err(Code::CredentialHost)),
            ("azure_openai", "https://api.openai.com", Err(Code::CredentialHost)),
            ("azureml", "https://api.openai.com", Err(Code::CredentialMissing)),
            ("other", "https://api.openai.com", Err(Code::CredentialMissing)),
        ] {
            assert_eq!(found(name, url, &keys), expected.map(str::to_owned), "{name} {url}");
        }
    }

    #[test]
    fn our_own_variable_comes_first_and_an_empty_one_is_none() {
        let own = [("ONNXHYBRID_CREDENTIAL_OPENAI", "mine"), ("ONNXHYBRID_CREDENTIAL_OPENAI_HOSTS", "h")];
        let keys = [own[0], own[1], ("OPENAI_API_KEY", "one")];
        assert_eq!(found("openai", "https://h", &keys), Ok("mine".into()));
        assert_eq!(found("openai", "https://api.openai.com", &keys), Err(Code::CredentialHost));
        let empty = [("OPENAI_API_KEY", "")];
        assert_eq!(found("openai", "https://api.openai.com", &empty), Err(Code::CredentialMissing));
        let malformed = [("OPENAI_API_KEY", "a\r\nb")];
        assert_eq!(found("openai", "https://api.openai.com", &malformed), Err(Code::CredentialMalformed));
    }
}
