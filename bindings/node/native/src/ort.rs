//! ONNX Runtime's C API, safely: a session, tensors, and their types. All pointers of it are in this file.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use libloading::Library;
use ort_sys::{
    ExecutionMode, GraphOptimizationLevel, ONNXTensorElementDataType, ONNXType, OrtAllocator, OrtApi, OrtApiBase,
    OrtEnv, OrtLoggingLevel, OrtSession, OrtSessionOptions, OrtStatusPtr, OrtTensorTypeAndShapeInfo, OrtTypeInfo,
    OrtValue,
};

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

/// A model, in a file or in memory.
pub enum Source {
    File(String),
    Bytes(Vec<u8>),
}

/// The description of an input or output: its sizes are numbers or names, and -1 with no name is any.
pub struct Described {
    pub name: String,
    /// ONNX's number of the element type; none for what is no tensor.
    pub element: Option<u32>,
    pub sizes: Vec<(i64, String)>,
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
                    (runtime.api.CreateSession)(runtime.env, path.as_ptr(), options.0, &mut session)
                }
                Source::Bytes(data) => {
                    let (start, length) = (data.as_ptr().cast::<c_void>(), data.len());
                    (runtime.api.CreateSessionFromArray)(runtime.env, start, length, options.0, &mut session)
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
                Info(self.runtime, info).described(text)
            })
            .collect()
    }

    /// Runs the session; gives a tensor for each output that is named.
    pub fn run(&self, feeds: &[(String, Tensor)], outputs: &[String]) -> Outcome<Vec<Tensor>> {
        let given = names(feeds.iter().map(|(name, _)| name.as_str()))?;
        let wanted = names(outputs.iter().map(String::as_str))?;
        let given_names: Vec<_> = given.iter().map(|name| name.as_ptr()).collect();
        let wanted_names: Vec<_> = wanted.iter().map(|name| name.as_ptr()).collect();
        let values: Vec<*const OrtValue> = feeds.iter().map(|(_, tensor)| tensor.value.cast_const()).collect();
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
        Ok(found.into_iter().map(|value| Tensor { runtime: self.runtime, value }).collect())
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

struct Options(*mut OrtSessionOptions, Runtime);

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the options are ours, and released once; a session has copied what it needs.
        unsafe { (self.1.api.ReleaseSessionOptions)(self.0) }
    }
}

impl Options {
    fn new(runtime: Runtime) -> Outcome<Self> {
        let mut options = ptr::null_mut();
        // SAFETY: the call fills the pointer.
        runtime.check(unsafe { (runtime.api.CreateSessionOptions)(&mut options) })?;
        Ok(Self(options, runtime))
    }

