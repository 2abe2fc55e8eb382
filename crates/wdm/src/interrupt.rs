//! Interrupts.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::marker::{PhantomData, PhantomPinned};
use core::mem::{MaybeUninit, needs_drop};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use pinned_init::{PinInit, pin_init_from_closure};
use wdk_sys::{
    _KINTERRUPT, _KINTERRUPT_MODE, BOOLEAN, PKINTERRUPT,
    ntddk::{IoConnectInterrupt, IoDisconnectInterrupt, KeSynchronizeExecution},
};

use crate::{
    device::{DeviceExtension, DeviceInit, Extension, Object, ObjectNode},
    irql::{AtMostDispatch, Dirql, Irql, Passive},
    resources::InterruptResource,
    revocable::Revocable,
    status::{Result, Status},
};

/// Whether an interrupt was the device's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The device interrupted, and has been made to stop: the ISR returns `TRUE`.
    Claimed,
    /// Another device on the line did: the ISR returns `FALSE`, and has written nothing.
    NotOurs,
}

/// What a driver does when its device interrupts: an `InterruptService` routine (ISR).
pub trait InterruptService: 'static {
    /// The device whose extension the interrupt object lies in.
    type Device: DeviceExtension;
    /// What the ISR shares with nobody, or by [`Interrupt::synchronize`] only: it is touched under the interrupt spin lock alone.
    /// Plain data: a type that does something when it is dropped is refused when `connect` is compiled.
    type State: Send + 'static;

    /// Runs at the device's IRQL under the interrupt spin lock. On a shared line it is called for other devices' interrupts too.
    fn service(device: &Self::Device, state: &mut Self::State, irql: &mut Irql<Dirql>) -> Claim;
}

/// A `KINTERRUPT`, as the system gave it.
struct InterruptObject(NonNull<_KINTERRUPT>);

// SAFETY: an interrupt object belongs to no thread or processor.
unsafe impl Send for InterruptObject {}
// SAFETY: the DDIs that take it synchronise.
unsafe impl Sync for InterruptObject {}

/// The connection of an interrupt, without its types.
pub(crate) struct Connection {
    /// Set from before the first ISR can run until after the last one: who sets it may write the state.
    in_use: AtomicBool,
    object: Revocable<InterruptObject>,
}

impl Connection {
    /// Disconnects, if connected; no ISR runs when it returns. DDI: `IoDisconnectInterrupt`.
    pub(crate) fn disconnect(&self, irql: &mut Irql<Passive>) {
        if let Some(object) = self.object.revoke(irql) {
            // SAFETY: the object came from IoConnectInterrupt and was taken out of its only place.
            unsafe { IoDisconnectInterrupt(object.0.as_ptr()) };
            self.in_use.store(false, Ordering::Release);
        }
    }
}

/// An interrupt of the device, with the state of its ISR.
///
/// See [Introduction to Interrupt Service Routines](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-interrupt-service-routines).
pub struct Interrupt<S: InterruptService> {
    connection: Connection,
    state: UnsafeCell<MaybeUninit<S::State>>,
    extension: NonNull<Extension<S::Device>>,
    node: ObjectNode,
    service: PhantomData<fn(S)>,
    _pinned: PhantomPinned,
}

// SAFETY: the state is touched under the interrupt spin lock only, by one processor at a time, hence `State: Send`, which the trait
// demands; before `connect` and after `disconnect` it is touched by those alone. The rest is `Sync`.
unsafe impl<S: InterruptService> Sync for Interrupt<S> {}
// SAFETY: it belongs to no thread, and neither does the state.
unsafe impl<S: InterruptService> Send for Interrupt<S> {}

impl<S: InterruptService> Interrupt<S> {
    /// An interrupt that is not connected.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension.
    pub fn new(device: &DeviceInit<'_, S::Device>) -> impl PinInit<Self, Status> {
        let init = move |slot: *mut Self| {
            device.check_inside(slot)?;
            let unconnected = Self {
                connection: Connection {
                    in_use: AtomicBool::new(false),
                    object: Revocable::new(),
                },
                state: UnsafeCell::new(MaybeUninit::uninit()),
                extension: device.extension(),
                node: ObjectNode::new(),
                service: PhantomData,
                _pinned: PhantomPinned,
            };
            // SAFETY: the slot is valid for writes.
            unsafe { slot.write(unconnected) };
            // SAFETY: just written; only shared from here on.
            let this = unsafe { &*slot };
            let connection = NonNull::from(&this.connection);
            // SAFETY: the node lies in the object, and the object in the extension.
            unsafe { device.register(&this.node, Object::Interrupt(connection)) };
            Ok(())
        };
        // SAFETY: on success every field is initialised (the state may be anything until `connect`); it stays in place.
        unsafe { pin_init_from_closure(init) }
    }

