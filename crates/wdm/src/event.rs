//! Events: waiting for something that another callback does.

use core::cell::UnsafeCell;
use core::fmt;

use pinned_init::PinInit;
use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _KWAIT_REASON::Executive,
    KEVENT, STATUS_TIMEOUT,
    ntddk::{KeClearEvent, KeInitializeEvent, KeSetEvent, KeWaitForSingleObject},
};

use crate::{
    device::{DeviceInit, Handle, KernelObject, Object},
    error::Error,
    irql::{AtMostDispatch, Irql, Passive},
    thread::KERNEL_MODE,
    time::TimeSpan,
};

/// A notification event (`KEVENT`): stays set until it is cleared.
///
/// ```no_run
/// use core::time::Duration;
///
/// use wdm::{Event, Irql, Result, Error, irql::Passive};
///
/// /// At the end of the work: waits for a DPC to [set](Event::set) the event.
/// fn wait_until_idle(idle: &Event, irql: &mut Irql<Passive>) -> Result<()> {
///     if idle.wait(Duration::from_millis(500), irql) {
///         Ok(())
///     } else {
///         Err(Error::IO_TIMEOUT)
///     }
/// }
/// # fn main() {}
/// ```
///
/// See [Event Objects](https://learn.microsoft.com/windows-hardware/drivers/kernel/event-objects).
pub struct Event(Handle<RawEvent>);

/// The `KEVENT`.
struct RawEvent(UnsafeCell<KEVENT>);

// SAFETY: a KEVENT is made to be used by several threads and processors at a time; the DDIs synchronise.
unsafe impl Sync for RawEvent {}

impl KernelObject for RawEvent {
    fn object(&self) -> Object {
        Object::NothingToClose
    }
}

impl Event {
    /// An event that is not set. DDI: `KeInitializeEvent`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<T: 'static>(device: &DeviceInit<'_, T>) -> impl PinInit<Self, Error> {
        let event = RawEvent(UnsafeCell::new(KEVENT::default()));
        device.object(event, Self, |event, _irql| {
            // SAFETY: the memory is nonpaged, and the event stays there.
            unsafe { initialize(event.0.get()) };
            Ok(())
        })
    }

    /// The address of the event, for a DDI.
    fn raw(&self) -> *mut KEVENT {
        self.0.0.get()
    }

    /// Sets it: every wait ends. IRQL: at most `DISPATCH_LEVEL`. DDI: `KeSetEvent` without a priority boost.
    pub fn set<L: AtMostDispatch>(&self, _irql: &mut Irql<L>) {
        // SAFETY: the event is initialised and lies in nonpaged memory; the caller waits for nothing with the lock that TRUE would
        // keep.
        unsafe { KeSetEvent(self.raw(), 0, 0) };
    }

    /// Clears it. IRQL: at most `DISPATCH_LEVEL`. DDI: `KeClearEvent`.
    pub fn clear<L: AtMostDispatch>(&self, _irql: &mut Irql<L>) {
        // SAFETY: the event is initialised.
        unsafe { KeClearEvent(self.raw()) };
    }

    /// Waits until it is set, or for `timeout`; whether it was set. IRQL: `PASSIVE_LEVEL`. DDI: `KeWaitForSingleObject`, which
    /// counts time in clock ticks.
    pub fn wait(&self, timeout: impl Into<TimeSpan>, _irql: &mut Irql<Passive>) -> bool {
        let mut timeout = timeout.into().relative();
        // SAFETY: the event is initialised and outlives the wait: the driver's value, which has the handle, is borrowed.
        let status = unsafe { KeWaitForSingleObject(self.raw().cast(), Executive, KERNEL_MODE, 0, &raw mut timeout) };
        status != STATUS_TIMEOUT
    }
}

/// An event on the stack of a thread that waits for it with no time limit: for a request sent to the lower driver.
pub(crate) struct StackEvent(UnsafeCell<KEVENT>);

impl StackEvent {
    /// Calls `f` with the address of a new event, then waits for it unless `f` says that it was not used.
    ///
    /// The event outlives its use because the wait is part of the call.
    pub(crate) fn with_wait<R>(_irql: &mut Irql<Passive>, f: impl FnOnce(*mut KEVENT) -> (R, bool)) -> R {
        let event = Self(UnsafeCell::new(KEVENT::default()));
        // SAFETY: the memory is ours and stays in place until this function returns.
        unsafe { initialize(event.0.get()) };
        let (result, wait) = f(event.0.get());
        if wait {
            // SAFETY: the event is initialised; a kernel-mode wait keeps this stack in memory. A wait without a time limit that is
            // not alertable has one outcome.
            let _ = unsafe {
                KeWaitForSingleObject(event.0.get().cast(), Executive, KERNEL_MODE, 0, core::ptr::null_mut())
            };
        }
        result
    }
}

/// # Safety
/// `event` must be valid for writes, in nonpaged memory or on a stack that is waited on in kernel mode, and stay in place.
unsafe fn initialize(event: *mut KEVENT) {
    // SAFETY: promised by the caller.
    unsafe { KeInitializeEvent(event, NotificationEvent, 0) };
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").finish_non_exhaustive()
    }
}
