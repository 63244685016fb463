//! The options of a session.

use std::ptr;

use ort_sys::{ExecutionMode, GraphOptimizationLevel, OrtSessionOptions};

use super::{Outcome, Runtime, path_text, text_of};

/// What a session is opened with.
#[derive(Default)]
pub struct Settings {
    pub library: String,
    pub entries: Vec<(String, String)>,
    pub optimization: Option<u32>,
    pub intra_threads: Option<i32>,
    pub inter_threads: Option<i32>,
    pub parallel: bool,
    pub severity: i32,
}
/// Options that are being made.
pub(super) struct Options(*mut OrtSessionOptions, Runtime);

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the options are ours, and released once; a session has copied what it needs.
        unsafe { (self.1.api.ReleaseSessionOptions)(self.0) }
    }
}

impl Options {
    pub(super) fn new(runtime: Runtime) -> Outcome<Self> {
        let mut options = ptr::null_mut();
        // SAFETY: the call fills the pointer.
        runtime.check(unsafe { (runtime.api.CreateSessionOptions)(&mut options) })?;
        Ok(Self(options, runtime))
    }

    /// The pointer, which lives as long as this.
    pub(super) fn raw(&self) -> *const OrtSessionOptions {
        self.0
    }

    /// Entries come before the library, which reads them when it is registered.
    pub(super) fn apply(&self, settings: &Settings) -> Outcome<()> {
        let (options, api) = (self.0, self.1.api);
        let check = |status| self.1.check(status);
        let library = path_text(&settings.library)?;
        // SAFETY: the options and all texts live through the calls.
        unsafe {
            check((api.SetSessionLogSeverityLevel)(options, settings.severity))?;
            if let Some(level) = settings.optimization {
                check((api.SetSessionGraphOptimizationLevel)(options, optimization(level)))?;
            }
            if let Some(threads) = settings.intra_threads {
                check((api.SetIntraOpNumThreads)(options, threads))?;
            }
            if let Some(threads) = settings.inter_threads {
                check((api.SetInterOpNumThreads)(options, threads))?;
            }
            if settings.parallel {
                check((api.SetSessionExecutionMode)(options, ExecutionMode::ORT_PARALLEL))?;
            }
            for (key, value) in &settings.entries {
                let (key, value) = (text_of(key)?, text_of(value)?);
                check((api.AddSessionConfigEntry)(options, key.as_ptr(), value.as_ptr()))?;
            }
            check((api.RegisterCustomOpsLibrary_V2)(options, library.as_ptr()))
        }
    }
}

fn optimization(level: u32) -> GraphOptimizationLevel {
    match level {
        0 => GraphOptimizationLevel::ORT_DISABLE_ALL,
        1 => GraphOptimizationLevel::ORT_ENABLE_BASIC,
        2 => GraphOptimizationLevel::ORT_ENABLE_EXTENDED,
        _ => GraphOptimizationLevel::ORT_ENABLE_ALL,
    }
}
