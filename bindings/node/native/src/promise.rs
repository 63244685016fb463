//! Promises whose answer comes from another thread, also where the loop that waits for it ends first.
//!
//! A worker may be terminated while its calls are under way, and Node frees what a promise is answered by with it. So a
//! hook that Node calls before that closes the promise, and nobody answers one that is closed.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use napi::bindgen_prelude::ToNapiValue;
use napi::{Env, Error, JsObject, Result, sys};

use crate::ort::Outcome;

/// Whether a promise may still be answered.
#[derive(Clone)]
struct Open(Arc<Mutex<bool>>);

impl Open {
    /// One that the end of the loop closes; made after the promise, since Node calls the last hook first.
    fn new(env: Env) -> Result<Self> {
        let open = Self(Arc::new(Mutex::new(true)));
        let held = Arc::into_raw(open.0.clone()).cast_mut().cast();
        // SAFETY: the environment is alive, and the hook is called once at most, with what is held for it.
        let status = unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(close), held) };
        if status == sys::Status::napi_ok {
            return Ok(open);
        }
        // SAFETY: there is no hook, so what was held for it is ours again.
        drop(unsafe { Arc::from_raw(held.cast::<Mutex<bool>>()) });
        Err(Error::from_reason("Node takes no hook for its end"))
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the hook away, on the loop.
    fn forget(&self, env: Env) {
        let held = Arc::as_ptr(&self.0).cast_mut().cast();
        // SAFETY: the environment is alive, and has the hook.
        if unsafe { sys::napi_remove_env_cleanup_hook(env.raw(), Some(close), held) } == sys::Status::napi_ok {
            // SAFETY: what was held for the hook, which is not called any more.
            unsafe { Arc::decrement_strong_count(held.cast::<Mutex<bool>>().cast_const()) };
        }
    }
}

unsafe extern "C" fn close(held: *mut c_void) {
    // SAFETY: `Open::new` held it for this call.
    let open = Open(unsafe { Arc::from_raw(held.cast()) });
    *open.lock() = false;
}

/// Work on a thread of its own, and a promise of what is made of its result on the loop.
pub fn aside<T: Send + 'static, J: ToNapiValue + 'static>(
    env: Env,
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
    made: impl FnOnce(T) -> J + Send + 'static,
) -> Result<JsObject> {
    let (deferred, promise) = env.create_deferred()?;
    let open = Open::new(env)?;
    let answering = open.clone();
    let started = thread::Builder::new().name("hybrid".into()).spawn(move || {
        let done = work();
        let own = answering.clone();
        // Held while the answer is handed over, so that the loop does not end meanwhile.
        let is_open = answering.lock();
        if *is_open {
            deferred.resolve(move |env| {
                if !env.raw().is_null() {
                    own.forget(env); // it is null where the loop ended with the answer on its way
                }
                done.map(made).map_err(Error::from_reason)
            });
        }
    });
    started.map(|_| promise).map_err(|problem| {
        open.forget(env);
        Error::from_reason(format!("no thread for the call: {problem}"))
    })
}
