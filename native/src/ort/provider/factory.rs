//! The factory of execution providers, as ONNX Runtime calls it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::sync::Once;

use ort_sys::{OrtApiBase, OrtCustomOpDomain, OrtSessionOptions, OrtStatusPtr};

use super::Provider;
use super::ep::Ep;
use super::late::{API_VERSION, Late, version};
use super::tables::{EpTable, FactoryTable, Opaque};
use crate::failure::{Code, Failure, Problem};
use crate::ort::{Api, Domain, OrtError, announce, success};

/// The type of the device that the provider runs on, `OrtHardwareDeviceType_CPU`.
const CPU: c_int = 0;

/// What makes the sessions of one runtime their providers. It is never freed: sessions may outlive its registration.
#[repr(C)]
pub struct Factory<P> {
    /// Must come first: ONNX Runtime hands out its address as the factory's.
    table: FactoryTable,
    late: Late,
    domain: Domain,
    /// Done before the first session: those that open side by side would each add the domain.
    announced: Once,
    makes: PhantomData<fn() -> P>,
}

/// Where ONNX Runtime wants factories to be put.
#[repr(transparent)]
pub struct Slots(*mut *mut FactoryTable);

/// Gives ONNX Runtime the factory that `find` has for the runtime, as `CreateEpFactories` is called to do.
pub fn creating<P: Provider>(
    base: Option<&OrtApiBase>,
    slots: Slots,
    most: usize,
    count: Option<&mut usize>,
    find: impl FnOnce(Late) -> Result<&'static Factory<P>, OrtError>,
) -> OrtStatusPtr {
    let (Some(base), Some(count)) = (base, count) else { return success() };
    let Some(late) = Late::of(base) else { return too_old(base) };
    *count = 0;
    if most == 0 || slots.0.is_null() {
        return success();
    }
    late.answer(|| {
        let factory = find(late)?;
        // SAFETY: there is room for one factory. ONNX Runtime changes none, and gives it back to its own functions.
        unsafe { *slots.0 = ptr::from_ref(factory).cast_mut().cast() };
        *count = 1;
        Ok(())
    })
}

/// Tables only ever grow at their end, and a status is in the first of them.
fn too_old(base: &OrtApiBase) -> OrtStatusPtr {
    let message = format!(
        "onnxhybrid is an execution provider for ONNX Runtime 1.{API_VERSION} and later, and this is {}: register the \
         operators of this library instead, with RegisterCustomOpsLibrary of the session's options",
        version(base)
    );
    let failure = Failure::without_node(Problem::new(Code::NoProviders, message));
    Api::of_version(base, 1).map_or_else(success, |api| api.status(&failure.to_string()))
}

impl<P: Provider> Factory<P> {
    /// The factory for the runtime of `late`.
    pub fn new(late: Late) -> Result<Self, OrtError> {
        let table = FactoryTable {
            ort_version_supported: API_VERSION,
            GetName: Some(name::<P>),
            GetVendor: Some(vendor),
            GetSupportedDevices: Some(devices::<P>),
            CreateEp: Some(create::<P>),
            ReleaseEp: Some(release::<P>),
            GetVendorId: Some(vendor_id),
            GetVersion: Some(own_version),
            CreateAllocator: Some(no_allocator),
            ReleaseAllocator: Some(nothing_to_release),
            CreateDataTransfer: Some(no_transfer),
            IsStreamAware: Some(no_streams),
            GetNumCustomOpDomains: Some(one_domain),
            GetCustomOpDomains: Some(domains::<P>),
            ..FactoryTable::default()
        };
        Ok(Self { table, late, domain: P::domain(late)?, announced: Once::new(), makes: PhantomData })
    }

    /// The runtime that it is for.
    pub fn api(&self) -> Api {
        self.late.api
    }
}

unsafe extern "system" fn name<P: Provider>(_: *const FactoryTable) -> *const c_char {
    P::NAME.as_ptr()
}

unsafe extern "system" fn vendor(_: *const FactoryTable) -> *const c_char {
    c"onnxhybrid".as_ptr()
}

unsafe extern "system" fn vendor_id(_: *const FactoryTable) -> u32 {
    0 // of no vendor of devices
}

unsafe extern "system" fn own_version(_: *const FactoryTable) -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    VERSION.as_ptr()
}

