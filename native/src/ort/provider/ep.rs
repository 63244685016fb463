//! A session's execution provider, as ONNX Runtime calls it.

use std::ffi::{CStr, c_char};
use std::ptr;

use ort_sys::{OrtRunOptions, OrtStatusPtr};

use super::Provider;
use super::late::{API_VERSION, Late, text};
use super::run::RunOptions;
use super::tables::{EpTable, Opaque};
use super::terminating::{self, Asking};
use crate::failure::{Code, Problem};
use crate::guard::guard;
use crate::ort::{KernelInfo, OrtError};

/// The execution provider of one session.
#[repr(C)]
pub(super) struct Ep<P> {
    /// Must come first: ONNX Runtime hands out its address as the provider's.
    table: EpTable,
    late: Late,
    asking: Asking,
    provider: P,
}

impl<P: Provider> Ep<P> {
    /// A provider for ONNX Runtime to hold, until [`Ep::release`].
    pub(super) fn create(late: Late, provider: P) -> *mut EpTable {
        let table = EpTable {
            ort_version_supported: API_VERSION,
            GetName: Some(name::<P>),
            GetCapability: Some(take_nodes::<P>),
            Compile: Some(compile::<P>),
            ReleaseNodeComputeInfos: Some(nothing_to_release),
            SetDynamicOptions: Some(change::<P>),
            OnRunStart: Some(begin::<P>),
            OnRunEnd: Some(end::<P>),
            ..EpTable::default()
        };
        Box::into_raw(Box::new(Self { table, late, asking: Asking::default(), provider })).cast()
    }

    /// Frees a provider.
    ///
    /// # Safety
    ///
    /// `ep` is what [`Ep::create`] made, and not used any more.
    pub(super) unsafe fn release(ep: *mut EpTable) {
        // SAFETY: it came from a box of this type.
        let ep = unsafe { Box::from_raw(ep.cast::<Self>()) };
        guard(|| (), || drop(ep));
    }
}

impl Late {
    /// The provider of the session that a kernel of its operators is created in.
    pub fn provider<'a, P: Provider>(self, info: &KernelInfo<'a>) -> Result<&'a P, OrtError> {
        let mut ep = ptr::null();
        // SAFETY: `info` is valid and `ep` outlives the call.
        self.api.check(unsafe { (self.provider.KernelInfo_GetEp)(info.raw(), &mut ep) })?;
        // SAFETY: the operators are registered for this provider alone, and no session has two of one name; it outlives
        // its kernels' creation.
        let ep = unsafe { ep.cast::<Ep<P>>().as_ref() };
        ep.map(|ep| &ep.provider).ok_or_else(|| OrtError("a kernel has no execution provider".into()))
    }
}

unsafe extern "system" fn name<P: Provider>(_: *const EpTable) -> *const c_char {
    P::NAME.as_ptr()
}

unsafe extern "system" fn take_nodes<P: Provider>(
    ep: *mut EpTable,
    graph: *const Opaque,
    support: *mut Opaque,
) -> OrtStatusPtr {
    // SAFETY: `ep` is the first field of an `Ep<P>`.
    let late = unsafe { &*ep.cast::<Ep<P>>() }.late;
    // SAFETY: graph and support are valid for this call.
    late.answer(|| Ok(unsafe { late.take(P::DOMAIN, graph, support) }?))
}

impl Late {
    /// Takes the nodes of `domain` in a graph, each by itself.
    ///
    /// # Safety
    ///
    /// `graph` and `support` are valid.
    unsafe fn take(self, domain: &CStr, graph: *const Opaque, support: *mut Opaque) -> Result<(), OrtError> {
        let mut count = 0;
        // SAFETY: the graph is valid and `count` outlives the call.
        self.api.check(unsafe { (self.table.Graph_GetNumNodes)(graph, &mut count) })?;
        let mut nodes = vec![ptr::null(); count];
        // SAFETY: there is room for `count` nodes.
        self.api.check(unsafe { (self.table.Graph_GetNodes)(graph, nodes.as_mut_ptr(), count) })?;
        for node in nodes {
            let mut own = ptr::null();
            // SAFETY: the node is the graph's, and `own` outlives the call.
            self.api.check(unsafe { (self.table.Node_GetDomain)(node, &mut own) })?;
            // SAFETY: a domain's name is a text that lives as long as its node.
            if !own.is_null() && unsafe { CStr::from_ptr(own) } == domain {
                // SAFETY: the node is the graph's.
                self.api.check(unsafe { (self.provider.EpGraphSupportInfo_AddSingleNode)(support, node) })?;
            }
        }
        Ok(())
    }
}

unsafe extern "system" fn compile<P: Provider>(
    ep: *mut EpTable,
    _: *mut *const Opaque,
    _: *mut *const Opaque,
    _: usize,
    _: *mut *mut Opaque,
    _: *mut *mut Opaque,
) -> OrtStatusPtr {
    // SAFETY: `ep` is the first field of an `Ep<P>`.
    let late = unsafe { &*ep.cast::<Ep<P>>() }.late;
    late.answer(|| Err(Problem::new(Code::Internal, "the execution provider compiles nothing")))
}

unsafe extern "system" fn nothing_to_release(_: *mut EpTable, _: *mut *mut Opaque, _: usize) {}

unsafe extern "system" fn change<P: Provider>(
    ep: *mut EpTable,
    keys: *const *const c_char,
    values: *const *const c_char,
    count: usize,
) -> OrtStatusPtr {
    // SAFETY: `ep` is the first field of an `Ep<P>`.
    let ep = unsafe { &*ep.cast::<Ep<P>>() };
    ep.late.answer(|| {
        (0..count).try_for_each(|index| {
            // SAFETY: there are `count` texts in both arrays.
            let (key, value) = unsafe { (text(*keys.add(index)), text(*values.add(index))) };
            ep.provider.change(&key, &value)
        })
    })
}

unsafe extern "system" fn begin<P: Provider>(ep: *mut EpTable, options: *const OrtRunOptions) -> OrtStatusPtr {
    // SAFETY: `ep` is the first field of an `Ep<P>`; the options are valid until the run is over.
    let (ep, raw) = unsafe { (&*ep.cast::<Ep<P>>(), &*options) };
    ep.late.answer(|| {
        ep.provider.begin(&RunOptions::new(ep.late, raw))?;
        terminating::begin(ep.late.api, options, &ep.asking);
        Ok(())
    })
}

unsafe extern "system" fn end<P: Provider>(ep: *mut EpTable, options: *const OrtRunOptions, _: bool) -> OrtStatusPtr {
    // SAFETY: `ep` is the first field of an `Ep<P>`; the options are valid for this call.
    let (ep, raw) = unsafe { (&*ep.cast::<Ep<P>>(), &*options) };
    ep.late.answer(|| {
        ep.provider.end(&RunOptions::new(ep.late, raw));
        terminating::end(options);
        Ok(())
    })
}