    /// Entries come before the library, which reads them when it is registered.
    fn apply(&self, settings: &Settings) -> Outcome<()> {
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

struct Info(Runtime, *mut OrtTypeInfo);

impl Drop for Info {
    fn drop(&mut self) {
        // SAFETY: the description is ours, and released once.
        unsafe { (self.0.api.ReleaseTypeInfo)(self.1) }
    }
}

impl Info {
    fn described(&self, name: String) -> Outcome<Described> {
        let (runtime, mut kind, mut tensor) = (self.0, ONNXType::ONNX_TYPE_UNKNOWN, ptr::null());
        // SAFETY: the description lives through both calls, which fill their results.
        unsafe {
            runtime.check((runtime.api.GetOnnxTypeFromTypeInfo)(self.1, &mut kind))?;
            if kind as u32 != ONNXType::ONNX_TYPE_TENSOR as u32 {
                return Ok(Described { name, element: None, sizes: vec![] });
            }
            runtime.check((runtime.api.CastTypeInfoToTensorInfo)(self.1, &mut tensor))?;
        }
        let (element, shape) = shape(runtime, tensor)?;
        let mut symbols = vec![ptr::null::<c_char>(); shape.len()];
        // SAFETY: there is room for as many names as there are sizes; they live as long as the description.
        let symbols = unsafe {
            runtime.check((runtime.api.GetSymbolicDimensions)(tensor, symbols.as_mut_ptr(), symbols.len()))?;
            symbols.iter().map(|text| CStr::from_ptr(*text).to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        Ok(Described { name, element: Some(element), sizes: shape.into_iter().zip(symbols).collect() })
    }
}

/// The element type and the sizes of a description that is not released.
fn shape(runtime: Runtime, info: *const OrtTensorTypeAndShapeInfo) -> Outcome<(u32, Vec<i64>)> {
    let (mut element, mut rank) = (ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, 0);
    // SAFETY: the description lives through the calls; the room has the rank that it told.
    unsafe {
        runtime.check((runtime.api.GetTensorElementType)(info, &mut element))?;
        runtime.check((runtime.api.GetDimensionsCount)(info, &mut rank))?;
        let mut sizes = vec![0; rank];
        runtime.check((runtime.api.GetDimensions)(info, sizes.as_mut_ptr(), rank))?;
        Ok((element as u32, sizes))
    }
}

/// A tensor of ONNX Runtime's own memory.
pub struct Tensor {
    runtime: Runtime,
    value: *mut OrtValue,
}

// SAFETY: a value is only read once it is made, and may be released by any thread.
unsafe impl Send for Tensor {}
// SAFETY: as above.
unsafe impl Sync for Tensor {}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: the value is ours, and released once; null is nothing.
        unsafe { (self.runtime.api.ReleaseValue)(self.value) }
    }
}

/// What a tensor holds.
pub enum Elements {
    Bytes(Vec<u8>),
    Texts(Vec<String>),
}

impl Tensor {
    /// A tensor of an element type that `element_size` knows, or of texts, with a copy of the elements.
    pub fn new(runtime: Runtime, element: u32, sizes: &[i64], elements: &Elements) -> Outcome<Self> {
        let kind = kind(element).ok_or_else(|| format!("the element type {element} is none that is taken"))?;
        let mut value = ptr::null_mut();
        // SAFETY: the sizes live through the call, which fills the pointer.
        let status = unsafe {
            (runtime.api.CreateTensorAsOrtValue)(runtime.allocator, sizes.as_ptr(), sizes.len(), kind, &mut value)
        };
        runtime.check(status)?;
        let tensor = Self { runtime, value };
        let count = usize::try_from(sizes.iter().product::<i64>()).map_err(|_| "a size is negative".to_string())?;
        match elements {
            Elements::Bytes(bytes) if element != STRING && count * element_size(element) == bytes.len() => {
                // SAFETY: the tensor has as many bytes, which nobody else knows yet.
                unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), tensor.data()?, bytes.len()) };
            }
            Elements::Texts(texts) if element == STRING && count == texts.len() => tensor.fill(texts)?,
            _ => return Err(format!("{count} elements were to be given")),
        }
        Ok(tensor)
    }

    fn data(&self) -> Outcome<*mut u8> {
        let mut data = ptr::null_mut();
        // SAFETY: the value is a tensor, and the call fills the pointer.
        self.runtime.check(unsafe { (self.runtime.api.GetTensorMutableData)(self.value, &mut data) })?;
        Ok(data.cast())
    }

    /// By its length, since a text may hold a NUL.
    fn fill(&self, texts: &[String]) -> Outcome<()> {
        for (place, text) in texts.iter().enumerate() {
            let mut room = ptr::null_mut();
            // SAFETY: the place is below the number of elements; the room has as many bytes as were asked for.
            unsafe {
                let resize = self.runtime.api.GetResizedStringTensorElementBuffer;
                self.runtime.check(resize(self.value, place, text.len(), &mut room))?;
                ptr::copy_nonoverlapping(text.as_ptr(), room.cast(), text.len());
            }
        }
        Ok(())
    }

    /// The element type, the sizes and a copy of the elements.
    pub fn read(&self) -> Outcome<(u32, Vec<i64>, Elements)> {
        if self.value.is_null() {
            return Err("the output has no value".into());
        }
        let api = self.runtime.api;
        let mut info = ptr::null_mut();
        // SAFETY: the value is alive; its description is released below, on all ways.
        self.runtime.check(unsafe { (api.GetTensorTypeAndShape)(self.value, &mut info) })?;
        let found = shape(self.runtime, info);
        // SAFETY: released once.
        unsafe { (api.ReleaseTensorTypeAndShapeInfo)(info) };
        let (element, sizes) = found?;
        let count = usize::try_from(sizes.iter().product::<i64>()).unwrap_or(0);
        if element == STRING {
            return Ok((element, sizes, Elements::Texts(self.texts(count)?)));
        }
        let length = match element_size(element) {
            0 => return Err(format!("the output has the element type {element}, which JavaScript has no array for")),
            size => count * size,
        };
        let mut bytes = vec![0; length];
        // SAFETY: the tensor has as many bytes as its elements take.
        unsafe { ptr::copy_nonoverlapping(self.data()?, bytes.as_mut_ptr(), length) };
        Ok((element, sizes, Elements::Bytes(bytes)))
    }

    fn texts(&self, count: usize) -> Outcome<Vec<String>> {
        let (runtime, mut length) = (self.runtime, 0);
        let (mut bytes, mut starts) = (vec![], vec![0; count]);
        // SAFETY: the room has the lengths that are told, and the value is a tensor of texts.
        unsafe {
            runtime.check((runtime.api.GetStringTensorDataLength)(self.value, &mut length))?;
            bytes.resize(length, 0u8);
            let content = runtime.api.GetStringTensorContent;
            if count > 0 {
                runtime.check(content(self.value, bytes.as_mut_ptr().cast(), length, starts.as_mut_ptr(), count))?;
            }
        }
        starts.push(length);
        let texts = starts.windows(2).map(|ends| String::from_utf8(bytes[ends[0]..ends[1]].to_vec()));
        texts.collect::<Result<_, _>>().map_err(|_| "a text of an output is no UTF-8".into())
    }
}

/// The bytes of an element; nothing for what is not taken.
fn element_size(element: u32) -> usize {
    match element {
        2 | 3 | 9 => 1,
        4 | 5 | 10 => 2,
        1 | 6 | 12 => 4,
        7 | 11 | 13 => 8,
        _ => 0,
    }
}

fn kind(element: u32) -> Option<ONNXTensorElementDataType> {
    use ONNXTensorElementDataType as Kind;
    Some(match element {
        1 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        2 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        3 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        4 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        5 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        6 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        7 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        8 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
        9 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        10 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        11 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        12 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        13 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        _ => return None,
    })
}