/// The first CPU; it marks the sessions that it is appended to.
unsafe extern "system" fn devices<P: Provider>(
    factory: *mut FactoryTable,
    devices: *const *const Opaque,
    count: usize,
    found: *mut *mut Opaque,
    most: usize,
    found_count: *mut usize,
) -> OrtStatusPtr {
    // SAFETY: `factory` is the first field of a `Factory<P>`.
    let late = unsafe { &*factory.cast::<Factory<P>>() }.late;
    late.answer(|| {
        // SAFETY: there are `count` devices, and room for one number.
        let mut devices = unsafe {
            *found_count = 0;
            (0..count).map(|index| *devices.add(index))
        };
        // SAFETY: the devices are valid.
        let cpu = devices.find(|device| unsafe { (late.table.HardwareDevice_Type)(*device) } == CPU);
        let Some(cpu) = cpu.filter(|_| most > 0) else { return Ok(()) };
        let mut options = ptr::null_mut();
        // SAFETY: the options are ours, of texts that are copied. The device is ONNX Runtime's from then on; it is
        // put where there is room for at least one.
        let created = unsafe {
            (late.table.CreateKeyValuePairs)(&mut options);
            (late.table.AddKeyValuePair)(options, P::MARK.as_ptr(), c"1".as_ptr());
            let created = (late.provider.CreateEpDevice)(factory, cpu, ptr::null(), options, found);
            (late.table.ReleaseKeyValuePairs)(options);
            created
        };
        late.api.check(created)?;
        // SAFETY: as above.
        unsafe { *found_count = 1 };
        Ok(())
    })
}

unsafe extern "system" fn create<P: Provider>(
    factory: *mut FactoryTable,
    _: *const *const Opaque,
    _: *const *const Opaque,
    _: usize,
    options: *const OrtSessionOptions,
    _: *const c_void,
    ep: *mut *mut EpTable,
) -> OrtStatusPtr {
    // SAFETY: `factory` is the first field of a `Factory<P>`.
    let late = unsafe { &*factory.cast::<Factory<P>>() }.late;
    late.answer(|| {
        // SAFETY: the options are valid for this call.
        let entries = unsafe { late.entries(options) }?;
        let provider = P::create(&entries)?;
        // SAFETY: there is room for one provider.
        unsafe { *ep = Ep::create(late, provider) };
        Ok(())
    })
}

unsafe extern "system" fn release<P: Provider>(_: *mut FactoryTable, ep: *mut EpTable) {
    if !ep.is_null() {
        // SAFETY: `create` made it, and ONNX Runtime gives it back once.
        unsafe { Ep::<P>::release(ep) };
    }
}

unsafe extern "system" fn no_allocator(
    _: *mut FactoryTable,
    _: *const Opaque,
    _: *const Opaque,
    allocator: *mut *mut Opaque,
) -> OrtStatusPtr {
    // SAFETY: there is room for one pointer.
    unsafe { *allocator = ptr::null_mut() };
    success()
}

unsafe extern "system" fn nothing_to_release(_: *mut FactoryTable, _: *mut Opaque) {}

unsafe extern "system" fn no_transfer(_: *mut FactoryTable, transfer: *mut *mut Opaque) -> OrtStatusPtr {
    // SAFETY: there is room for one pointer.
    unsafe { *transfer = ptr::null_mut() };
    success()
}

unsafe extern "system" fn no_streams(_: *const FactoryTable) -> bool {
    false
}

unsafe extern "system" fn one_domain(_: *mut FactoryTable, count: *mut usize) -> OrtStatusPtr {
    // SAFETY: there is room for one number.
    unsafe { *count = 1 };
    success()
}

unsafe extern "system" fn domains<P: Provider>(
    factory: *mut FactoryTable,
    domains: *mut *mut OrtCustomOpDomain,
    most: usize,
) -> OrtStatusPtr {
    // SAFETY: `factory` is the first field of a `Factory<P>`, which is never freed.
    let factory = unsafe { &*factory.cast::<Factory<P>>() };
    // Where it fails, sessions still open; but for one of those that are the first and open side by side.
    factory.announced.call_once(|| drop(announce(factory.late.api, &factory.domain)));
    if most > 0 {
        // SAFETY: there is room for one domain.
        unsafe { *domains = factory.domain.0 };
    }
    success()
}
