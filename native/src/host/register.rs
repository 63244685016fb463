//! Registrations: the operators of the domain, added to a session's options on behalf of a scope.
//!
//! A session keeps pointers to its operators' tables for as long as it lives, and nobody tells us when it ends. So a
//! registration is never freed: when its scope's id is released it waits to serve another, and memory is bounded by the
//! number of scopes alive at once. Kernels take the scope when they are created and never look at the registration again.
//!
//! Sessions that name no scope share one, whichever runtime they belong to: that of the process. A session whose settings
//! are a text has a scope of its own; a registration whose sessions are over serves the next with the same text.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::{Arc, LazyLock, Mutex};

use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::host::op::{DOMAIN, PROVIDERS, tables};
use crate::host::provider;
use crate::host::slot::{Owner, ScopeSlot};
use crate::ort::{Api, Domain, OrtError, SessionOptions, announce, pin};
use crate::session::fingerprint::Print;
use crate::session::scope::{self, Scope};
use crate::session::{opening, settings};

struct Registration {
    api: Api,
    slot: &'static ScopeSlot,
    domain: Domain,
}

impl Registration {
    fn new(api: Api) -> Result<&'static Self, OrtError> {
        pin::pin();
        let slot = Box::leak(Box::<ScopeSlot>::default());
        let mut domain = Domain::new(api, DOMAIN)?;
        tables(PROVIDERS, slot).into_iter().try_for_each(|table| domain.add(api, table))?;
        Ok(Box::leak(Box::new(Self { api, slot, domain })))
    }
}

/// All registrations of the process.
#[derive(Default)]
struct Registrations {
    /// Each scope's, one for each runtime.
    by_scope: HashMap<u64, Vec<&'static Registration>>,
    /// Those of sessions whose settings are a text, by its hash: the text may hold a secret.
    by_text: HashMap<[u8; 32], Vec<&'static Registration>>,
    /// Those whose scope's id was released.
    free: Vec<&'static Registration>,
    /// One for each runtime, for sessions that name no scope.
    anonymous: Vec<&'static Registration>,
    /// The runtimes that know the domain.
    told: Vec<Api>,
    /// What all sessions that name no scope share; made with the first of them.
    process: Option<Owner>,
}

static REGISTRATIONS: LazyLock<Mutex<Registrations>> = LazyLock::new(Mutex::default);

/// The entry that names a scope of the library.
const SCOPE: &CStr = c"onnxhybrid.scope";
/// The entry that holds a session's settings.
const SETTINGS: &CStr = c"onnxhybrid.session";

/// Adds the operators to `options`, for the scope that their entries ask for.
pub fn register(api: Api, options: &SessionOptions) -> Result<(), Problem> {
    provider::require_absent(options)?;
    let registration = match (options.config_entry(SCOPE)?, options.config_entry(SETTINGS)?) {
        (None, None) => lock(&REGISTRATIONS).anonymous(api)?,
        (None, Some(text)) => of_settings(api, &text)?,
        (Some(id), None) => of_scope(api, &id)?,
        (Some(_), Some(_)) => {
            let message = "the session has settings already, from oh.Session, oh.register or onnxhybrid.scope: give them \
                           there, and leave out the entry onnxhybrid.session";
            return Err(Problem::new(Code::SettingsElsewhere, message));
        }
    };
    options.add(&registration.domain)?;
    Ok(provider::note_registered(options)?)
}

fn of_scope(api: Api, id: &str) -> Result<&'static Registration, Problem> {
    let unknown = || Problem::new(Code::Scope, "the session's entry onnxhybrid.scope names no scope");
    let id = id.parse().map_err(|_| unknown())?;
    let scope = scope::find(id).ok_or_else(unknown)?;
    let registration = lock(&REGISTRATIONS).of(api, id)?;
    registration.slot.set_scope(scope);
    Ok(registration)
}

fn of_settings(api: Api, entry: &str) -> Result<&'static Registration, Problem> {
    let text = settings::found(entry)?;
    let scope = opening::of_text(&text)?;
    let mut print = Print::default();
    print.add(text.as_bytes());
    let mut registrations = lock(&REGISTRATIONS);
    let registration = registrations.of_text(api, print.finish())?;
    registration.slot.begin(scope);
    Ok(registration)
}

/// Frees the registrations of a scope for the next one.
pub fn release(id: u64) {
    let mut registrations = lock(&REGISTRATIONS);
    for registration in registrations.by_scope.remove(&id).unwrap_or_default() {
        // Kernels that options without a scope still create get no credentials rather than another's.
        registration.slot.set(Owner::default());
        registrations.free.push(registration);
    }
}

/// The scope of the sessions that name none, once there was one.
pub fn unnamed() -> Option<Arc<Scope>> {
    lock(&REGISTRATIONS).process.as_ref().map(|owner| owner.scope.clone())
}

/// Lets the kernels that the registrations of scope `registered` create from now on belong to `scope`.
pub fn assign(registered: u64, scope: u64) -> bool {
    let registrations = lock(&REGISTRATIONS).by_scope.get(&registered).cloned().unwrap_or_default();
    let Some(scope) = scope::find(scope) else { return false };
    registrations.iter().for_each(|registration| registration.slot.set_scope(scope.clone()));
    !registrations.is_empty()
}

impl Registrations {
    /// A registration with a runtime. Sessions with the first of them wait here until the runtime knows the domain.
    fn make(&mut self, api: Api) -> Result<&'static Registration, OrtError> {
        let registration = Registration::new(api)?;
        if !self.told.iter().any(|told| told.is(api)) {
            // Where it fails, sessions still open; but for one of those that are the first and open side by side.
            let _ = announce(api, &registration.domain);
            self.told.push(api);
        }
        Ok(registration)
    }

    fn anonymous(&mut self, api: Api) -> Result<&'static Registration, OrtError> {
        if let Some(found) = of_runtime(&self.anonymous, api) {
            return Ok(found);
        }
        let registration = self.make(api)?;
        registration.slot.set(self.process.get_or_insert_default().clone());
        self.anonymous.push(registration);
        Ok(registration)
    }

    fn of(&mut self, api: Api, id: u64) -> Result<&'static Registration, OrtError> {
        let own = self.by_scope.get(&id).map_or(&[][..], Vec::as_slice);
        if let Some(found) = of_runtime(own, api) {
            return Ok(found);
        }
        let registration = match self.free.iter().position(|registration| registration.api.is(api)) {
            Some(index) => self.free.swap_remove(index),
            None => self.make(api)?,
        };
        self.by_scope.entry(id).or_default().push(registration);
        Ok(registration)
    }

    /// One that no session has. Options from which it was taken may still make sessions, so it serves none but those
    /// whose settings are the same.
    fn of_text(&mut self, api: Api, print: [u8; 32]) -> Result<&'static Registration, OrtError> {
        let mut own = self.by_text.get(&print).into_iter().flatten();
        if let Some(left) = own.find(|registration| registration.api.is(api) && registration.slot.is_left()) {
            return Ok(left);
        }
        let registration = self.make(api)?;
        self.by_text.entry(print).or_default().push(registration);
        Ok(registration)
    }
}

fn of_runtime(registrations: &[&'static Registration], api: Api) -> Option<&'static Registration> {
    registrations.iter().find(|registration| registration.api.is(api)).copied()
}
