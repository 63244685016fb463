//! A scope's configuration, as the host writes it in JSON.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Code, Problem};
use crate::session::breaker::BreakerConfig;
use crate::session::budget::{Budget, BudgetConfig};
use crate::session::credential::{Credential, Provider, Resolver, Secret, Source, parse_hosts};
use crate::session::policy::{Policy, Strict};
use crate::session::secret_source::{SecretFile, Variable};
use crate::session::settings::{self, Form, HOST};
use crate::session::trust::{ClientCertificate, Passphrase, Trust};

/// A scope's configuration.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    credentials: HashMap<String, CredentialConfig>,
    /// URLs by the names of endpoints.
    pub(super) endpoints: HashMap<String, Several>,
    pub(super) policy: PolicyConfig,
    /// Whether the host fetches failed attempts.
    pub(super) events: bool,
    /// The file that keeps answers.
    pub(super) record: Option<String>,
    /// The file that gives them.
    pub(super) replay: Option<String>,
}

/// One text, or several.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Several {
    One(String),
    Many(Vec<String>),
}

impl From<Several> for Vec<String> {
    fn from(several: Several) -> Self {
        match several {
            Several::One(text) => vec![text],
            Several::Many(texts) => texts,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CredentialConfig {
    Text(String),
    Source(SourceConfig),
}

/// Where a credential's value is, and who may have it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SourceConfig {
    value: Option<String>,
    env: Option<String>,
    file: Option<String>,
    resolver: bool,
    hosts: Option<Several>,
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
    Encrypted(String, String, Passcode),
}

/// A passphrase, or where it is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Passcode {
    Text(String),
    Source { env: Option<String>, file: Option<String> },
}

/// Ceilings for what a file may ask for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StrictConfig {
    max_timeout: f64,
    max_retries: u32,
    max_request_bytes: u64,
}

impl Default for StrictConfig {
    fn default() -> Self {
        Self { max_timeout: 60.0, max_retries: 2, max_request_bytes: 64 << 20 }
    }
}

impl Config {
    /// Reads a host's configuration.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        Self::of(settings::parse(text)?, &HOST)
    }

    /// Reads a configuration of this form.
    pub(super) fn of(mut settings: Value, form: &Form) -> Result<Self, Problem> {
        form.check("", &settings)?;
        settings::complete(&mut settings)?;
        serde_json::from_value(settings).map_err(|_| malformed("an entry is of the wrong type".into()))
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
        match self {
            Self::Text(value) => {
                Ok(Credential { source: Source::Value(Secret::new(value.into_bytes())?), hosts: None })
            }
            Self::Source(config) => config.credential(name, resolver),
        }
    }
}

impl SourceConfig {
    fn credential(self, name: &str, resolver: Option<&Arc<dyn Resolver>>) -> Result<Credential, Problem> {
        let is_elsewhere = self.env.is_some() || self.file.is_some();
        let source = match (self.value, self.env, self.file, self.resolver) {
            (Some(value), None, None, false) => Source::Value(Secret::new(value.into_bytes())?),
            (None, Some(variable), None, false) => Source::Resolver(Provider::new(Arc::new(Variable(variable)))),
            (None, None, Some(path), false) => Source::Resolver(Provider::new(Arc::new(SecretFile(path)))),
            (None, None, None, true) => {
                let none = || malformed(format!("the credential \"{name}\" wants a resolver, and none was given"));
                Source::Resolver(Provider::new(resolver.ok_or_else(none)?.clone()))
            }
            _ => return Err(wrong(format!("credentials.{name} has one of \"value\", \"env\" and \"file\""))),
        };
        if is_elsewhere && self.hosts.is_none() {
            let message = format!(
                "credentials.{name} is not in the settings themselves: name the hosts that may have it, as in \
                 \"hosts\": [\"api.example.com\"]"
            );
            return Err(wrong(message));
        }
        let hosts = self.hosts.map(Vec::from);
        Ok(Credential { source, hosts: hosts.map(|hosts| parse_hosts(&hosts)).transpose()? })
    }
}

impl CertificateConfig {
    fn certificate(self) -> Result<ClientCertificate, Problem> {
        let (certificate, key, passphrase) = match self {
            Self::Plain(certificate, key) => (certificate, key, None),
            Self::Encrypted(certificate, key, code) => (certificate, key, Some(Passphrase::new(code.text()?))),
        };
        Ok(ClientCertificate::new(certificate, key, None).with_passphrase(passphrase))
    }
}

impl Passcode {
    fn text(self) -> Result<String, Problem> {
        let what = "the passphrase of policy.client_certificate";
        let (env, file) = match self {
            Self::Text(text) => return Ok(text),
            Self::Source { env, file } => (env, file),
        };
        let read = match (env, file) {
            (Some(name), None) => Variable(name).resolve(what),
            (None, Some(path)) => SecretFile(path).resolve(what),
            _ => return Err(wrong(format!("{what} is a text, {{\"env\": …}} or {{\"file\": …}}"))),
        };
        let read = read.map_err(|why| Problem::new(Code::SettingsSource, format!("{what} cannot be read: {why}")))?;
        Ok(String::from_utf8_lossy(&read).into_owned())
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
        let client = self.client_certificate.map(CertificateConfig::certificate).transpose()?;
        let trust = Trust::new(self.ca_file.map(Into::into), client)?;
        policy.trust = Arc::new(if self.strict.is_some() { trust.without_environment() } else { trust });
        policy.strict = self.strict.map(|strict| Strict {
            max_timeout: Duration::from_secs_f64(strict.max_timeout),
            max_retries: strict.max_retries,
            max_request_bytes: strict.max_request_bytes,
        });
        // Last, since it may make a file.
        policy.budget = budget.map(|budget| budget.open(host)).transpose()?.map(Arc::new);
        Ok(policy)
    }
}

fn wrong(message: String) -> Problem {
    Problem::new(Code::SettingsValue, message)
}

fn malformed(message: String) -> Problem {
    Problem::new(Code::Scope, format!("the scope's configuration is malformed: {message}"))
}
