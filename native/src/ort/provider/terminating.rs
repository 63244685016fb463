//! Whether a run is to end, because its host has set the flag `terminate` in the run's options.
//!
//! The C API has no function that reads the flag. But whoever runs a session with the same options is told: so a model of
//! one node is run with them, while a wait goes on for long.

use std::cell::RefCell;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::OnceLock;

use ort_sys::{
    ONNXTensorElementDataType, OrtAllocatorType, OrtEnv, OrtLoggingLevel, OrtMemType, OrtMemoryInfo, OrtRunOptions,
    OrtSession, OrtSessionOptions, OrtValue,
};

use crate::ort::{Api, OrtError};

/// `y = Identity(x)` with one bool, at IR version 8 and opset 13.
const MODEL: &[u8] = b"\x08\x08:7\n\x10\n\x01x\x12\x01y\"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x09\x12\x04\n\x02\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x09\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r";

/// What ONNX Runtime says where the flag is set.
const SAID: &str = "terminate flag";

/// Asks for the flag on behalf of one session; made by the first question.
#[derive(Default)]
pub(super) struct Asking(OnceLock<Option<Probe>>);

struct Probe {
    api: Api,
    env: *mut OrtEnv,
    session: *mut OrtSession,
    memory: *mut OrtMemoryInfo,
}

// SAFETY: a session may be run by any number of threads; the others are only passed to ONNX Runtime, which may read
// them from any.
unsafe impl Send for Probe {}
// SAFETY: as above.
unsafe impl Sync for Probe {}

/// A run of this thread, and who asks for it.
#[derive(Clone, Copy)]
struct Running {
    api: Api,
    options: *const OrtRunOptions,
    asking: *const Asking,
}

thread_local! {
    static RUNNING: RefCell<Vec<Running>> = const { RefCell::new(Vec::new()) };
}

/// Says that a run with these options is under way on this thread, until [`end`].
pub(super) fn begin(api: Api, options: *const OrtRunOptions, asking: &Asking) {
    RUNNING.with_borrow_mut(|running| running.push(Running { api, options, asking }));
}

/// Says that it is over, with those that began on this thread since.
pub(super) fn end(options: *const OrtRunOptions) {
    RUNNING.with_borrow_mut(|running| {
        if let Some(at) = running.iter().rposition(|running| running.options == options) {
            running.truncate(at);
        }
    });
}

/// Not 0 if the run of this thread is to end.
pub(super) extern "C" fn is_terminated() -> i32 {
    let Some(running) = RUNNING.with_borrow(|running| running.last().copied()) else { return 0 };
    // SAFETY: between `begin` and `end` the provider of the run's session is there.
    let asking = unsafe { &*running.asking };
    let probe = asking.0.get_or_init(|| Probe::new(running.api).ok());
    i32::from(probe.as_ref().is_some_and(|probe| probe.is_told(running.options)))
}

impl Probe {
    fn new(api: Api) -> Result<Self, OrtError> {
        let mut probe = Self { api, env: ptr::null_mut(), session: ptr::null_mut(), memory: ptr::null_mut() };
        let level = OrtLoggingLevel::ORT_LOGGING_LEVEL_FATAL;
        // SAFETY: there is an environment already, and this is one more reference to it.
        api.check(unsafe { (api.0.CreateEnv)(level, c"onnxhybrid".as_ptr(), &mut probe.env) })?;
        let (arena, memory) = (OrtAllocatorType::OrtDeviceAllocator, OrtMemType::OrtMemTypeDefault);
        // SAFETY: `memory` outlives the call.
        api.check(unsafe { (api.0.CreateCpuMemoryInfo)(arena, memory, &mut probe.memory) })?;
        let mut options = ptr::null_mut();
        // SAFETY: `options` outlives the call.
        api.check(unsafe { (api.0.CreateSessionOptions)(&mut options) })?;
        let opened = probe.open(options);
        // SAFETY: the options are ours, and a session keeps none.
        unsafe { (api.0.ReleaseSessionOptions)(options) };
        opened.map(|()| probe)
    }

    fn open(&mut self, options: *mut OrtSessionOptions) -> Result<(), OrtError> {
        let api = self.api;
        // SAFETY: the options are valid.
        api.check(unsafe { (api.0.SetIntraOpNumThreads)(options, 1) })?;
        // SAFETY: as above.
        api.check(unsafe { (api.0.SetSessionLogSeverityLevel)(options, 4) })?;
        let (model, length) = (MODEL.as_ptr().cast::<c_void>(), MODEL.len());
        // SAFETY: the model has `length` bytes, of which ONNX Runtime takes a copy.
        api.check(unsafe { (api.0.CreateSessionFromArray)(self.env, model, length, options, &mut self.session) })
    }

    /// Whether a run with these options is told that it is to end.
    fn is_told(&self, options: *const OrtRunOptions) -> bool {
        let said = self.run(options).err();
        said.is_some_and(|error| error.to_string().contains(SAID))
    }

    fn run(&self, options: *const OrtRunOptions) -> Result<(), OrtError> {
        let (api, mut value, shape) = (self.api, [0u8], [1i64]);
        let kind = ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL;
        let (mut input, mut output): (*mut OrtValue, *mut OrtValue) = (ptr::null_mut(), ptr::null_mut());
        let create = api.0.CreateTensorWithDataAsOrtValue;
        // SAFETY: the value outlives the tensor, which has one byte and one dimension.
        api.check(unsafe { create(self.memory, value.as_mut_ptr().cast(), 1, shape.as_ptr(), 1, kind, &mut input) })?;
        let names: [&CStr; 2] = [c"x", c"y"];
        let [x, y] = names.map(CStr::as_ptr);
        let inputs = [input.cast_const()];
        // SAFETY: there is one name and one value for each of input and output; the options are those of a run that is
        // under way, and valid for as long.
        let ran = api.check(unsafe { (api.0.Run)(self.session, options, &x, inputs.as_ptr(), 1, &y, 1, &mut output) });
        for value in [input, output] {
            // SAFETY: both are null or ours, and not used any more.
            unsafe { (api.0.ReleaseValue)(value) };
        }
        ran
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // SAFETY: each is null or ours, released once, and what refers to another before that.
        unsafe {
            (self.api.0.ReleaseSession)(self.session);
            (self.api.0.ReleaseMemoryInfo)(self.memory);
            (self.api.0.ReleaseEnv)(self.env);
        }
    }
}
