//! Things that come and go while callbacks use them.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::time::Duration;

use rundown::Rundown;

use crate::{
    irql::{Irql, Passive},
    thread::sleep,
};

/// How often it is looked whether somebody is inside still: every clock tick.
const POLL: Duration = Duration::from_millis(1);

/// A value that is there only between [`publish`](Self::publish) and [`revoke`](Self::revoke): something that belongs to a device which can be
/// stopped or taken out at any time. (Its registers are in [`DeviceMemory`](crate::DeviceMemory), which is revoked by itself.)
///
/// Users reach it for the time of a closure, at any IRQL, without a lock and without waiting; afterwards, or before, they get
/// `None`. `revoke` waits for those inside.
///
/// ```no_run
/// use wdm::{Irql, PoolBox, Revocable, irql::Passive};
///
/// /// What was learnt about the device when it was started.
/// type Calibration = PoolBox<[u32; 64]>;
///
/// /// Any callback, an ISR too: looks at it, if the device is started.
/// fn first(calibration: &Revocable<Calibration>) -> Option<u32> {
///     calibration.with(|calibration| calibration[0])
/// }
///
/// /// When the device is stopped: nobody looks any more, and nobody will.
/// fn give_back(calibration: &Revocable<Calibration>, irql: &mut Irql<Passive>) {
///     if let Some(calibration) = calibration.revoke(irql) {
///         calibration.free(irql);
///     }
/// }
/// # fn main() {}
/// ```
pub struct Revocable<T> {
    rundown: Rundown,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is shared between processors (`T: Sync`), and put in by one thread and taken out by another (`T: Send`).
unsafe impl<T: Send + Sync> Sync for Revocable<T> {}

impl<T> Revocable<T> {
    /// Without a value.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rundown: Rundown::new(),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Puts `value` in.
    ///
    /// # Errors
    /// Gives it back if there is one already.
    pub fn publish(&self, value: T, _irql: &mut Irql<Passive>) -> Result<(), T> {
        if !self.rundown.begin_publish() {
            return Err(value);
        }
        // SAFETY: the rundown has given the place to this call alone.
        let slot = unsafe { &mut *self.value.get() };
        slot.write(value);
        self.rundown.finish_publish();
        Ok(())
    }

    /// Calls `f` with the value, if there is one. Any IRQL. `f` must not call [`revoke`](Self::revoke), which would wait for it.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        let result = self.rundown.enter().then(|| {
            // SAFETY: nobody writes to the place before this user has left.
            let slot = unsafe { &*self.value.get() };
            // SAFETY: the value was published.
            f(unsafe { slot.assume_init_ref() })
        });
        self.rundown.leave();
        result
    }

    /// Takes the value out, when everybody has left; `None` if there is none. From the call on nobody enters.
    ///
    /// The wait is short, and by polling: the last to leave may be an ISR, at an IRQL at which no event can be set.
    pub fn revoke(&self, irql: &mut Irql<Passive>) -> Option<T> {
        if !self.rundown.begin_revoke() {
            return None;
        }
        wait_for_users(&self.rundown, irql);
        // SAFETY: the rundown has given the place to this call alone.
        let slot = unsafe { &*self.value.get() };
        // SAFETY: it was published, so it is initialised; it is read out once, because it is revoked once.
        let value = unsafe { slot.assume_init_read() };
        self.rundown.finish_revoke();
        Some(value)
    }
}

/// Returns when nobody is inside. The wait is by polling: the last to leave may be at an IRQL at which no event can be set.
pub(crate) fn wait_for_users(rundown: &Rundown, irql: &mut Irql<Passive>) {
    while !rundown.is_empty() {
        sleep(POLL, irql);
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
