//! The device object's own DPC: the *DpcForIsr*.

use core::ffi::c_void;
use core::fmt;
use core::marker::{PhantomData, PhantomPinned};
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::{
    KDPC,
    ntddk::{KeInitializeDpc, KeInsertQueueDpc},
};

use crate::{
    device::{DeviceExtension, DeviceInit, Extension, Header},
    error::Error,
    irql::{Dirql, Dispatch, Irql},
};

/// What a [`DpcForIsr`] does when it runs: an `IO_DPC_ROUTINE`.
pub trait DpcForIsrRoutine: 'static {
    /// The device that the DPC belongs to.
    type Device: DeviceExtension;

    /// Runs at `DISPATCH_LEVEL` after an ISR of the device has asked for it.
    ///
    /// It gets no IRP: that of the request may have been cancelled, and be gone, by the time it runs. The current one is to be had from
    /// the [`StartIoQueue`](crate::StartIoQueue).
    fn run(device: &Self::Device, irql: &mut Irql<Dispatch>);
}

/// The DPC in the device object, which the ISR asks for: `IoInitializeDpcRequest` and `IoRequestDpc`. A device has one.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{DpcForIsr, DpcForIsrRoutine, Irql, irql::{Dirql, Dispatch}};
///
/// /// What the ISR leaves for later.
/// enum Later {}
///
/// impl DpcForIsrRoutine for Later {
///     type Device = Device;
///
///     fn run(device: &Device, irql: &mut Irql<Dispatch>) {
///         device.idle.set(irql);
///     }
/// }
///
/// /// In the ISR.
/// fn ask(dpc: &DpcForIsr<Later>, irql: &mut Irql<Dirql>) {
///     dpc.request(irql);
/// }
/// # fn main() {}
/// ```
///
/// See [Writing DpcForIsr Routines](https://learn.microsoft.com/windows-hardware/drivers/kernel/writing-a-dpcforisr-routine).
pub struct DpcForIsr<R> {
    header: NonNull<Header>,
    routine: PhantomData<fn(R)>,
    _pinned: PhantomPinned,
}

// SAFETY: the DPC is in the device object and is made to be queued by several processors at a time. The header is `Sync`.
unsafe impl<R> Sync for DpcForIsr<R> {}
// SAFETY: it belongs to no thread.
unsafe impl<R> Send for DpcForIsr<R> {}

impl<R: DpcForIsrRoutine> DpcForIsr<R> {
    /// Initialises the device object's DPC. DDI: `IoInitializeDpcRequest`, which is an inline function over `KeInitializeDpc`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INVALID_DEVICE_STATE` for a second one.
    pub fn new(device: &DeviceInit<'_, R::Device>) -> impl PinInit<Self, Error> {
        let this = Self {
            header: device.header(),
            routine: PhantomData,
            _pinned: PhantomPinned,
        };
        device.place(this, move |_| {
            // SAFETY: the header is initialised before the initialiser of the driver's value runs.
            let header = unsafe { device.header().as_ref() };
            if header.has_dpc_for_isr.replace(true) {
                return Err(Error::INVALID_DEVICE_STATE);
            }
            let dpc = device_object_dpc(header);
            let context = header.device().as_ptr().cast();
            // SAFETY: the DPC is in the device object, which exists until teardown has taken the DPC off its queue.
            unsafe { KeInitializeDpc(dpc.as_ptr(), Some(trampoline::<R>), context) };
            Ok(())
        })
    }

    /// Asks for the DPC; `false` if it is asked for already (it runs once then), or if the device is being torn down. From an ISR only,
    /// as the documentation of `IoRequestDpc` demands. DDI: `IoRequestDpc`, which is an inline function over `KeInsertQueueDpc`.
    pub fn request(&self, _irql: &mut Irql<Dirql>) -> bool {
        // SAFETY: the header outlives everything in the extension.
        let header = unsafe { self.header.as_ref() };
        if !header.is_open() {
            return false;
        }
        // SAFETY: the DPC is initialised, and stays so until removal has taken it off its queue. The arguments are not used.
        let inserted = unsafe {
            KeInsertQueueDpc(
                device_object_dpc(header).as_ptr(),
                core::ptr::null_mut(),
                core::ptr::null_mut(),
            )
        };
        inserted != 0
    }
}

/// `DeviceObject->Dpc`.
fn device_object_dpc(header: &Header) -> NonNull<KDPC> {
    // SAFETY: only an address is computed, within the device object.
    let dpc = unsafe { &raw mut (*header.device().as_ptr()).Dpc };
    // SAFETY: a field of a valid object is not null.
    unsafe { NonNull::new_unchecked(dpc) }
}

/// # Safety
/// To be called by the kernel only, for the DPC of a device object with a [`DpcForIsr<R>`].
unsafe extern "C" fn trampoline<R: DpcForIsrRoutine>(
    _dpc: *mut KDPC,
    device: *mut c_void,
    _irp: *mut c_void,
    _context: *mut c_void,
) {
    // SAFETY: the context is the device object, which exists until the DPC is off its queue.
    let Some(extension) = (unsafe { Extension::<R::Device>::of(device.cast()) }) else {
        return;
    };
    // SAFETY: the DPC is asked for only after AddDevice has initialised the extension, and teardown waits for it.
    let device = unsafe { Extension::data(extension) };
    // SAFETY: the kernel runs a deferred routine at DISPATCH_LEVEL.
    let mut irql = unsafe { Irql::<Dispatch>::assume() };
    R::run(device, &mut irql);
}

impl<R> fmt::Debug for DpcForIsr<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpcForIsr").finish_non_exhaustive()
    }
}
