//! What ONNX Runtime declares for plugin execution providers, and `ort-sys` does not: of version 24 of the C API.
//!
//! All tables but the provider's own are ONNX Runtime's. They only grow at their end, so that a later one begins like
//! these; what lies between the functions that are used is left out.
#![allow(non_snake_case)]

use std::ffi::{c_char, c_int, c_void};

use ort_sys::{OrtCustomOpDomain, OrtKernelInfo, OrtRunOptions, OrtSessionOptions, OrtStatusPtr};

/// Something of ONNX Runtime's that is only passed on.
#[repr(C)]
pub struct Opaque([u8; 0]);

/// Of `OrtApi`, the functions that `ort-sys` does not declare for the version that the operators need.
#[repr(C)]
pub struct LateApi {
    _before_key_values: [usize; 295],
    pub CreateKeyValuePairs: unsafe extern "system" fn(*mut *mut Opaque),
    pub AddKeyValuePair: unsafe extern "system" fn(*mut Opaque, *const c_char, *const c_char),
    _get_key_value: usize,
    pub GetKeyValuePairs:
        unsafe extern "system" fn(*const Opaque, *mut *const *const c_char, *mut *const *const c_char, *mut usize),
    _remove_key_value: usize,
    pub ReleaseKeyValuePairs: unsafe extern "system" fn(*mut Opaque),
    _before_device_type: [usize; 6],
    pub HardwareDevice_Type: unsafe extern "system" fn(*const Opaque) -> c_int,
    _before_ep_api: [usize; 9],
    pub GetEpApi: unsafe extern "system" fn() -> *const EpApi,
    _before_nodes: [usize; 26],
    pub Graph_GetNumNodes: unsafe extern "system" fn(*const Opaque, *mut usize) -> OrtStatusPtr,
    pub Graph_GetNodes: unsafe extern "system" fn(*const Opaque, *mut *const Opaque, usize) -> OrtStatusPtr,
    _before_node_domain: [usize; 5],
    pub Node_GetDomain: unsafe extern "system" fn(*const Opaque, *mut *const c_char) -> OrtStatusPtr,
    _before_run_entry: [usize; 21],
    pub GetRunConfigEntry: unsafe extern "system" fn(*const OrtRunOptions, *const c_char) -> *const c_char,
    _before_session_entries: [usize; 5],
    pub GetSessionOptionsConfigEntries:
        unsafe extern "system" fn(*const OrtSessionOptions, *mut *mut Opaque) -> OrtStatusPtr,
}

/// `OrtEpApi`.
#[repr(C)]
pub struct EpApi {
    pub CreateEpDevice: unsafe extern "system" fn(
        *mut FactoryTable,
        *const Opaque,
        *const Opaque,
        *const Opaque,
        *mut *mut Opaque,
    ) -> OrtStatusPtr,
    _release_and_fuse: [usize; 2],
    pub EpGraphSupportInfo_AddSingleNode: unsafe extern "system" fn(*mut Opaque, *const Opaque) -> OrtStatusPtr,
    _before_ep: [usize; 39],
    pub KernelInfo_GetEp: unsafe extern "system" fn(*const OrtKernelInfo, *mut *const EpTable) -> OrtStatusPtr,
}

/// A function that this library leaves out.
pub type Absent = Option<unsafe extern "system" fn()>;

/// `OrtEp`: a session's execution provider.
#[repr(C)]
#[derive(Default)]
pub struct EpTable {
    pub ort_version_supported: u32,
    pub GetName: Option<unsafe extern "system" fn(*const EpTable) -> *const c_char>,
    pub GetCapability: Option<unsafe extern "system" fn(*mut EpTable, *const Opaque, *mut Opaque) -> OrtStatusPtr>,
    pub Compile: Option<
        unsafe extern "system" fn(
            *mut EpTable,
            *mut *const Opaque,
            *mut *const Opaque,
            usize,
            *mut *mut Opaque,
            *mut *mut Opaque,
        ) -> OrtStatusPtr,
    >,
    pub ReleaseNodeComputeInfos: Option<unsafe extern "system" fn(*mut EpTable, *mut *mut Opaque, usize)>,
    pub GetPreferredDataLayout: Absent,
    pub ShouldConvertDataLayoutForOp: Absent,
    pub SetDynamicOptions: Option<
        unsafe extern "system" fn(*mut EpTable, *const *const c_char, *const *const c_char, usize) -> OrtStatusPtr,
    >,
    pub OnRunStart: Option<unsafe extern "system" fn(*mut EpTable, *const OrtRunOptions) -> OrtStatusPtr>,
    pub OnRunEnd: Option<unsafe extern "system" fn(*mut EpTable, *const OrtRunOptions, bool) -> OrtStatusPtr>,
    pub CreateAllocator: Absent,
    pub CreateSyncStreamForDevice: Absent,
    pub GetCompiledModelCompatibilityInfo: Absent,
    pub GetKernelRegistry: Absent,
    pub IsConcurrentRunSupported: Absent,
}

