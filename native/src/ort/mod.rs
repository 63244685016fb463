//! The safe layer over ONNX Runtime's C API: everything that touches its pointers is in here.

mod announcing;
pub mod atfork;
mod context;
pub mod foreign;
mod info;
mod options;
pub mod pin;
pub mod provider;
pub mod receive;
mod registering;
mod strings;
pub mod table;

use std::ffi::{CStr, CString};
use std::fmt;

use ort_sys::{OrtApi, OrtApiBase, OrtErrorCode, OrtStatusPtr};

pub use announcing::announce;
pub use context::Context;
pub use info::KernelInfo;
pub use options::{Domain, SessionOptions};
pub use registering::registering;

use crate::failure::{Code, Problem};

/// The version of the C API that the library is written against (ONNX Runtime 1.18 and later have it).
pub const API_VERSION: u32 = 18;

/// ONNX Runtime's function table.
#[derive(Clone, Copy)]
pub struct Api(&'static OrtApi);

impl Api {
    /// The table that `base` offers for [`API_VERSION`], if it does.
    fn of(base: &OrtApiBase) -> Option<Self> {
        Self::of_version(base, API_VERSION)
    }

    /// The table that `base` offers for `version`; before [`API_VERSION`] it is good for [`Api::status`] alone.
    fn of_version(base: &OrtApiBase, version: u32) -> Option<Self> {
        // SAFETY: `GetApi` takes any version, and returns null or a table that lives as long as ONNX Runtime.
        unsafe { (base.GetApi)(version).as_ref() }.map(Self)
    }

    /// Whether both are the same runtime's table.
    pub fn is(self, other: Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }

    /// A status with `message`, for ONNX Runtime to release.
    pub fn status(self, message: &str) -> OrtStatusPtr {
        let text = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
        // SAFETY: `text` is NUL-terminated and copied by the callee.
        unsafe { (self.0.CreateStatus)(OrtErrorCode::ORT_FAIL, text.as_ptr()) }
    }

    /// Takes over `status`: success is null, anything else is read and released.
    fn check(self, status: OrtStatusPtr) -> Result<(), OrtError> {
        if status.0.is_null() {
            return Ok(());
        }
        // SAFETY: the status is not null and not yet released; its message lives until it is.
        let message = unsafe { CStr::from_ptr((self.0.GetErrorMessage)(status.0)) }.to_string_lossy().into_owned();
        // SAFETY: released once; nothing refers to it any more.
        unsafe { (self.0.ReleaseStatus)(status.0) };
        Err(OrtError(message))
    }

    /// Reads text through a function that first tells the size (with its NUL) and then fills a buffer.
    fn text(self, read: impl Fn(*mut std::ffi::c_char, &mut usize) -> OrtStatusPtr) -> Result<String, OrtError> {
        let mut size = 0;
        self.check(read(std::ptr::null_mut(), &mut size))?;
        let mut buffer = vec![0u8; size];
        self.check(read(buffer.as_mut_ptr().cast(), &mut size))?;
        buffer.truncate(size);
        if buffer.last() == Some(&0) {
            buffer.pop();
        }
        String::from_utf8(buffer).map_err(|_| OrtError("a text is no UTF-8".into()))
    }
}

/// A status that ONNX Runtime returned.
#[derive(Clone, Debug)]
pub struct OrtError(String);

impl fmt::Display for OrtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ONNX Runtime: {}", self.0)
    }
}

impl From<OrtError> for Problem {
    fn from(error: OrtError) -> Self {
        Problem::new(Code::Internal, error.to_string())
    }
}

/// The status that says success.
pub fn success() -> OrtStatusPtr {
    OrtStatusPtr::default()
}
