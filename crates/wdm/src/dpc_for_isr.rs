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
    dpc::{DpcArgument, check, from_raw, into_raw},
    error::Error,
    irql::{Dirql, Dispatch, Irql},
    queue::Serial,
};

/// What a [`DpcForIsr`] does when it runs: an `IO_DPC_ROUTINE`.
pub trait DpcForIsrRoutine: 'static {
    /// The device that the DPC belongs to.
    type Device: DeviceExtension;
    /// What [`request`](DpcForIsr::request) hands over beside the IRP: the `Context` of `IoRequestDpc`. `()` for nothing.
    type Context: DpcArgument;

    /// Runs at `DISPATCH_LEVEL` after an ISR of the device has asked for it, with what that has handed over.
    ///
    /// `then` says which IRP was current when it was asked for. That one may have been cancelled since, and be gone, and another one be current. So
    /// the routine does not get the IRP: it has to win it, by [`StartIoQueue::finish_current`](crate::StartIoQueue::finish_current), which
    /// says no if it is not the current one any more. Then the interrupt may also have been for the one that is current now: the request for its
    /// DPC coalesced with the earlier one.
    fn run(device: &Self::Device, then: Option<Serial>, context: Self::Context, irql: &mut Irql<Dispatch>);
}

/// The DPC in the device object, which the ISR asks for: `IoInitializeDpcRequest` and `IoRequestDpc`. A device has one. See
/// [which type of DPC](crate::dpc) to use; [`StartIoQueue`](crate::StartIoQueue) has an example with requests.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{DpcForIsr, DpcForIsrRoutine, Irql, Serial, irql::{Dirql, Dispatch}};
///
/// /// What the ISR leaves for later: it hands over what it has read.
/// enum Later {}
///
/// impl DpcForIsrRoutine for Later {
///     type Device = Device;
///     type Context = u32;
///
///     fn run(device: &Device, _then: Option<Serial>, status: u32, irql: &mut Irql<Dispatch>) {
///         if status & 1 != 0 {
///             device.idle.set(irql);
///         }
///     }
/// }
///
/// /// In the ISR. This device has no StartIo queue, so there is no current IRP.
/// fn ask(dpc: &DpcForIsr<Later>, status: u32, irql: &mut Irql<Dirql>) {
///     dpc.request(None, status, irql);
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
        device.place(this, move || {
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

    /// Asks for the DPC; `false` if it is asked for already, and runs once then, with what the first call has handed over; or if the device is being
    /// torn down.
    ///
    /// `then` is the IRP that the interrupt is for, as far as an ISR can tell: [`StartIoQueue::current_serial`](crate::StartIoQueue::current_serial).
    /// It is handed over by its number, where `IoRequestDpc` has its address: at that there may be another IRP by the time that the DPC runs.
    ///
    /// From an ISR only, as the documentation of `IoRequestDpc` demands. DDI: `IoRequestDpc`, which is an inline function over `KeInsertQueueDpc`.
    pub fn request(&self, then: Option<Serial>, context: R::Context, _irql: &mut Irql<Dirql>) -> bool {
        const { check::<R::Context>() };
        // SAFETY: the header outlives everything in the extension.
        let header = unsafe { self.header.as_ref() };
        if !header.is_open() {
            return false;
        }
        let irp = into_raw(Serial::number_of(then));
        // SAFETY: the DPC is initialised, and stays so until removal has waited for it to have run.
        let inserted = unsafe { KeInsertQueueDpc(device_object_dpc(header).as_ptr(), irp, into_raw(context)) };
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
    irp: *mut c_void,
    context: *mut c_void,
) {
    // SAFETY: the context is the device object, which exists until the DPC is off its queue.
    let Some(extension) = (unsafe { Extension::<R::Device>::of(device.cast()) }) else {
        return;
    };
    // SAFETY: the DPC is asked for only after AddDevice has initialised the extension, and teardown waits for it.
    let device = unsafe { Extension::data(extension) };
    // SAFETY: the kernel runs a deferred routine at DISPATCH_LEVEL.
    let mut irql = unsafe { Irql::<Dispatch>::assume() };
    R::run(device, Serial::from_number(from_raw(irp)), from_raw(context), &mut irql);
}

impl<R> fmt::Debug for DpcForIsr<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpcForIsr").finish_non_exhaustive()
    }
}