/// `OrtEpFactory`: what makes sessions their execution providers.
#[repr(C)]
#[derive(Default)]
pub struct FactoryTable {
    pub ort_version_supported: u32,
    pub GetName: Option<unsafe extern "system" fn(*const FactoryTable) -> *const c_char>,
    pub GetVendor: Option<unsafe extern "system" fn(*const FactoryTable) -> *const c_char>,
    pub GetSupportedDevices: Option<
        unsafe extern "system" fn(
            *mut FactoryTable,
            *const *const Opaque,
            usize,
            *mut *mut Opaque,
            usize,
            *mut usize,
        ) -> OrtStatusPtr,
    >,
    pub CreateEp: Option<
        unsafe extern "system" fn(
            *mut FactoryTable,
            *const *const Opaque,
            *const *const Opaque,
            usize,
            *const OrtSessionOptions,
            *const c_void,
            *mut *mut EpTable,
        ) -> OrtStatusPtr,
    >,
    pub ReleaseEp: Option<unsafe extern "system" fn(*mut FactoryTable, *mut EpTable)>,
    pub GetVendorId: Option<unsafe extern "system" fn(*const FactoryTable) -> u32>,
    pub GetVersion: Option<unsafe extern "system" fn(*const FactoryTable) -> *const c_char>,
    pub ValidateCompiledModelCompatibilityInfo: Absent,
    pub CreateAllocator: Option<
        unsafe extern "system" fn(*mut FactoryTable, *const Opaque, *const Opaque, *mut *mut Opaque) -> OrtStatusPtr,
    >,
    pub ReleaseAllocator: Option<unsafe extern "system" fn(*mut FactoryTable, *mut Opaque)>,
    pub CreateDataTransfer: Option<unsafe extern "system" fn(*mut FactoryTable, *mut *mut Opaque) -> OrtStatusPtr>,
    pub IsStreamAware: Option<unsafe extern "system" fn(*const FactoryTable) -> bool>,
    pub CreateSyncStreamForDevice: Absent,
    pub GetHardwareDeviceIncompatibilityDetails: Absent,
    pub CreateExternalResourceImporterForDevice: Absent,
    pub GetNumCustomOpDomains: Option<unsafe extern "system" fn(*mut FactoryTable, *mut usize) -> OrtStatusPtr>,
    pub GetCustomOpDomains:
        Option<unsafe extern "system" fn(*mut FactoryTable, *mut *mut OrtCustomOpDomain, usize) -> OrtStatusPtr>,
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    /// The places that `onnxruntime_c_api.h` and `onnxruntime_ep_c_api.h` give them; the API never changes one.
    #[test]
    fn functions_are_where_the_headers_have_them() {
        let place = |offset: usize| offset / size_of::<usize>();
        let late = [
            (offset_of!(LateApi, CreateKeyValuePairs), 295),
            (offset_of!(LateApi, GetKeyValuePairs), 298),
            (offset_of!(LateApi, ReleaseKeyValuePairs), 300),
            (offset_of!(LateApi, HardwareDevice_Type), 307),
            (offset_of!(LateApi, GetEpApi), 317),
            (offset_of!(LateApi, Graph_GetNumNodes), 344),
            (offset_of!(LateApi, Node_GetDomain), 351),
            (offset_of!(LateApi, GetRunConfigEntry), 373),
            (offset_of!(LateApi, GetSessionOptionsConfigEntries), 379),
        ];
        let provider = [
            (offset_of!(EpApi, EpGraphSupportInfo_AddSingleNode), 3),
            (offset_of!(EpApi, KernelInfo_GetEp), 43),
            (offset_of!(EpTable, OnRunStart), 8),
            (size_of::<EpTable>(), 15),
            (offset_of!(FactoryTable, GetCustomOpDomains), 17),
        ];
        for (offset, expected) in late.into_iter().chain(provider) {
            assert_eq!(place(offset), expected);
        }
    }
}
