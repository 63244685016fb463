//! Operator tables: ONNX Runtime's callbacks, turned into a safe trait.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use ort_sys::{
    ONNXTensorElementDataType, OrtApi, OrtCustomOpInputOutputCharacteristic, OrtKernelContext, OrtKernelInfo,
    OrtMemType, OrtStatusPtr,
};

pub use ort_sys::OrtCustomOp;

use super::{API_VERSION, Api, Context, KernelInfo, success};
use crate::element::ElementType;
use crate::failure::{Code, Failure, Problem};
use crate::guard::guard;

/// The kernel of an operator. One is created for each node; any number of threads may compute it at once.
pub trait Kernel: Send + Sync + Sized + 'static {
    /// What all kernels of one registration share when they are created.
    type Shared: Send + Sync + 'static;

    /// The type of its one output; `None` for any number of outputs, of the types that the graph declares.
    const OUTPUT: Option<ElementType> = None;

    /// Creates the kernel of a node.
    fn create(shared: &Self::Shared, info: &KernelInfo) -> Result<Self, Failure>;

    /// Runs the node once.
    fn compute(&self, context: &Context) -> Result<(), Failure>;

    /// A failure of this kernel.
    fn failure(&self, problem: impl Into<Problem>) -> Failure;
}

/// An operator with any number of inputs of any types, and the outputs that its kernel says.
#[repr(C)]
pub struct Operator<K: Kernel> {
    /// Must come first: ONNX Runtime hands out its address as the operator's.
    table: OrtCustomOp,
    name: &'static CStr,
    provider: Option<&'static CStr>,
    shared: &'static K::Shared,
}

/// A kernel with the runtime that it belongs to.
struct Held<K> {
    api: Api,
    kernel: K,
}

impl<K: Kernel> Operator<K> {
    /// The operator `name` for one execution provider; `None` is the CPU's.
    pub fn new(name: &'static CStr, provider: Option<&'static CStr>, shared: &'static K::Shared) -> Self {
        Self { table: table::<K>(), name, provider, shared }
    }

