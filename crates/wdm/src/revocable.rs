//! Things that come and go while callbacks use them.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::irql::{Irql, Passive};
use crate::thread::sleep_about_a_tick;

/// The value is published.
const PUBLISHED: usize = 1;
/// The value is being put in or taken out.
const CHANGING: usize = 2;
/// One user of the value; users are counted in the bits above the flags.
const USER: usize = 4;

/// A value that is there only between [`publish`](Self::publish) and [`revoke`](Self::revoke): the mapped registers of a device that
/// can be stopped or taken out at any time.
///
/// Users reach it for the time of a closure, at any IRQL, without a lock and without waiting; afterwards, or before, they get
/// `None`. `revoke` waits for those inside. The two flags and the count of users are one word, so that nobody can enter between
/// the look at the flag and the count.
pub struct Revocable<T> {
    state: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is shared between processors (`T: Sync`), and put in by one thread and taken out by another (`T: Send`).
unsafe impl<T: Send + Sync> Sync for Revocable<T> {}

impl<T> Revocable<T> {
    /// Without a value.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: AtomicUsize::new(0),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Puts `value` in.
    ///
    /// # Errors
    /// Gives it back if there is one already.
    pub fn publish(&self, value: T, _irql: &mut Irql<Passive>) -> Result<(), T> {
        let vacant = |state| (state & (CHANGING | PUBLISHED) == 0).then_some(state | CHANGING);
        if self
            .state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, vacant)
            .is_err()
        {
            return Err(value);
        }
        // SAFETY: this call set CHANGING, and PUBLISHED is clear: nobody else reads or writes the value.
        unsafe { (*self.value.get()).write(value) };
        // Clears CHANGING and sets PUBLISHED in one step.
        self.state.fetch_xor(CHANGING | PUBLISHED, Ordering::Release);
        Ok(())
    }

    /// Calls `f` with the value, if there is one. Any IRQL. `f` must not call [`revoke`](Self::revoke), which would wait for it.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        let there = self.state.fetch_add(USER, Ordering::Acquire) & PUBLISHED != 0;
        let result = there.then(|| {
            // SAFETY: the value was published, and is not taken out before this user has left.
            let value = unsafe { &*self.value.get() };
            // SAFETY: as above.
            f(unsafe { value.assume_init_ref() })
        });
        self.state.fetch_sub(USER, Ordering::Release);
        result
    }

    /// Takes the value out, when everybody has left; `None` if there is none. From the call on nobody enters.
    ///
    /// The wait is short, and by polling: the last to leave may be an ISR, at an IRQL at which no event can be set.
    pub fn revoke(&self, irql: &mut Irql<Passive>) -> Option<T> {
        let published = |state| (state & PUBLISHED != 0).then_some((state & !PUBLISHED) | CHANGING);
        if self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, published)
            .is_err()
        {
            return None;
        }
        while self.state.load(Ordering::Acquire) >= USER {
            sleep_about_a_tick(irql);
        }
        // SAFETY: this call set CHANGING, and nobody else touches the value: no user is inside and none can enter.
        let slot = unsafe { &*self.value.get() };
        // SAFETY: it was published, so it is initialised; it is read out once, because PUBLISHED was cleared once.
        let value = unsafe { slot.assume_init_read() };
        self.state.fetch_and(!CHANGING, Ordering::Release);
        Some(value)
    }
}

impl<T> Default for Revocable<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Revocable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocable").finish_non_exhaustive()
    }
}
