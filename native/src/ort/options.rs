//! Session options and operator domains.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr;

use ort_sys::{OrtCustomOp, OrtCustomOpDomain, OrtSessionOptions};

use super::{Api, OrtError};

/// The options of a session to come, as `RegisterCustomOps` is given them.
pub struct SessionOptions<'a> {
    api: Api,
    raw: *mut OrtSessionOptions,
    lifetime: PhantomData<&'a mut OrtSessionOptions>,
}

impl<'a> SessionOptions<'a> {
    /// Options of the runtime that `api` belongs to.
    pub(super) fn new(api: Api, raw: &'a mut OrtSessionOptions) -> Self {
        Self { api, raw, lifetime: PhantomData }
    }

    /// The session configuration entry `key`, if there is one.
    pub fn config_entry(&self, key: &CStr) -> Result<Option<String>, OrtError> {
        let mut exists = 0;
        // SAFETY: `raw` and `key` are valid and `exists` outlives the call.
        self.api.check(unsafe { (self.api.0.HasSessionConfigEntry)(self.raw, key.as_ptr(), &mut exists) })?;
        if exists == 0 {
            return Ok(None);
        }
        let read = |buffer, size: &mut usize| {
            // SAFETY: `raw` and `key` are valid; buffer and size come from `Api::text`.
            unsafe { (self.api.0.GetSessionConfigEntry)(self.raw, key.as_ptr(), buffer, size) }
        };
        self.api.text(read).map(Some)
    }

    /// Sets the session configuration entry `key`.
    pub fn set_config_entry(&self, key: &CStr, value: &CStr) -> Result<(), OrtError> {
        // SAFETY: `raw` is valid; key and value are copied.
        self.api.check(unsafe { (self.api.0.AddSessionConfigEntry)(self.raw, key.as_ptr(), value.as_ptr()) })
    }

    /// Adds the operators of `domain` to the session.
    pub fn add(&self, domain: &Domain) -> Result<(), OrtError> {
        // SAFETY: `raw` is valid, and a domain is never freed.
        self.api.check(unsafe { (self.api.0.AddCustomOpDomain)(self.raw, domain.0) })
    }
}

/// A set of operators under one domain name. It is never freed: sessions refer to it for as long as they live.
pub struct Domain(pub(super) *mut OrtCustomOpDomain);

// SAFETY: a domain is complete before it is shared, and ONNX Runtime only reads it from then on.
unsafe impl Send for Domain {}
// SAFETY: as above.
unsafe impl Sync for Domain {}

impl Domain {
    /// A domain called `name`.
    pub fn new(api: Api, name: &CStr) -> Result<Self, OrtError> {
        let mut domain = ptr::null_mut();
        // SAFETY: `name` is valid and copied, `domain` outlives the call.
        api.check(unsafe { (api.0.CreateCustomOpDomain)(name.as_ptr(), &mut domain) })?;
        Ok(Self(domain))
    }

    /// Adds an operator.
    pub fn add(&mut self, api: Api, operator: &'static OrtCustomOp) -> Result<(), OrtError> {
        // SAFETY: the domain is not yet shared, and the operator's table is never freed.
        api.check(unsafe { (api.0.CustomOpDomain_Add)(self.0, operator) })
    }
}
