//! The options of a run.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr;

use ort_sys::OrtRunOptions;

use super::late::{Late, text};
use super::terminating;
use crate::run::running::Check;

/// The options of a run that is under way.
pub struct RunOptions<'a> {
    late: Late,
    raw: *const OrtRunOptions,
    lifetime: PhantomData<&'a OrtRunOptions>,
}

impl<'a> RunOptions<'a> {
    pub(super) fn new(late: Late, raw: &'a OrtRunOptions) -> Self {
        Self { late, raw, lifetime: PhantomData }
    }

    /// The configuration entry `key`, if there is one.
    pub fn entry(&self, key: &CStr) -> Option<String> {
        // SAFETY: `raw` and `key` are valid.
        let value = unsafe { (self.late.table.GetRunConfigEntry)(self.raw, key.as_ptr()) };
        // SAFETY: the value is null or a text that lives as long as the options do.
        (!value.is_null()).then(|| unsafe { text(value) })
    }

    /// The run's tag; empty where it has none.
    pub fn tag(&self) -> String {
        let mut tag = ptr::null();
        // SAFETY: `raw` is valid and `tag` outlives the call.
        let read = self.late.api.check(unsafe { (self.late.api.0.RunOptionsGetRunTag)(self.raw, &mut tag) });
        // SAFETY: the tag is null or a text that lives as long as the options do.
        if read.is_ok() { unsafe { text(tag) } } else { String::new() }
    }

    /// A number that no other run on this thread has.
    pub fn token(&self) -> u64 {
        self.raw as u64
    }

    /// Says, on the thread of the run, whether its host wants it to end.
    pub fn check(&self) -> Check {
        terminating::is_terminated
    }
}
