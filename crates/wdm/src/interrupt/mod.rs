//! Interrupts.

mod connection;

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::mem::{MaybeUninit, needs_drop};
use core::ptr::NonNull;

pub(crate) use connection::Connection;
use connection::{connect_line, connect_messages};
use pinned_init::PinInit;
use wdk_sys::{BOOLEAN, KSPIN_LOCK, PKINTERRUPT, ULONG, ntddk::KeSynchronizeExecution};

use crate::{
    device::{DeviceExtension, DeviceInit, Extension, Handle, KernelObject, Object},
    error::{Error, Result},
    irql::{AtMostDispatch, Dirql, Irql, Passive},
    resources::InterruptResource,
};

/// Whether an interrupt was the device's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The device interrupted, and has been made to stop: the ISR returns `TRUE`.
    Claimed,
    /// Another device on the line did, or the cause of a message is gone already: the ISR returns `FALSE`, and has written nothing.
    NotOurs,
}

/// What a driver does when its device interrupts: an `InterruptService` routine (ISR).
pub trait InterruptService: 'static {
    /// The device that the interrupt object belongs to.
    type Device: DeviceExtension;
    /// What the ISR shares with nobody, or by [`Interrupt::synchronize`] only: it is touched under the interrupt spin lock alone.
    /// Plain data: a type that does something when it is dropped is refused when `connect` is compiled.
    type State: Send + 'static;

    /// Runs at the device's IRQL under the interrupt spin lock. On a shared line it is called for other devices' interrupts too; a message may
    /// come when its cause has been seen with the one before.
    fn service(device: &Self::Device, state: &mut Self::State, irql: &mut Irql<Dirql>) -> Claim;
}

/// An interrupt of the device, with the state of its ISR.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{Claim, Interrupt, InterruptService, Irql, irql::{Dirql, Dispatch}};
///
/// const INTERRUPT_STATUS: usize = 0x24;
/// const ACKNOWLEDGE: usize = 0x64;
///
/// /// The device's interrupt, which notes why it came.
/// enum Isr {}
///
/// impl InterruptService for Isr {
///     type Device = Device;
///     type State = u32;
///
///     fn service(device: &Device, causes: &mut u32, _irql: &mut Irql<Dirql>) -> Claim {
///         let came = device.registers.with(|registers| {
///             let came = registers.read32::<INTERRUPT_STATUS>();
///             if came != 0 {
///                 registers.write32::<ACKNOWLEDGE>(came);
///             }
///             came
///         });
///         match came {
///             Some(came) if came != 0 => {
///                 *causes |= came;
///                 device.dpc.queue((), ());
///                 Claim::Claimed
///             }
///             _ => Claim::NotOurs,
///         }
///     }
/// }
///
/// /// In the DPC: what has come since the last time.
/// fn take_causes(interrupt: &Interrupt<Isr>, irql: &mut Irql<Dispatch>) -> u32 {
///     interrupt.synchronize(irql, |causes, _| core::mem::take(causes)).unwrap_or(0)
/// }
/// # fn main() {}
/// ```
///
/// See [Introduction to Interrupt Service Routines](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-interrupt-service-routines).
pub struct Interrupt<S: InterruptService>(Handle<InterruptCore<S>>);

/// The connection, and what the ISR is called with.
struct InterruptCore<S: InterruptService> {
    connection: Connection,
    /// The interrupt spin lock of a device with messages. A line's is the system's own.
    lock: UnsafeCell<KSPIN_LOCK>,
    state: UnsafeCell<MaybeUninit<S::State>>,
    extension: NonNull<Extension<S::Device>>,
}

// SAFETY: the state is touched under the interrupt spin lock only, by one processor at a time, hence `State: Send`, which the trait
// demands; before `connect` and after `disconnect` it is touched by those alone. The rest is `Sync`.
unsafe impl<S: InterruptService> Sync for InterruptCore<S> {}

impl<S: InterruptService> KernelObject for InterruptCore<S> {
    fn object(&self) -> Object {
        Object::Interrupt(NonNull::from(&self.connection))
    }
}

