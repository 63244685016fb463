//! Registrations: the operators of the domain, added to a session's options on behalf of a scope.
//!
//! A session keeps pointers to its operators' tables for as long as it lives, which nobody tells us. So a
//! registration is never freed: when its scope's id is released it waits to serve another, and memory is
//! bounded by the number of scopes alive at once. Kernels take the scope when they are created and never
//! look at the registration again.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::host::op::{DOMAIN, tables};
use crate::ort::{Api, Domain, OrtError, SessionOptions, pin};
use crate::session::scope::{self, Scope};

/// The scope that kernels of a registration belong to from now on; none means a fresh one for each kernel.
#[derive(Default)]
pub struct ScopeSlot(Mutex<Option<Arc<Scope>>>);

impl ScopeSlot {
    /// The scope of the next kernel.
    pub fn scope(&self) -> Arc<Scope> {
        lock(&self.0).clone().unwrap_or_default()
    }

    fn set(&self, scope: Option<Arc<Scope>>) {
        let replaced = std::mem::replace(&mut *lock(&self.0), scope);
        // Dropped here, after the lock: closing connections takes its time.
        drop(replaced);
    }
}

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
        tables(slot).into_iter().try_for_each(|table| domain.add(api, table))?;
        Ok(Box::leak(Box::new(Self { api, slot, domain })))
    }
}

/// All registrations of the process.
#[derive(Default)]
struct Registrations {
    by_scope: HashMap<u64, &'static Registration>,
    /// Those whose scope's id was released.
    free: Vec<&'static Registration>,
    /// One for each runtime, for sessions that name no scope.
    anonymous: Vec<&'static Registration>,
}

static REGISTRATIONS: LazyLock<Mutex<Registrations>> = LazyLock::new(Mutex::default);

/// Adds the operators to `options`, for the scope that its entry `onnxhybrid.scope` names.
pub fn register(api: Api, options: &SessionOptions) -> Result<(), Problem> {
    let registration = match options.config_entry(c"onnxhybrid.scope")? {
        None => lock(&REGISTRATIONS).anonymous(api)?,
        Some(text) => {
            let unknown = || Problem::new(Code::Scope, "the session's entry onnxhybrid.scope names no scope");
            let id = text.parse().map_err(|_| unknown())?;
            let scope = scope::find(id).ok_or_else(unknown)?;
            let registration = lock(&REGISTRATIONS).of(api, id)?;
            registration.slot.set(Some(scope));
            registration
        }
    };
    Ok(options.add(&registration.domain)?)
}

/// Frees the registration of a scope for the next one.
pub fn release(id: u64) {
    let mut registrations = lock(&REGISTRATIONS);
    if let Some(registration) = registrations.by_scope.remove(&id) {
        // Kernels that options without a scope still create get no credentials rather than another's.
        registration.slot.set(None);
        registrations.free.push(registration);
    }
}

/// Lets the kernels that the registration of scope `registered` creates from now on belong to `scope`.
pub fn assign(registered: u64, scope: u64) -> bool {
    let registration = lock(&REGISTRATIONS).by_scope.get(&registered).copied();
    match (registration, scope::find(scope)) {
        (Some(registration), Some(scope)) => {
            registration.slot.set(Some(scope));
            true
        }
        _ => false,
    }
}

impl Registrations {
    fn anonymous(&mut self, api: Api) -> Result<&'static Registration, OrtError> {
        if let Some(found) = self.anonymous.iter().find(|registration| registration.api.is(api)) {
            return Ok(found);
        }
        let registration = Registration::new(api)?;
        self.anonymous.push(registration);
        Ok(registration)
    }

    fn of(&mut self, api: Api, id: u64) -> Result<&'static Registration, OrtError> {
        if let Some(found) = self.by_scope.get(&id).filter(|registration| registration.api.is(api)) {
            return Ok(found);
        }
        let registration = match self.free.iter().position(|registration| registration.api.is(api)) {
            Some(index) => self.free.swap_remove(index),
            None => Registration::new(api)?,
        };
        self.by_scope.insert(id, registration);
        Ok(registration)
    }
}
