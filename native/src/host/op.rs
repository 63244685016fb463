//! The operators of the domain, declared once.

use std::ffi::CStr;

use crate::host::audit::{Audit, Draw};
use crate::host::begin::{Await, Begin, Cancel};
use crate::host::invoke::Invoke;
use crate::host::slot::ScopeSlot;
use crate::ort::table::{Kernel, Operator, OrtCustomOp};

/// The domain of every operator.
pub const DOMAIN: &CStr = c"ai.onnxhybrid";

/// Execution providers that the operators are registered for; `None` is the CPU's.
pub const PROVIDERS: &[Option<&CStr>] = &[None, Some(c"AzureExecutionProvider")];

/// The tables of one registration for these execution providers; they live as long as the process, as the sessions that
/// use them may.
pub fn tables(providers: &[Option<&'static CStr>], slot: &'static ScopeSlot) -> Vec<&'static OrtCustomOp> {
    let tables = |provider| {
        [
            table::<Invoke>(c"Invoke", provider, slot),
            table::<Begin>(c"Begin", provider, slot),
            table::<Await>(c"Await", provider, slot),
            table::<Cancel>(c"Cancel", provider, slot),
            table::<Draw>(c"Draw", provider, slot),
            table::<Audit>(c"Audit", provider, slot),
        ]
    };
    providers.iter().copied().flat_map(tables).collect()
}

fn table<K: Kernel<Shared = ScopeSlot>>(
    name: &'static CStr,
    provider: Option<&'static CStr>,
    slot: &'static ScopeSlot,
) -> &'static OrtCustomOp {
    Box::leak(Box::new(Operator::<K>::new(name, provider, slot))).table()
}