impl<S: InterruptService> Interrupt<S> {
    /// An interrupt that is not connected.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(device: &DeviceInit<'_, S::Device>) -> impl PinInit<Self, Error> {
        let unconnected = InterruptCore {
            connection: Connection::new(),
            lock: UnsafeCell::new(0),
            state: UnsafeCell::new(MaybeUninit::uninit()),
            extension: device.extension(),
        };
        device.object(unconnected, Self, |_, _irql| Ok(()))
    }

    /// Connects the ISR to the device's line, or to its messages, with `state` as the first state that it sees. The ISR may run before this
    /// returns.
    ///
    /// A device may have several messages. One lock is held for all of them, so that the ISR runs for one at a time.
    ///
    /// IRQL: `PASSIVE_LEVEL`. DDIs: `IoConnectInterrupt`; `IoConnectInterruptEx` with `CONNECT_MESSAGE_BASED` for messages.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` if it is connected; `STATUS_NOT_SUPPORTED` for an interrupt of `PASSIVE_LEVEL`, whose ISR would have neither
    /// the IRQL nor the spin lock that [`InterruptService`] is promised; what the DDI returns, such as `STATUS_INSUFFICIENT_RESOURCES` or
    /// `STATUS_INVALID_PARAMETER`.
    pub fn connect(&self, resource: &InterruptResource<'_>, state: S::State, irql: &mut Irql<Passive>) -> Result<()> {
        const { assert!(!needs_drop::<S::State>(), "the state of an ISR is plain data") };
        if resource.is_passive_level() {
            return Err(Error::NOT_SUPPORTED);
        }
        let core: &InterruptCore<S> = &self.0;
        if !core.connection.begin() {
            return Err(Error::INVALID_DEVICE_STATE);
        }
        // SAFETY: no ISR is connected, and no other call of `connect` got here: nobody else touches the state.
        let slot = unsafe { &mut *core.state.get() };
        slot.write(state);
        let context = core::ptr::from_ref(core).cast_mut().cast();
        let object = if resource.is_message_signaled() {
            // SAFETY: the header lies at the start of the extension.
            let pdo = unsafe { Extension::header(core.extension) }.pdo();
            // SAFETY: the routine and its context fit each other; the context and the lock are the kernel object's, which outlives the connection.
            unsafe { connect_messages(pdo, message_service::<S>, context, core.lock.get()) }
        } else {
            // SAFETY: as above.
            unsafe { connect_line(resource, line_service::<S>, context) }
        };
        core.connection.finish(object, irql)
    }

    /// Disconnects, if connected; no ISR runs when it returns. If two disconnect at a time that is true of the one that does it; the other
    /// returns at once. IRQL: `PASSIVE_LEVEL`. DDIs: `IoDisconnectInterrupt`, `IoDisconnectInterruptEx`.
    pub fn disconnect(&self, irql: &mut Irql<Passive>) {
        self.0.connection.disconnect(irql);
    }

    /// Calls `f` with the ISR's state, at the device's IRQL under the interrupt spin lock; `None` if the interrupt is not connected, or
    /// while `connect` has not returned. `f` is `Send`: it holds [no IRP](crate::irp), and neither does what it returns.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`. DDI: `KeSynchronizeExecution`.
    pub fn synchronize<L, F, R>(&self, _irql: &mut Irql<L>, f: F) -> Option<R>
    where
        L: AtMostDispatch,
        F: FnOnce(&mut S::State, &mut Irql<Dirql>) -> R + Send,
        R: Send,
    {
        self.0.connection.with_object(|object| {
            let mut call = SynchronizedCall {
                state: self.0.state.get(),
                f: Some(f),
                result: None,
            };
            // SAFETY: the interrupt is connected, and cannot be disconnected while this closure runs; the routine fits the context,
            // which outlives the call.
            unsafe {
                KeSynchronizeExecution(
                    object.as_ptr(),
                    Some(synchronized::<S::State, F, R>),
                    (&raw mut call).cast(),
                );
            }
            call.result
        })?
    }
}

struct SynchronizedCall<T, F, R> {
    state: *mut MaybeUninit<T>,
    f: Option<F>,
    result: Option<R>,
}

/// # Safety
/// To be called by `KeSynchronizeExecution` only, with a `SynchronizedCall` of the same types.
unsafe extern "C" fn synchronized<T, F, R>(context: *mut c_void) -> BOOLEAN
where
    F: FnOnce(&mut T, &mut Irql<Dirql>) -> R,
{
    // SAFETY: the context is the call in `synchronize`, which waits.
    let call = unsafe { &mut *context.cast::<SynchronizedCall<T, F, R>>() };
    // SAFETY: the interrupt spin lock is held: nobody else touches the state.
    let state = unsafe { &mut *call.state };
    // SAFETY: the interrupt is connected, so the state was written.
    let state = unsafe { state.assume_init_mut() };
    // SAFETY: KeSynchronizeExecution raises to the interrupt's IRQL for the time of this routine.
    let mut irql = unsafe { Irql::<Dirql>::assume() };
    call.result = call.f.take().map(|f| f(state, &mut irql));
    1
}

/// The `KSERVICE_ROUTINE` of a line.
///
/// # Safety
/// To be called by the kernel only, with an [`InterruptCore<S>`] as context.
unsafe extern "C" fn line_service<S: InterruptService>(_interrupt: PKINTERRUPT, context: *mut c_void) -> BOOLEAN {
    // SAFETY: as promised to this routine.
    unsafe { service::<S>(context) }
}

/// The `KMESSAGE_SERVICE_ROUTINE` of every message.
///
/// # Safety
/// As [`line_service`].
unsafe extern "C" fn message_service<S: InterruptService>(
    _interrupt: PKINTERRUPT,
    context: *mut c_void,
    _message: ULONG,
) -> BOOLEAN {
    // SAFETY: as promised to this routine.
    unsafe { service::<S>(context) }
}

/// # Safety
/// As [`line_service`].
unsafe fn service<S: InterruptService>(context: *mut c_void) -> BOOLEAN {
    // SAFETY: the context is the interrupt that was connected, which is there until it is disconnected.
    let interrupt = unsafe { &*context.cast::<InterruptCore<S>>() };
    // SAFETY: the extension was initialised before anybody could connect, and teardown disconnects before it drops the value.
    let device = unsafe { Extension::data(interrupt.extension) };
    // SAFETY: the interrupt spin lock is held: nobody else touches the state.
    let state = unsafe { &mut *interrupt.state.get() };
    // SAFETY: the state was written before the interrupt was connected.
    let state = unsafe { state.assume_init_mut() };
    // SAFETY: the kernel calls an ISR at the IRQL that it was connected with.
    let mut irql = unsafe { Irql::<Dirql>::assume() };
    BOOLEAN::from(S::service(device, state, &mut irql) == Claim::Claimed)
}

impl<S: InterruptService> fmt::Debug for Interrupt<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt").finish_non_exhaustive()
    }
}
