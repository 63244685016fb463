//! A scope's configuration, as the host writes it in JSON.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::failure::{Code, Problem};
use crate::session::breaker::BreakerConfig;
use crate::session::budget::{Budget, BudgetConfig};
use crate::session::credential::{Credential, Provider, Resolver, Secret, Source, parse_hosts};
use crate::session::policy::{Policy, Strict};
use crate::session::trust::{ClientCertificate, Passphrase, Trust};

/// A scope's configuration.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    credentials: HashMap<String, CredentialConfig>,
    /// URLs by the names of endpoints.
    pub(super) endpoints: HashMap<String, Vec<String>>,
    pub(super) policy: PolicyConfig,
    /// Whether the host fetches failed attempts.
    pub(super) events: bool,
    /// The file that keeps answers.
    pub(super) record: Option<String>,
    /// The file that gives them.
    pub(super) replay: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialConfig {
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    resolver: bool,
    #[serde(default)]
    hosts: Option<Vec<String>>,
}

/// What a configuration says of the policy.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PolicyConfig {
    allow: Option<Vec<String>>,
    deny: Vec<String>,
    max_response_bytes: Option<u64>,
    max_concurrency: Option<u32>,
    budget: Option<BudgetConfig>,
    breaker: Option<BreakerConfig>,
    ca_file: Option<String>,
    client_certificate: Option<CertificateConfig>,
    /// What a file from a stranger may ask for.
    strict: Option<StrictConfig>,
}

/// The files of a client's certificate and of its key, and what the key is encrypted with.
#[derive(Deserialize)]
#[serde(untagged)]
enum CertificateConfig {
    Plain(String, String),
    Encrypted(String, String, String),
}

/// Ceilings for what a file may ask for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictConfig {
    max_timeout_ms: u64,
    max_retries: u32,
    max_request_bytes: u64,
}

impl Config {
    /// Reads a configuration strictly: an entry that is unknown is an error.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        serde_json::from_str(text).map_err(|error| malformed(position(&error)))
    }

    /// The credentials by name, which are then gone; `resolver` answers for those that want one.
    pub(super) fn take_credentials(
        &mut self,
        resolver: Option<&Arc<dyn Resolver>>,
    ) -> Result<HashMap<String, Credential>, Problem> {
        let credential = |(name, config): (String, CredentialConfig)| {
            let credential = config.credential(&name, resolver)?;
            Ok((name, credential))
        };
        std::mem::take(&mut self.credentials).into_iter().map(credential).collect()
    }
}

impl CredentialConfig {
    fn credential(self, name: &str, resolver: Option<&Arc<dyn Resolver>>) -> Result<Credential, Problem> {
        let source = match (self.value, self.resolver, resolver) {
            (Some(value), false, _) => Source::Value(Secret::new(value.into_bytes())?),
            (None, true, Some(resolver)) => Source::Resolver(Provider::new(resolver.clone())),
            (None, true, None) => {
                return Err(malformed(format!("the credential \"{name}\" wants a resolver, and none was given")));
            }
            _ => return Err(malformed(format!("the credential \"{name}\" needs either a value or a resolver"))),
        };
        Ok(Credential { source, hosts: self.hosts.map(|hosts| parse_hosts(&hosts)).transpose()? })
    }
}

impl CertificateConfig {
    fn certificate(self) -> ClientCertificate {
        let (certificate, key, passphrase) = match self {
            Self::Plain(certificate, key) => (certificate, key, None),
            Self::Encrypted(certificate, key, passphrase) => (certificate, key, Some(Passphrase::new(passphrase))),
        };
        ClientCertificate::new(certificate, key, None).with_passphrase(passphrase)
    }
}

impl PolicyConfig {
    /// The policy, once every entry is found to be one; `host` lends a budget that is lent.
    pub(super) fn policy(self, host: Option<&Arc<dyn Resolver>>) -> Result<Policy, Problem> {
        let mut policy = Policy::new(self.allow.as_deref(), &self.deny)?;
        if let Some(bytes) = self.max_response_bytes {
            policy.max_response_bytes = bytes;
        }
        if self.max_concurrency == Some(0) {
            return Err(malformed("max_concurrency is 0".into()));
        }
        policy.max_concurrency = self.max_concurrency.map(|requests| requests as usize);
        let budget = self.budget.map(Budget::new).transpose().map_err(malformed)?;
        if let Some(breaker) = &self.breaker {
            breaker.check().map_err(|what| malformed(what.into()))?;
        }
        policy.breaker = self.breaker;
        let client = self.client_certificate.map(CertificateConfig::certificate);
        let trust = Trust::new(self.ca_file.map(Into::into), client)?;
        policy.trust = Arc::new(if self.strict.is_some() { trust.without_environment() } else { trust });
        policy.strict = self.strict.map(|strict| Strict {
            max_timeout: Duration::from_millis(strict.max_timeout_ms),
            max_retries: strict.max_retries,
            max_request_bytes: strict.max_request_bytes,
        });
        // Last, since it may make a file.
        policy.budget = budget.map(|budget| budget.open(host)).transpose()?.map(Arc::new);
        Ok(policy)
    }
}

/// Where the JSON is wrong, without its text: that may hold a secret.
fn position(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "an entry is unknown, missing or of the wrong type",
        _ => "it is no JSON",
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

fn malformed(message: String) -> Problem {
    Problem::new(Code::Scope, format!("the scope's configuration is malformed: {message}"))
}
