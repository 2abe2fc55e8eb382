//! Spin locks: data that callbacks on several processors share.

use core::cell::UnsafeCell;
use core::fmt;

use wdk_sys::{
    KSPIN_LOCK,
    ntddk::{
        KeAcquireSpinLockAtDpcLevel, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock, KeReleaseSpinLockFromDpcLevel,
    },
};

use crate::irql::{AtMostDispatch, Irql, SpinLockHeld};

/// A value that is touched only while a `KSPIN_LOCK` is held, at `DISPATCH_LEVEL`.
///
/// The lock is held for the time of a closure. There is no guard: a guard can be forgotten, or dropped in another order than
/// locks must be released in. Acquiring a lock that this processor holds already never returns, as the documentation of
/// `KeAcquireSpinLock` says; locks that are taken together must be taken in one order everywhere.
///
/// ```no_run
/// use wdm::{Irql, SpinLock, irql::AtMostDispatch};
///
/// /// Moves all from here to there, with both locks held: always in this order.
/// fn move_all<L: AtMostDispatch>(here: &SpinLock<u64>, there: &SpinLock<u64>, irql: &mut Irql<L>) {
///     here.with(irql, |irql, from| {
///         there.with(irql, |_irql, to| {
///             *to = to.saturating_add(core::mem::take(from));
///         });
///     });
/// }
/// # fn main() {}
/// ```
///
/// See [Introduction to Spin Locks](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-spin-locks).
pub struct SpinLock<T> {
    lock: UnsafeCell<KSPIN_LOCK>,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached through the lock only, by one processor at a time; that moves it from one to another, hence `T: Send`.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock around `data`. A zero `KSPIN_LOCK` is what `KeInitializeSpinLock` makes; it has no address of its own.
    pub const fn new(data: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            data: UnsafeCell::new(data),
        }
    }

    /// Calls `f` with the data while the lock is held, and gives back what it returns.
    ///
    /// `f` runs at `DISPATCH_LEVEL` under a lock: with the token it is lent it can take further locks, but neither wait, nor
    /// complete an IRP, nor call another driver. It must be `Send`, as the data must, so that no IRP is there: an IRP that is dropped
    /// is completed, and that would happen under the lock.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`. DDIs: `KeAcquireSpinLock`, or `KeAcquireSpinLockAtDpcLevel` where the level is known.
    pub fn with<L, F, R>(&self, _irql: &mut Irql<L>, f: F) -> R
    where
        T: Send,
        L: AtMostDispatch,
        F: FnOnce(&mut Irql<SpinLockHeld>, &mut T) -> R + Send,
    {
        let lock = self.lock.get();
        let previous = if L::IS_DISPATCH {
            // SAFETY: the lock is initialised and stays where it is while it is borrowed; the token proves DISPATCH_LEVEL.
            unsafe { KeAcquireSpinLockAtDpcLevel(lock) };
            None
        } else {
            // SAFETY: as above; the token proves an IRQL of at most DISPATCH_LEVEL.
            Some(unsafe { KeAcquireSpinLockRaiseToDpc(lock) })
        };
        // SAFETY: the lock is held at DISPATCH_LEVEL until `f` has returned, and the caller's token is borrowed until then.
        let mut held = unsafe { Irql::<SpinLockHeld>::assume() };
        // SAFETY: the lock is held, so nobody else has a reference to the data.
        let data = unsafe { &mut *self.data.get() };
        let result = f(&mut held, data);
        match previous {
            // SAFETY: this processor acquired the lock above, by the AtDpcLevel variant.
            None => unsafe { KeReleaseSpinLockFromDpcLevel(lock) },
            // SAFETY: this processor acquired the lock above, and this is the IRQL that it had before.
            Some(irql) => unsafe { KeReleaseSpinLock(lock, irql) },
        }
        result
    }
}

impl<T> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock").finish_non_exhaustive()
    }
}
