//! ONNX Runtime's C API, safely: a session, tensors, and their types. All pointers of it are in this room.

mod description;
mod options;
mod tensor;

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use libloading::Library;
use ort_sys::{
    OrtAllocator, OrtApi, OrtApiBase, OrtEnv, OrtLoggingLevel, OrtSession, OrtStatusPtr, OrtTypeInfo, OrtValue,
};

use description::Info;
use options::Options;

pub use description::Described;
pub use options::Settings;
pub use tensor::{Elements, Tensor};

/// What the operator library asks for as well: ONNX Runtime 1.18 and later have it.
const API_VERSION: u32 = 18;
/// The number of strings among ONNX's element types.
pub const STRING: u32 = 8;

/// What went wrong, as ONNX Runtime or the operator says it.
pub type Outcome<T> = Result<T, String>;

/// The one ONNX Runtime of the process, which is never unloaded.
#[derive(Clone, Copy)]
pub struct Runtime {
    api: &'static OrtApi,
    env: *mut OrtEnv,
    allocator: *mut OrtAllocator,
}

// SAFETY: the table is constant, and ONNX Runtime's environment and default allocator may be used by any thread.
unsafe impl Send for Runtime {}
// SAFETY: as above.
unsafe impl Sync for Runtime {}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

impl Runtime {
    /// The runtime, which the first call of the process that succeeds loads from a path.
    pub fn load(path: &Path) -> Outcome<Self> {
        match RUNTIME.get() {
            Some(runtime) => Ok(*runtime),
            None => Self::open(path).map(|opened| *RUNTIME.get_or_init(|| opened)),
        }
    }

    /// The runtime that was loaded.
    pub fn loaded() -> Outcome<Self> {
        RUNTIME.get().copied().ok_or_else(|| "no ONNX Runtime was loaded".into())
    }

    fn open(path: &Path) -> Outcome<Self> {
        // SAFETY: what the user names as ONNX Runtime is loaded, and its initializers run.
        let library = unsafe { Library::new(path) }.map_err(|problem| format!("{}: {problem}", path.display()))?;
        // SAFETY: the symbol has this signature in every release.
        let base = unsafe { library.get::<unsafe extern "system" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0") }
            .map_err(|_| format!("{} is no ONNX Runtime", path.display()))?;
        // SAFETY: the function takes nothing and returns a table that lives as long as the library.
        let api = unsafe { base().as_ref().and_then(|table| (table.GetApi)(API_VERSION).as_ref()) };
        let api = api.ok_or_else(|| format!("{} is older than ONNX Runtime 1.18", path.display()))?;
        std::mem::forget(library);
        let (mut env, mut allocator) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: all arguments live through the calls, which fill the two pointers.
        unsafe {
            check(api, (api.CreateEnv)(OrtLoggingLevel::ORT_LOGGING_LEVEL_ERROR, c"hybrid".as_ptr(), &mut env))?;
            check(api, (api.GetAllocatorWithDefaultOptions)(&mut allocator))?;
        }
        Ok(Self { api, env, allocator })
    }

    fn check(self, status: OrtStatusPtr) -> Outcome<()> {
        check(self.api, status)
    }

    /// Takes over a text that ONNX Runtime allocated.
    fn text(self, read: impl Fn(*mut OrtAllocator, *mut *mut c_char) -> OrtStatusPtr) -> Outcome<String> {
        let mut text = ptr::null_mut();
        self.check(read(self.allocator, &mut text))?;
        // SAFETY: the call has filled the pointer with a NUL-terminated text, which is ours to free, once.
        unsafe {
            let found = CStr::from_ptr(text).to_string_lossy().into_owned();
            self.check((self.api.AllocatorFree)(self.allocator, text.cast()))?;
            Ok(found)
        }
    }
}

/// Takes over a status: success is null, anything else is read and released.
fn check(api: &OrtApi, status: OrtStatusPtr) -> Outcome<()> {
    if status.0.is_null() {
        return Ok(());
    }
    // SAFETY: the status is not null and not yet released; its message lives until it is.
    unsafe {
        let message = CStr::from_ptr((api.GetErrorMessage)(status.0)).to_string_lossy().into_owned();
        (api.ReleaseStatus)(status.0);
        Err(message)
    }
}

/// A model, in a file or in memory.
pub enum Source {
    File(String),
    Bytes(Vec<u8>),
}

/// A session; runs of it may be under way on any number of threads.
pub struct Session {
    runtime: Runtime,
    session: *mut OrtSession,
    pub inputs: Vec<Described>,
    pub optional: Vec<Described>,
    pub outputs: Vec<Described>,
}

// SAFETY: ONNX Runtime's sessions may be run by any threads at once, and released by any.
unsafe impl Send for Session {}
// SAFETY: as above.
unsafe impl Sync for Session {}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the session is ours, and released once.
        unsafe { (self.runtime.api.ReleaseSession)(self.session) }
    }
}

