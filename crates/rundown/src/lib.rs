//! The lock-free parts of the driver and of its safe layer. They are kept apart so that they can be tested on the host, in every interleaving
//! (`cargo test -p rundown --features loom`).
//!
//! [`Rundown`] is run-down protection: who may use a value that can be taken away at any time. It is the lock-free part of `wdm::Revocable`, and of what keeps a
//! driver from calling those below after removal. It holds no value; it says who may touch one. Two flags and a count of users share one word, so that nobody
//! can enter between the look at the flag and the count:
//!
//! | published | changing | |
//! |---|---|---|
//! | no | no | there is no value |
//! | no | yes | one caller alone puts a value in or takes it out |
//! | yes | no | there is a value: whoever enters may use it |
//!
//! [`SequenceLock`] holds numbers that an ISR writes together, and that readers at any IRQL below see together.

#![no_std]
#![forbid(unsafe_code)]

mod sequence_lock;

pub use sequence_lock::{Reading, SequenceLock, Writing};

#[cfg(not(feature = "loom"))]
use core::sync::atomic::{AtomicUsize, Ordering};
#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicUsize, Ordering};

/// There is a value.
const PUBLISHED: usize = 1;
/// The value is being put in or taken out.
const CHANGING: usize = 2;
/// One user; users are counted in the bits above the flags.
const USER: usize = 4;

/// See the [crate's documentation](crate).
#[derive(Debug)]
pub struct Rundown(AtomicUsize);

impl Rundown {
    /// Without a value.
    #[cfg(not(feature = "loom"))]
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Without a value.
    #[cfg(feature = "loom")]
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Enters. `true`: there is a value, and it stays until [`leave`](Self::leave). Either way `leave` must be called. Never waits.
    #[must_use]
    pub fn enter(&self) -> bool {
        self.0.fetch_add(USER, Ordering::Acquire) & PUBLISHED != 0
    }

    /// Leaves.
    pub fn leave(&self) {
        self.0.fetch_sub(USER, Ordering::Release);
    }

    /// `true`: there is no value, and the caller alone may put one in, then call [`finish_publish`](Self::finish_publish).
    #[must_use]
    pub fn begin_publish(&self) -> bool {
        let vacant = |state| (state & (CHANGING | PUBLISHED) == 0).then_some(state | CHANGING);
        self.0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, vacant)
            .is_ok()
    }

    /// The value is in: users may enter.
    pub fn finish_publish(&self) {
        self.0.fetch_xor(CHANGING | PUBLISHED, Ordering::Release);
    }

    /// `true`: nobody who enters from now on gets the value. When [`is_empty`](Self::is_empty) the caller alone may take it out, then
    /// call [`finish_revoke`](Self::finish_revoke).
    #[must_use]
    pub fn begin_revoke(&self) -> bool {
        let published = |state| (state & PUBLISHED != 0).then_some((state & !PUBLISHED) | CHANGING);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, published)
            .is_ok()
    }

    /// Whether nobody is inside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) < USER
    }

    /// The value is out: another one may be put in.
    pub fn finish_revoke(&self) {
        self.0.fetch_and(!CHANGING, Ordering::Release);
    }
}

impl Default for Rundown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::Rundown;

    #[test]
    fn a_value_comes_and_goes() {
        let rundown = Rundown::new();
        assert!(!rundown.enter(), "no value yet");
        rundown.leave();
        assert!(!rundown.begin_revoke(), "nothing to take out");

        assert!(rundown.begin_publish());
        assert!(!rundown.begin_publish(), "one at a time");
        assert!(!rundown.enter(), "not in yet");
        rundown.leave();
        rundown.finish_publish();
        assert!(!rundown.begin_publish(), "there is one already");

        assert!(rundown.enter());
        assert!(rundown.begin_revoke());
        assert!(!rundown.begin_revoke(), "somebody else takes it out");
        assert!(!rundown.is_empty(), "one is inside");
        assert!(!rundown.enter(), "nobody enters any more");
        rundown.leave();
        assert!(!rundown.begin_publish(), "the old value is still in");
        rundown.leave();
        assert!(rundown.is_empty());
        rundown.finish_revoke();
        assert!(rundown.begin_publish(), "vacant again");
    }
}
