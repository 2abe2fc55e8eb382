//! The dispatch routines that are running.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use crate::{
    irql::{Irql, Passive},
    thread::sleep,
};

/// How often it is looked whether a routine still runs.
const POLL: Duration = Duration::from_millis(1);

/// How many dispatch routines of a device are running.
///
/// A request keeps the device until it is completed, by its [remove lock](super::remove_lock). That may happen on another processor while the routine that it
/// came to is still running. So the routines are counted, from a moment at which their request keeps the device.
pub(crate) struct DispatchCalls(AtomicUsize);

impl DispatchCalls {
    pub(super) const fn none() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// A routine begins. Its request must have the remove lock.
    pub(crate) fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The routine does not use the device any more. It may be gone when this returns.
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    /// Returns when no routine runs. For removal, when no request has the remove lock, nor gets it any more: so no routine begins.
    ///
    /// The wait is by polling: what is left of a routine is short.
    pub(crate) fn wait(&self, irql: &mut Irql<Passive>) {
        while self.0.load(Ordering::Acquire) != 0 {
            sleep(POLL, irql);
        }
    }
}