type Count = unsafe extern "system" fn(*const OrtSession, *mut usize) -> OrtStatusPtr;
type Name = unsafe extern "system" fn(*const OrtSession, usize, *mut OrtAllocator, *mut *mut c_char) -> OrtStatusPtr;
type Kind = unsafe extern "system" fn(*const OrtSession, usize, *mut *mut OrtTypeInfo) -> OrtStatusPtr;

impl Session {
    /// Opens a session with the operator library registered in it.
    pub fn open(runtime: Runtime, source: &Source, settings: &Settings) -> Outcome<Self> {
        let options = Options::new(runtime)?;
        options.apply(settings)?;
        let mut session = ptr::null_mut();
        // SAFETY: environment, options and source live through the call, which fills the pointer.
        unsafe {
            runtime.check(match source {
                Source::File(path) => {
                    let path = path_text(path)?;
                    (runtime.api.CreateSession)(runtime.env, path.as_ptr(), options.raw(), &mut session)
                }
                Source::Bytes(data) => {
                    let (start, length) = (data.as_ptr().cast::<c_void>(), data.len());
                    (runtime.api.CreateSessionFromArray)(runtime.env, start, length, options.raw(), &mut session)
                }
            })?;
        }
        let mut opened = Self { runtime, session, inputs: vec![], optional: vec![], outputs: vec![] };
        let api = runtime.api;
        opened.inputs =
            opened.described(api.SessionGetInputCount, api.SessionGetInputName, api.SessionGetInputTypeInfo)?;
        opened.outputs =
            opened.described(api.SessionGetOutputCount, api.SessionGetOutputName, api.SessionGetOutputTypeInfo)?;
        opened.optional = opened.described(
            api.SessionGetOverridableInitializerCount,
            api.SessionGetOverridableInitializerName,
            api.SessionGetOverridableInitializerTypeInfo,
        )?;
        Ok(opened)
    }

    fn described(&self, count: Count, name: Name, kind: Kind) -> Outcome<Vec<Described>> {
        let mut length = 0;
        // SAFETY: the session is alive, and the call fills the number.
        self.runtime.check(unsafe { count(self.session, &mut length) })?;
        (0..length)
            .map(|place| {
                // SAFETY: the place is below the number of them.
                let text = self.runtime.text(|allocator, out| unsafe { name(self.session, place, allocator, out) })?;
                let mut info = ptr::null_mut();
                // SAFETY: as above; the call fills the pointer, which `Info` releases.
                self.runtime.check(unsafe { kind(self.session, place, &mut info) })?;
                Info::of(self.runtime, info).described(text)
            })
            .collect()
    }

    /// Runs the session; gives a tensor for each output that is named.
    pub fn run(&self, feeds: &[(String, Tensor)], outputs: &[String]) -> Outcome<Vec<Tensor>> {
        let given = names(feeds.iter().map(|(name, _)| name.as_str()))?;
        let wanted = names(outputs.iter().map(String::as_str))?;
        let given_names: Vec<_> = given.iter().map(|name| name.as_ptr()).collect();
        let wanted_names: Vec<_> = wanted.iter().map(|name| name.as_ptr()).collect();
        let values: Vec<*const OrtValue> = feeds.iter().map(|(_, tensor)| tensor.value()).collect();
        let mut found = vec![ptr::null_mut::<OrtValue>(); outputs.len()];
        // SAFETY: all arrays have the lengths that are told, and live through the call.
        let status = unsafe {
            (self.runtime.api.Run)(
                self.session,
                ptr::null(),
                given_names.as_ptr(),
                values.as_ptr(),
                values.len(),
                wanted_names.as_ptr(),
                wanted_names.len(),
                found.as_mut_ptr(),
            )
        };
        self.runtime.check(status)?;
        Ok(found.into_iter().map(|value| Tensor::of(self.runtime, value)).collect())
    }
}

fn names<'a>(texts: impl Iterator<Item = &'a str>) -> Outcome<Vec<CString>> {
    texts.map(text_of).collect()
}

fn text_of(text: &str) -> Outcome<CString> {
    CString::new(text).map_err(|_| format!("{text:?} holds a NUL"))
}

#[cfg(not(windows))]
fn path_text(path: &str) -> Outcome<CString> {
    text_of(path)
}

#[cfg(windows)]
fn path_text(path: &str) -> Outcome<Vec<u16>> {
    Ok(path.encode_utf16().chain([0]).collect())
}
