//! The C functions of the library. Text is UTF-8 and NUL-terminated; a returned text is freed with `onnxhybrid_free`.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use ort_sys::{OrtApiBase, OrtSessionOptions, OrtStatusPtr};
use serde_json::{Value, json};

use crate::failure::{Code, Failure, Problem};
use crate::guard::guard;
use crate::host::{describe, register};
use crate::ort::{API_VERSION, Api, SessionOptions, success};
use crate::run::running;
use crate::session::credential::Resolver;
use crate::session::scope::{self, Scope};
use crate::{protocol, trace};

/// The version of these functions; it changes when one of them does.
const ABI_VERSION: u32 = 3;

/// Receives a credential's value, or an error's text.
pub type Put = unsafe extern "C" fn(sink: *mut c_void, bytes: *const u8, length: usize);

/// The host language's answer to "what is this credential's value?": it calls `put` once with the value and
/// returns 0, or with an error text that holds no secret and returns anything else.
pub type ResolverFn = unsafe extern "C" fn(name: *const c_char, sink: *mut c_void, put: Put) -> i32;

/// Adds the operators of the domain `ai.onnxhybrid` to a session's options; ONNX Runtime looks for this name.
///
/// # Safety
/// Called by ONNX Runtime alone, with its own valid pointers.
#[unsafe(no_mangle)]
#[allow(non_snake_case)]
pub unsafe extern "system" fn RegisterCustomOps(
    options: *mut OrtSessionOptions,
    base: *const OrtApiBase,
) -> OrtStatusPtr {
    // SAFETY: ONNX Runtime passes its own base.
    let Some(api) = (unsafe { Api::from_base(base) }) else {
        // SAFETY: as above.
        return unsafe { too_old(base) };
    };
    // SAFETY: the options are valid for this call.
    let options = unsafe { SessionOptions::new(api, options) };
    let panicked = || Err(Problem::new(Code::Internal, "an error of the operator library (a panic)"));
    match guard(panicked, || register::register(api, &options)) {
        Ok(()) => success(),
        Err(problem) => api.status(&Failure::without_node(problem).to_string()),
    }
}

/// # Safety
/// `base` is null or ONNX Runtime's.
unsafe fn too_old(base: *const OrtApiBase) -> OrtStatusPtr {
    // SAFETY: the caller vouches for `base`. Tables only ever grow at their end, and a status is in the first of them.
    match unsafe { Api::from_base_version(base, 1) } {
        Some(api) => api.status(&format!("[OH530] onnxhybrid needs ONNX Runtime 1.{API_VERSION} or later")),
        None => success(),
    }
}

/// The version of the C functions.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_abi_version() -> u32 {
    ABI_VERSION
}

/// The attributes that every node has, and the protocol table, as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_protocols() -> *mut c_char {
    guard(ptr::null_mut, || text(protocol::table::json()))
}

/// Creates a scope; 0 on failure, with the failure's JSON in `*failure` unless that is null.
///
/// # Safety
/// `config` is null or a valid text, `failure` is null or may be written to; `resolver` may be called from any
/// thread until the last kernel of the scope is gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onnxhybrid_scope_create(
    config: *const c_char,
    resolver: Option<ResolverFn>,
    failure: *mut *mut c_char,
) -> u64 {
    let resolver = resolver.map(|function| Arc::new(HostResolver(function)) as Arc<dyn Resolver>);
    // SAFETY: the caller vouches for `config`.
    let config = unsafe { read(config) };
    let created = guard(|| Err(internal()), || Scope::from_json(config.ok_or_else(no_text)?, resolver).map(scope::add));
    let (id, message) = match created {
        Ok(id) => (id, ptr::null_mut()),
        Err(problem) => (0, text(&Failure::without_node(problem).to_json_with_message().to_string())),
    };
    if failure.is_null() {
        // SAFETY: nobody else knows the text.
        unsafe { onnxhybrid_free(message) };
    } else {
        // SAFETY: the caller vouches for `failure`.
        unsafe { *failure = message };
    }
    id
}

/// Forgets a scope's id. Its kernels keep the scope until they are freed; no session may be created any more with
/// options that were registered under the id.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_scope_release(id: u64) {
    guard(
        || (),
        || {
            register::release(id);
            scope::remove(id);
        },
    );
}

