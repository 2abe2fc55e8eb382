//! A place for a pinned value that can be taken out of use before its owner is.

use core::{
    cell::UnsafeCell,
    marker::PhantomPinned,
    mem::{MaybeUninit, size_of},
};

use pinned_init::{PinInit, pin_init_from_closure};
use wdm::{
    Error, Irql, SpinLock,
    irql::{AtMostDispatch, SpinLockHeld},
};

/// What is written over a value that was dropped.
const LITTER: u8 = 0xA5;

/// A value, until it is [dropped](Self::clear). It is pinned while it is there.
pub struct Slot<T> {
    is_there: SpinLock<bool>,
    value: UnsafeCell<MaybeUninit<T>>,
    _pinned: PhantomPinned,
}

// SAFETY: the value is reached, and dropped, under the lock.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}
// SAFETY: it owns the value.
unsafe impl<T: Send> Send for Slot<T> {}

impl<T: Send + Sync> Slot<T> {
    /// With the value that `init` makes.
    pub fn new(init: impl PinInit<T, Error>) -> impl PinInit<Self, Error> {
        let init = move |slot: *mut Self| {
            // SAFETY: only an address is computed, within the slot.
            let value = unsafe { &raw mut (*slot).value };
            // SAFETY: the memory is valid for writes, and what is pinned there stays: its owner is pinned.
            unsafe { init.__pinned_init(value.cast::<T>()) }?;
            // SAFETY: only an address is computed, within the slot.
            let is_there = unsafe { &raw mut (*slot).is_there };
            // SAFETY: the memory is valid for writes.
            unsafe { is_there.write(SpinLock::new(true)) };
            Ok(())
        };
        // SAFETY: on success both fields are written; on failure nothing is left that needs a drop.
        unsafe { pin_init_from_closure(init) }
    }

    /// Calls `f` with the value, if it is there.
    pub fn with<L: AtMostDispatch>(&self, irql: &mut Irql<L>, f: impl FnOnce(&T, &mut Irql<SpinLockHeld>) + Send) {
        self.is_there.with(irql, |irql, is_there| {
            if *is_there {
                // SAFETY: the lock is held, so nobody drops the value.
                let value = unsafe { &*self.value.get() };
                // SAFETY: it is there.
                f(unsafe { value.assume_init_ref() }, irql);
            }
        });
    }

    /// Drops the value, where it is, and uses its memory for something else.
    pub fn clear<L: AtMostDispatch>(&self, irql: &mut Irql<L>) {
        self.is_there.with(irql, |_irql, is_there| {
            if core::mem::replace(is_there, false) {
                let value = self.value.get().cast::<T>();
                // SAFETY: the value is there, and nobody has a reference to it: the lock is held.
                unsafe { value.drop_in_place() };
                // SAFETY: the memory is the slot's, and has no value any more.
                unsafe { value.cast::<u8>().write_bytes(LITTER, size_of::<T>()) };
            }
        });
    }
}
