//! The operators of the domain, declared once.

use std::ffi::CStr;

use crate::invoke::Invoke;
use crate::ort::table::{Operator, OrtCustomOp};
use crate::register::ScopeSlot;

/// The domain of every operator.
pub const DOMAIN: &CStr = c"ai.onnxhybrid";

/// Execution providers that the operators are registered for; `None` is the CPU's.
const PROVIDERS: [Option<&CStr>; 2] = [None, Some(c"AzureExecutionProvider")];

/// The tables of one registration; they live as long as the process, as the sessions that use them may.
pub fn tables(slot: &'static ScopeSlot) -> Vec<&'static OrtCustomOp> {
    let invoke = |provider| Box::leak(Box::new(Operator::<Invoke>::new(c"Invoke", provider, slot))).table();
    PROVIDERS.into_iter().map(invoke).collect()
}
