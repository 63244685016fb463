//! A domain of operators, made known to a runtime before sessions that use it are opened.

use std::ptr;

use ort_sys::{OrtEnv, OrtLoggingLevel, OrtSession, OrtSessionOptions};

use super::options::Domain;
use super::{Api, OrtError};

/// A model that does nothing: y = Identity(x), of floats.
const MODEL: &[u8] = b"\x08\x08\x3a\x2f\x0a\x10\x0a\x01x\x12\x01y\x22\x08Identity\x12\x01g\
    \x5a\x0b\x0a\x01x\x12\x06\x0a\x04\x08\x01\x12\x00\x62\x0b\x0a\x01y\x12\x06\x0a\x04\x08\x01\x12\x00\x42\x02\x10\x0d";

/// What a session is opened with, freed in the end.
struct Opened {
    api: Api,
    env: *mut OrtEnv,
    options: *mut OrtSessionOptions,
    session: *mut OrtSession,
}

/// Opens a session with `domain` and closes it.
///
/// A runtime enters a domain in a table of its process when the first session with it opens: it looks whether the domain is
/// there, and adds it, without a lock around both. Of two such sessions that open side by side one fails. Once the domain
/// is there nobody adds it.
pub fn announce(api: Api, domain: &Domain) -> Result<(), OrtError> {
    let mut opened = Opened { api, env: ptr::null_mut(), options: ptr::null_mut(), session: ptr::null_mut() };
    // An environment that is there is lent to us, and counts its users.
    // SAFETY: the name is valid and copied, and `opened` outlives the call.
    api.check(unsafe {
        (api.0.CreateEnv)(OrtLoggingLevel::ORT_LOGGING_LEVEL_FATAL, c"onnxhybrid".as_ptr(), &mut opened.env)
    })?;
    // SAFETY: `opened` outlives the call.
    api.check(unsafe { (api.0.CreateSessionOptions)(&mut opened.options) })?;
    // SAFETY: the options are those that were just made.
    api.check(unsafe { (api.0.SetIntraOpNumThreads)(opened.options, 1) })?;
    // SAFETY: as above.
    api.check(unsafe {
        (api.0.SetSessionLogSeverityLevel)(opened.options, OrtLoggingLevel::ORT_LOGGING_LEVEL_FATAL as i32)
    })?;
    // SAFETY: as above, and a domain is never freed.
    api.check(unsafe { (api.0.AddCustomOpDomain)(opened.options, domain.0) })?;
    let model = MODEL.as_ptr().cast();
    // SAFETY: all of it was made above, and the model is read within the call.
    api.check(unsafe {
        (api.0.CreateSessionFromArray)(opened.env, model, MODEL.len(), opened.options, &mut opened.session)
    })
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: each is null, which is nothing to free, or was made by this runtime and is used by nobody else.
        unsafe {
            (self.api.0.ReleaseSession)(self.session);
            (self.api.0.ReleaseSessionOptions)(self.options);
            (self.api.0.ReleaseEnv)(self.env);
        }
    }
}
