//! ONNX Runtime's functions for execution providers.

use std::ffi::{CStr, c_char};
use std::ptr;

use ort_sys::{OrtApi, OrtApiBase, OrtSessionOptions, OrtStatusPtr};
use zeroize::Zeroizing;

use super::tables::{EpApi, LateApi, Opaque};
use crate::failure::{Code, Failure, Problem};
use crate::guard::guard;
use crate::ort::{Api, OrtError, success};

/// The version of the C API that has all of them (ONNX Runtime 1.24 and later).
pub(super) const API_VERSION: u32 = 24;

/// An entry of a session's configuration: its key, and its value, which may hold a secret.
pub type Entry = (String, Zeroizing<String>);

/// A runtime that knows plugin execution providers which bring operators.
#[derive(Clone, Copy)]
pub struct Late {
    pub(super) api: Api,
    pub(super) table: &'static LateApi,
    pub(super) provider: &'static EpApi,
}

impl Late {
    /// The runtime of `base`, if it is late enough. One that is not would print that it was asked.
    pub(super) fn of(base: &OrtApiBase) -> Option<Self> {
        if minor(base)? < API_VERSION {
            return None;
        }
        // SAFETY: `GetApi` takes any version, and returns null or a table that lives as long as ONNX Runtime.
        let table: *const OrtApi = unsafe { (base.GetApi)(API_VERSION) };
        // SAFETY: the table of this version begins like both declarations of it, and is never freed.
        let (api, table) = unsafe { (Api(table.as_ref()?), &*table.cast::<LateApi>()) };
        // SAFETY: `GetEpApi` takes nothing, and returns null or a table that lives as long as ONNX Runtime.
        let provider = unsafe { (table.GetEpApi)().as_ref() }?;
        Some(Self { api, table, provider })
    }

    /// The table of functions that the operators need.
    pub fn api(self) -> Api {
        self.api
    }

    /// Does `work` for ONNX Runtime, whose status says how it went.
    pub(super) fn answer(self, work: impl FnOnce() -> Result<(), Problem>) -> OrtStatusPtr {
        let panicked = || Err(Problem::new(Code::Internal, "an error of the operator library (a panic)"));
        match guard(panicked, work) {
            Ok(()) => success(),
            Err(problem) => self.api.status(&Failure::without_node(problem).to_string()),
        }
    }

    /// All entries of a session's configuration.
    ///
    /// # Safety
    ///
    /// `options` is valid.
    pub(super) unsafe fn entries(self, options: *const OrtSessionOptions) -> Result<Vec<Entry>, OrtError> {
        let mut pairs: *mut Opaque = ptr::null_mut();
        // SAFETY: `options` is valid and `pairs` outlives the call.
        self.api.check(unsafe { (self.table.GetSessionOptionsConfigEntries)(options, &mut pairs) })?;
        let (mut keys, mut values, mut count) = (ptr::null(), ptr::null(), 0);
        // SAFETY: `pairs` is ours; what it lends lives as long as it does.
        unsafe { (self.table.GetKeyValuePairs)(pairs, &mut keys, &mut values, &mut count) };
        // SAFETY: there are `count` texts in both arrays.
        let read =
            (0..count).map(|index| unsafe { (text(*keys.add(index)), text(*values.add(index)).into()) }).collect();
        // SAFETY: nothing borrowed from it is left.
        unsafe { (self.table.ReleaseKeyValuePairs)(pairs) };
        Ok(read)
    }
}

/// The second number of the version of ONNX Runtime, as in 1.24.1.
fn minor(base: &OrtApiBase) -> Option<u32> {
    version(base).split('.').nth(1)?.parse().ok()
}

/// The version of ONNX Runtime.
pub(super) fn version(base: &OrtApiBase) -> String {
    // SAFETY: the text is NUL-terminated and never freed.
    unsafe { text((base.GetVersionString)()) }
}

/// A text that is lent; empty for null.
///
/// # Safety
///
/// `text` is null or valid.
pub(super) unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: `text` is valid.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
