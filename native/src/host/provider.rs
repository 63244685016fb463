//! The second door: the library as the execution provider of a session, which knows the session's runs.

use std::ffi::CStr;
use std::sync::{Arc, Mutex, Weak};

use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::host::op::{DOMAIN, tables};
use crate::host::run_entries;
use crate::host::slot::{Owner, ScopeSlot};
use crate::ort::provider::{Entry, Factory, Late, Provider, RunOptions};
use crate::ort::{Domain, KernelInfo, OrtError, SessionOptions, pin};
use crate::run::running::{self, Run};
use crate::session::scope::Scope;
use crate::session::{opening, settings};

/// What the names of the provider's options begin with in a session's configuration.
const PREFIX: &str = "ep.onnxhybridexecutionprovider.";

const CREDENTIALS: &str = "credentials";
const ENDPOINTS: &str = "endpoints";
const POLICY: &str = "policy";

/// Its options; the last is its own mark.
const OPTIONS: [&str; 4] = [CREDENTIALS, ENDPOINTS, POLICY, "appended"];

/// The entry that holds a session's settings by the first door.
const SETTINGS: &str = "onnxhybrid.session";

/// The option [`Provider::MARK`] in a session's configuration.
const APPENDED: &CStr = c"ep.onnxhybridexecutionprovider.appended";

/// What the first door leaves in a session's configuration.
const REGISTERED: &CStr = c"onnxhybrid.registered";

/// The option of an open session that ends runs.
const CANCEL: &str = "cancel";

/// The execution provider of one session.
pub struct Hybrid {
    owner: Owner,
    /// Those under way that have a tag.
    runs: Mutex<Vec<Named>>,
}

/// A run by its tag.
struct Named(String, Weak<Run>);

impl Provider for Hybrid {
    const NAME: &'static CStr = c"OnnxHybridExecutionProvider";
    const DOMAIN: &'static CStr = DOMAIN;
    const MARK: &'static CStr = c"appended";

    fn domain(late: Late) -> Result<Domain, OrtError> {
        let find = move |info: &KernelInfo<'_>| late.provider::<Self>(info).map(|provider| provider.owner.clone());
        let slot = Box::leak(Box::new(ScopeSlot::of_each(find)));
        let mut domain = Domain::new(late.api(), DOMAIN)?;
        tables(&[Some(Self::NAME)], slot).into_iter().try_for_each(|table| domain.add(late.api(), table))?;
        Ok(domain)
    }

    fn create(entries: &[Entry]) -> Result<Self, Problem> {
        if entries.iter().any(|(key, _)| key.as_bytes() == REGISTERED.to_bytes()) {
            return Err(two_doors());
        }
        let owner = Owner { scope: Arc::new(scope(entries)?), tickets: Arc::default() };
        Ok(Self { owner, runs: Mutex::default() })
    }

    fn begin(&self, options: &RunOptions) -> Result<(), Problem> {
        let wanted = run_entries::wanted(|key| options.entry(key))?;
        let run = running::begin(options.check(), options.token(), wanted);
        let tag = options.tag();
        if !tag.is_empty() {
            lock(&self.runs).push(Named(tag, Arc::downgrade(&run)));
        }
        Ok(())
    }

    fn end(&self, options: &RunOptions) {
        // Runs side by side may have the same options, and so the same token and tag.
        let own = running::current().map_or_else(std::ptr::null, |entered| Arc::as_ptr(&entered.run));
        running::leave(options.token());
        lock(&self.runs).retain(|Named(_, run)| run.as_ptr() != own);
    }

    fn change(&self, key: &str, value: &str) -> Result<(), Problem> {
        if key != CANCEL || value.is_empty() {
            return Err(no_dynamic_option(key));
        }
        let runs = lock(&self.runs);
        let meant = runs.iter().filter(|Named(tag, _)| tag == value);
        let meant: Vec<_> = meant.filter_map(|Named(_, run)| run.upgrade()).collect();
        drop(runs);
        meant.iter().for_each(|run| run.cancelled.raise());
        Ok(())
    }
}

/// The factory for a runtime, one for the life of the process: sessions may outlive what ONNX Runtime registered.
pub fn factory(late: Late) -> Result<&'static Factory<Hybrid>, OrtError> {
    static FACTORIES: Mutex<Vec<&'static Factory<Hybrid>>> = Mutex::new(Vec::new());
    let mut factories = lock(&FACTORIES);
    if let Some(found) = factories.iter().find(|factory| factory.api().is(late.api())) {
        return Ok(found);
    }
    pin::pin();
    let made = Box::leak(Box::new(Factory::new(late)?));
    factories.push(made);
    Ok(made)
}

/// Refuses options that the execution provider was appended to.
pub fn require_absent(options: &SessionOptions) -> Result<(), Problem> {
    if options.config_entry(APPENDED)?.is_some() { Err(two_doors()) } else { Ok(()) }
}

/// Says in `options` that the operators are registered.
pub fn note_registered(options: &SessionOptions) -> Result<(), OrtError> {
    if options.config_entry(REGISTERED)?.is_none() { options.set_config_entry(REGISTERED, c"1") } else { Ok(()) }
}

fn two_doors() -> Problem {
    let message = "the session has the operators twice: leave out either the execution provider \
                   OnnxHybridExecutionProvider, or what registers the operator library (oh.Session, oh.register, \
                   register_custom_ops_library)";
    Problem::new(Code::TwoDoors, message)
}

/// The scope that a session's options describe, or its entry `onnxhybrid.session`.
fn scope(entries: &[Entry]) -> Result<Scope, Problem> {
    let value = |wanted: &str| entries.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
    let own: Vec<_> = entries.iter().filter_map(|(key, _)| key.strip_prefix(PREFIX)).collect();
    if let Some(option) = own.iter().find(|option| !OPTIONS.contains(option)) {
        return Err(unknown(option));
    }
    let texts = [CREDENTIALS, ENDPOINTS, POLICY].map(|option| value(&format!("{PREFIX}{option}")));
    match (texts, value(SETTINGS)) {
        ([None, None, None], Some(text)) => opening::of_text(&settings::found(text)?),
        ([credentials, endpoints, policy], None) => opening::of_texts(credentials, endpoints, policy),
        (_, Some(_)) => {
            let message = "the session has options of the execution provider: give all settings there, and leave out the \
                           entry onnxhybrid.session";
            Err(Problem::new(Code::SettingsElsewhere, message))
        }
    }
}

fn no_dynamic_option(key: &str) -> Problem {
    let message = match key {
        CANCEL => "cancel names the tag of the runs that are to end, and runs without one cannot be named".to_owned(),
        _ => {
            let what = settings::shown("option", key);
            format!("the execution provider has {what} of an open session; it has \"{CANCEL}\"")
        }
    };
    Problem::new(Code::DynamicOption, message)
}

fn unknown(option: &str) -> Problem {
    let (what, wanted) = (settings::shown("option", option), "\"credentials\", \"endpoints\" and \"policy\"");
    Problem::new(Code::ProviderOption, format!("the execution provider has {what}; it has {wanted}"))
}
