//! A lock whose holder may wait.

use core::cell::UnsafeCell;

use wdk_sys::{
    _EVENT_TYPE::SynchronizationEvent,
    _KWAIT_REASON::Executive,
    KEVENT,
    ntddk::{KeInitializeEvent, KeSetEvent, KeWaitForSingleObject},
};

use crate::{
    irql::{Irql, Passive},
    thread::KERNEL_MODE,
};

/// A value that one thread at a time has, at `PASSIVE_LEVEL`, and may keep while it waits for something else.
///
/// It is a synchronization event: set while the lock is free, and clear again as soon as one wait for it is over. A fast mutex would raise
/// the IRQL to `APC_LEVEL`, where the driver's routines may not run. It is not recursive.
pub(crate) struct WaitLock<T> {
    free: UnsafeCell<KEVENT>,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached through the lock only, by one thread at a time; that moves it from one to another, hence `T: Send`.
unsafe impl<T: Send> Sync for WaitLock<T> {}
// SAFETY: the event belongs to no thread.
unsafe impl<T: Send> Send for WaitLock<T> {}

impl<T> WaitLock<T> {
    /// Memory for a lock; [`initialize`](Self::initialize) makes it one.
    pub(crate) fn new(data: T) -> Self {
        Self {
            free: UnsafeCell::new(KEVENT::default()),
            data: UnsafeCell::new(data),
        }
    }

    /// Makes it a free lock. DDI: `KeInitializeEvent`.
    ///
    /// # Safety
    /// Once, in nonpaged memory that it stays in, before any other use.
    pub(crate) unsafe fn initialize(&self) {
        // SAFETY: promised by the caller. TRUE: the lock is free.
        unsafe { KeInitializeEvent(self.free.get(), SynchronizationEvent, 1) };
    }

    /// Calls `f` with the data while nobody else has it. `f` must not take this lock again: it would wait for itself.
    ///
    /// IRQL: `PASSIVE_LEVEL`. DDIs: `KeWaitForSingleObject`, `KeSetEvent`.
    pub(crate) fn with<R>(&self, irql: &mut Irql<Passive>, f: impl FnOnce(&mut Irql<Passive>, &mut T) -> R) -> R {
        // SAFETY: the event is initialised and outlives the wait; PASSIVE_LEVEL, as the token proves. A wait without a time limit that is not
        // alertable has one outcome.
        let _ =
            unsafe { KeWaitForSingleObject(self.free.get().cast(), Executive, KERNEL_MODE, 0, core::ptr::null_mut()) };
        // SAFETY: the event let this thread through, and lets nobody else before it is set again.
        let data = unsafe { &mut *self.data.get() };
        let result = f(irql, data);
        // SAFETY: the event is initialised. No priority boost, and no wait follows.
        unsafe { KeSetEvent(self.free.get(), 0, 0) };
        result
    }
}