    /// The table that ONNX Runtime reads.
    pub fn table(&'static self) -> &'static OrtCustomOp {
        // SAFETY: the table is the first field of a `repr(C)` struct; the cast keeps the right to read all of it.
        unsafe { &*ptr::from_ref(self).cast() }
    }
}

fn table<K: Kernel>() -> OrtCustomOp {
    OrtCustomOp {
        version: API_VERSION,
        CreateKernel: None,
        GetName: Some(name::<K>),
        GetExecutionProviderType: Some(provider::<K>),
        GetInputType: Some(any_type),
        GetInputTypeCount: Some(one_variadic),
        GetOutputType: Some(output_type::<K>),
        GetOutputTypeCount: Some(one_variadic),
        KernelCompute: None,
        KernelDestroy: Some(destroy::<K>),
        GetInputCharacteristic: Some(variadic),
        GetOutputCharacteristic: Some(output_characteristic::<K>),
        GetInputMemoryType: Some(cpu_memory),
        GetVariadicInputMinArity: Some(at_least_one),
        GetVariadicInputHomogeneity: Some(mixed_types),
        GetVariadicOutputMinArity: Some(at_least_one),
        GetVariadicOutputHomogeneity: Some(mixed_types),
        CreateKernelV2: Some(create::<K>),
        KernelComputeV2: Some(compute::<K>),
        InferOutputShapeFn: None,
        GetStartVersion: Some(first_version),
        GetEndVersion: Some(last_version),
        GetMayInplace: None,
        ReleaseMayInplace: None,
        GetAliasMap: None,
        ReleaseAliasMap: None,
    }
}

unsafe extern "system" fn name<K: Kernel>(op: *const OrtCustomOp) -> *const c_char {
    // SAFETY: `op` is the first field of an `Operator<K>` that is never freed.
    unsafe { (*op.cast::<Operator<K>>()).name.as_ptr() }
}

unsafe extern "system" fn provider<K: Kernel>(op: *const OrtCustomOp) -> *const c_char {
    // SAFETY: `op` is the first field of an `Operator<K>` that is never freed.
    unsafe { (*op.cast::<Operator<K>>()).provider.map_or(ptr::null(), CStr::as_ptr) }
}

unsafe extern "system" fn create<K: Kernel>(
    op: *const OrtCustomOp,
    api: *const OrtApi,
    info: *const OrtKernelInfo,
    out: *mut *mut c_void,
) -> OrtStatusPtr {
    // SAFETY: `op` is the first field of an `Operator<K>`. It and ONNX Runtime's table are never freed; `info` is valid
    // for this call.
    let (operator, api, info) = unsafe { (&*op.cast::<Operator<K>>(), Api(&*api), &*info) };
    let panicked = || Err(Failure::without_node(internal()));
    match guard(panicked, || K::create(operator.shared, &KernelInfo::new(api, info))) {
        Ok(kernel) => {
            // SAFETY: `out` is valid; `destroy` takes the box back.
            unsafe { *out = Box::into_raw(Box::new(Held { api, kernel })).cast() };
            success()
        }
        Err(failure) => api.status(&failure.to_string()),
    }
}

unsafe extern "system" fn compute<K: Kernel>(kernel: *mut c_void, context: *mut OrtKernelContext) -> OrtStatusPtr {
    // SAFETY: `kernel` is what `create` made, and `destroy` is not called while it computes; `context` is valid for this
    // call, and nobody else's.
    let (held, context) = unsafe { (&*kernel.cast::<Held<K>>(), &mut *context) };
    let context = Context::new(held.api, context);
    let panicked = || Err(held.kernel.failure(internal()));
    match guard(panicked, || held.kernel.compute(&context)) {
        Ok(()) => success(),
        Err(failure) => held.api.status(&failure.to_string()),
    }
}

unsafe extern "system" fn destroy<K: Kernel>(kernel: *mut c_void) {
    if !kernel.is_null() {
        // SAFETY: `kernel` is what `create` made, and ONNX Runtime destroys it once.
        let held = unsafe { Box::from_raw(kernel.cast::<Held<K>>()) };
        guard(|| (), || drop(held));
    }
}

fn internal() -> Problem {
    Problem::new(Code::Internal, "an error of the operator library (a panic)")
}

extern "system" fn any_type(_: *const OrtCustomOp, _: usize) -> ONNXTensorElementDataType {
    ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED
}

extern "system" fn output_type<K: Kernel>(_: *const OrtCustomOp, _: usize) -> ONNXTensorElementDataType {
    match K::OUTPUT {
        Some(ElementType::Int64) => ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        Some(ElementType::Bool) => ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        _ => ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED,
    }
}

extern "system" fn output_characteristic<K: Kernel>(
    _: *const OrtCustomOp,
    _: usize,
) -> OrtCustomOpInputOutputCharacteristic {
    match K::OUTPUT {
        Some(_) => OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_REQUIRED,
        None => OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_VARIADIC,
    }
}

extern "system" fn one_variadic(_: *const OrtCustomOp) -> usize {
    1
}

extern "system" fn variadic(_: *const OrtCustomOp, _: usize) -> OrtCustomOpInputOutputCharacteristic {
    OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_VARIADIC
}

extern "system" fn cpu_memory(_: *const OrtCustomOp, _: usize) -> OrtMemType {
    OrtMemType::OrtMemTypeDefault
}

extern "system" fn at_least_one(_: *const OrtCustomOp) -> c_int {
    1
}

extern "system" fn mixed_types(_: *const OrtCustomOp) -> c_int {
    0
}

extern "system" fn first_version(_: *const OrtCustomOp) -> c_int {
    1
}

extern "system" fn last_version(_: *const OrtCustomOp) -> c_int {
    c_int::MAX
}