/// The statistics of a scope as JSON; `{}` for one that is unknown.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_scope_stats(id: u64) -> *mut c_char {
    let stats = || scope::find(id).map_or_else(|| json!({}), |scope| scope.stats());
    guard(ptr::null_mut, || text(&stats().to_string()))
}

/// The failed attempts of a scope since the last question, `{"events": […], "forgotten": n}`; null if there are none.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_scope_events(id: u64) -> *mut c_char {
    let take = || scope::find(id).and_then(|scope| scope.events()?.take());
    guard(ptr::null_mut, || take().map_or(ptr::null_mut(), |events| text(&events.to_string())))
}

/// Sets the W3C `traceparent` that calls of this thread carry from now on; null clears it.
///
/// # Safety
/// `traceparent` is null or a valid text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onnxhybrid_trace(traceparent: *const c_char) {
    // SAFETY: the caller vouches for `traceparent`.
    let traceparent = unsafe { read(traceparent) };
    guard(|| (), || trace::set(traceparent));
}

/// Lets kernels that are created from now on through the registration made under `registered` belong to `scope`;
/// 1 if done, 0 if either id is unknown.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_scope_assign(registered: u64, scope: u64) -> u32 {
    guard(|| 0, || u32::from(register::assign(registered, scope)))
}

/// Asks a server for a model's interface: `{"inputs": […], "outputs": […]}` or `{"failure": {…}}`.
///
/// # Safety
/// `request` is null or a valid text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onnxhybrid_describe(scope: u64, request: *const c_char) -> *mut c_char {
    // SAFETY: the caller vouches for `request`.
    let request = unsafe { read(request) };
    let ask = || {
        let scope = scope::find(scope)
            .ok_or_else(|| Failure::without_node(Problem::new(Code::Scope, "the scope is unknown")))?;
        describe::describe(&scope, request.ok_or_else(|| Failure::without_node(no_text()))?)
    };
    let answer = guard(|| Err(Failure::without_node(internal())), ask);
    let answer: Value = answer.unwrap_or_else(|failure| json!({"failure": failure.to_json_with_message()}));
    text(&answer.to_string())
}

/// Makes a run, to be entered on the thread that will call ONNX Runtime, and gives its id; 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_run_create() -> u64 {
    guard(|| 0, running::create)
}

/// Says that kernels on this thread belong to the run `id`, or with 0 (or an id that is unknown) to one without an id,
/// until `onnxhybrid_run_leave` on the same thread. `check`, unless null, is called on this thread while it waits, many
/// times a second: anything but 0 ends the wait.
///
/// # Safety
/// `check` is null or may be called on this thread until it leaves the run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onnxhybrid_run_enter(id: u64, check: Option<running::Check>) {
    guard(|| (), || running::enter(id, check));
}

/// Ends the run that this thread entered last, forgets its id, and drops what it began and did not await.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_run_leave() {
    guard(|| (), running::leave);
}

/// Ends the waits of a run with OH514, from any thread; those that it has not come to yet, too.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_run_cancel(id: u64) {
    guard(|| (), || running::cancel(id));
}

/// Forgets the id of a run that will not be entered.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_run_release(id: u64) {
    guard(|| (), || running::release(id));
}

/// Ends all waits of the process for good, and gives runs at most `patience_ms` milliseconds to return to the host,
/// which is about to end. The host's functions are not called again afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn onnxhybrid_exit(patience_ms: u32) {
    guard(|| (), || running::exit(Duration::from_millis(patience_ms.into())));
}

/// Frees a text that one of these functions returned.
///
/// # Safety
/// `text` is null, or was returned by one of these functions and not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onnxhybrid_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: the caller vouches that `text` came from `CString::into_raw`.
        drop(unsafe { CString::from_raw(text) });
    }
}

struct HostResolver(ResolverFn);

/// What a resolver has put.
type Answer = Option<Vec<u8>>;