    /// Connects the ISR to the line, with `state` as the first state that it sees. The ISR may run before this returns.
    ///
    /// IRQL: `PASSIVE_LEVEL`. DDI: `IoConnectInterrupt`.
    ///
    /// # Errors
    /// `STATUS_NOT_SUPPORTED` for a message-signalled interrupt; `STATUS_INVALID_DEVICE_STATE` if it is connected; what the DDI
    /// returns, such as `STATUS_INSUFFICIENT_RESOURCES` or `STATUS_INVALID_PARAMETER`.
    pub fn connect(&self, resource: &InterruptResource<'_>, state: S::State, irql: &mut Irql<Passive>) -> Result<()> {
        if resource.is_message_signaled() {
            return Err(Status::NOT_SUPPORTED);
        }
        const { assert!(!needs_drop::<S::State>(), "the state of an ISR is plain data") };
        if self.connection.in_use.swap(true, Ordering::AcqRel) {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        // SAFETY: no ISR is connected, and no other call of `connect` got here: nobody else touches the state.
        let slot = unsafe { &mut *self.state.get() };
        slot.write(state);
        let mode = if resource.latched {
            _KINTERRUPT_MODE::Latched
        } else {
            _KINTERRUPT_MODE::LevelSensitive
        };
        let mut object: PKINTERRUPT = core::ptr::null_mut();
        // SAFETY: the routine and its context fit each other, and the context lies in the extension, which outlives the connection.
        // The system's own spin lock is used, at the interrupt's own IRQL.
        let status = unsafe {
            IoConnectInterrupt(
                &raw mut object,
                Some(trampoline::<S>),
                core::ptr::from_ref(self).cast_mut().cast(),
                core::ptr::null_mut(),
                resource.vector,
                resource.level,
                resource.level,
                mode,
                BOOLEAN::from(resource.shared),
                resource.affinity,
                0,
            )
        };
        let object = Status::from_raw(status)
            .into_result()
            .and_then(|()| NonNull::new(object).ok_or(Status::INSUFFICIENT_RESOURCES))
            .inspect_err(|_| self.connection.in_use.store(false, Ordering::Release))?;
        self.connection
            .object
            .publish(InterruptObject(object), irql)
            .map_err(|object| {
                // Cannot be: `in_use` lets one object in at a time. Undone all the same.
                // SAFETY: the object is the one connected above, and is in no other place.
                unsafe { IoDisconnectInterrupt(object.0.as_ptr()) };
                Status::INVALID_DEVICE_STATE
            })
    }

    /// Disconnects, if connected; no ISR runs when it returns. If two disconnect at a time that is true of the one that does it; the other
    /// returns at once. IRQL: `PASSIVE_LEVEL`. DDI: `IoDisconnectInterrupt`.
    pub fn disconnect(&self, irql: &mut Irql<Passive>) {
        self.connection.disconnect(irql);
    }

    /// Calls `f` with the ISR's state, at the device's IRQL under the interrupt spin lock; `None` if the interrupt is not connected, or
    /// while `connect` has not returned.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`. DDI: `KeSynchronizeExecution`.
    pub fn synchronize<L, F, R>(&self, _irql: &mut Irql<L>, f: F) -> Option<R>
    where
        L: AtMostDispatch,
        F: FnOnce(&mut S::State, &mut Irql<Dirql>) -> R + Send,
        R: Send,
    {
        self.connection.object.with(|object| {
            let mut call = SynchronizedCall {
                state: self.state.get(),
                f: Some(f),
                result: None,
            };
            // SAFETY: the interrupt is connected, and cannot be disconnected while this closure runs; the routine fits the context,
            // which outlives the call.
            unsafe {
                KeSynchronizeExecution(
                    object.0.as_ptr(),
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

/// # Safety
/// To be called by the kernel only, with an [`Interrupt<S>`] as context.
unsafe extern "C" fn trampoline<S: InterruptService>(_interrupt: PKINTERRUPT, context: *mut c_void) -> BOOLEAN {
    // SAFETY: the context is the interrupt that was connected; the extension it lies in is there until it is disconnected.
    let interrupt = unsafe { &*context.cast::<Interrupt<S>>() };
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