impl Resolver for HostResolver {
    fn resolve(&self, name: &str) -> Result<Vec<u8>, String> {
        let name = CString::new(name).map_err(|_| "its name holds a NUL".to_owned())?;
        let mut answer: Answer = None;
        // SAFETY: the host vouches for the function; name and sink outlive the call.
        let failed = unsafe { (self.0)(name.as_ptr(), (&raw mut answer).cast(), put) } != 0;
        // A callback that failed on its way back says neither; no value must not become an empty token.
        let answer = answer.ok_or_else(|| "it gave no value".to_owned())?;
        if failed { Err(String::from_utf8_lossy(&answer).into_owned()) } else { Ok(answer) }
    }
}

unsafe extern "C" fn put(sink: *mut c_void, bytes: *const u8, length: usize) {
    if sink.is_null() || (bytes.is_null() && length > 0) {
        return;
    }
    // SAFETY: the sink is the answer of `HostResolver::resolve`, which waits.
    let answer = unsafe { &mut *sink.cast::<Answer>() };
    let bytes = match length {
        0 => &[],
        // SAFETY: the host vouches for the bytes.
        _ => unsafe { std::slice::from_raw_parts(bytes, length) },
    };
    guard(|| (), || *answer = Some(bytes.to_vec()));
}

/// # Safety
/// `text` is null or a valid text that outlives the result.
unsafe fn read<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for `text`.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

fn text(content: &str) -> *mut c_char {
    CString::new(content).map_or(ptr::null_mut(), CString::into_raw)
}

fn no_text() -> Problem {
    Problem::new(Code::Scope, "the configuration is no UTF-8 text")
}

fn internal() -> Problem {
    Problem::new(Code::Internal, "an error of the operator library (a panic)")
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn give(name: *const c_char, sink: *mut c_void, put: Put) -> i32 {
        // SAFETY: the resolver passes a valid name and sink.
        unsafe {
            let name = CStr::from_ptr(name).to_bytes();
            match name {
                b"silent" => 0,
                b"empty" => {
                    put(sink, ptr::null(), 0);
                    0
                }
                _ => {
                    put(sink, name.as_ptr(), name.len());
                    i32::from(name == b"broken")
                }
            }
        }
    }

    #[test]
    fn a_resolver_gives_a_value_or_an_error() {
        let resolver = HostResolver(give);
        assert_eq!(resolver.resolve("token"), Ok(b"token".to_vec()));
        assert_eq!(resolver.resolve("empty"), Ok(Vec::new()));
        assert_eq!(resolver.resolve("broken"), Err("broken".into()));
        assert!(resolver.resolve("silent").is_err());
        assert!(resolver.resolve("nul\0").is_err());
    }

    #[test]
    fn bad_arguments_are_failures() {
        // SAFETY: every function takes null.
        unsafe {
            assert_eq!(onnxhybrid_scope_create(ptr::null(), None, ptr::null_mut()), 0);
            let mut failure = ptr::null_mut();
            assert_eq!(onnxhybrid_scope_create(c"{".as_ptr(), None, &mut failure), 0);
            assert!(CStr::from_ptr(failure).to_string_lossy().contains("OH530"));
            onnxhybrid_free(failure);
            let answer = onnxhybrid_describe(u64::MAX, ptr::null());
            assert!(CStr::from_ptr(answer).to_string_lossy().contains("OH530"));
            onnxhybrid_free(answer);
            onnxhybrid_free(ptr::null_mut());
        }
        assert_eq!(onnxhybrid_scope_assign(u64::MAX, u64::MAX), 0);
        onnxhybrid_scope_release(u64::MAX);
    }

    #[test]
    fn a_scope_lives_between_its_creation_and_its_release() {
        // SAFETY: the texts are valid.
        unsafe {
            let id = onnxhybrid_scope_create(c"{}".as_ptr(), None, ptr::null_mut());
            assert!(id > 0);
            let query = c"{\"protocol\": \"triton.http\", \"endpoint\": \"http://u:s3cret@h\", \"model\": \"m\"}";
            let answer = onnxhybrid_describe(id, query.as_ptr());
            let text = CStr::from_ptr(answer).to_string_lossy().into_owned();
            onnxhybrid_free(answer);
            assert!(text.contains("OH301") && !text.contains("s3cret"), "{text}");
            onnxhybrid_scope_release(id);
            assert!(scope::find(id).is_none());
        }
    }
}
