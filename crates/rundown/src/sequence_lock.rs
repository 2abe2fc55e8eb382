//! Words that one writer changes together, and that readers see together.

#[cfg(not(feature = "loom"))]
use core::hint::spin_loop;
#[cfg(not(feature = "loom"))]
use core::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(feature = "loom")]
use loom::thread::yield_now as spin_loop;

/// A sequence lock: `WORDS` numbers that are written together, and read together without a lock.
///
/// There is one writer at a time: an ISR, under its interrupt spin lock. It never waits. A reader reads again if the numbers were written meanwhile, so it waits
/// for as long as one [`write`](Self::write) takes: it must not interrupt the writer on the writer's own processor.
///
/// # Invariants
/// `version` is odd while the numbers are being written, and else twice the number of writes.
#[derive(Debug)]
pub struct SequenceLock<const WORDS: usize> {
    version: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// The numbers, while they are being written.
#[derive(Debug)]
pub struct Writing<'a>(&'a [AtomicU64]);

impl Writing<'_> {
    /// Sets a number. Nothing, if there is none with this index.
    pub fn set(&self, index: usize, value: u64) {
        if let Some(word) = self.0.get(index) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

/// The numbers, while they are being read. They belong together only if nobody has written meanwhile.
#[derive(Debug)]
pub struct Reading<'a>(&'a [AtomicU64]);

impl Reading<'_> {
    /// A number; 0 if there is none with this index.
    #[must_use]
    pub fn get(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |word| word.load(Ordering::Relaxed))
    }
}

impl<const WORDS: usize> SequenceLock<WORDS> {
    /// All 0, written never.
    #[cfg(not(feature = "loom"))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }

    /// All 0, written never.
    #[cfg(feature = "loom")]
    #[must_use]
    pub fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            words: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// How often the numbers have been written.
    ///
    /// Of two threads of which one writes and then looks at something else, and the other changes that, [fences](fence) with `SeqCst`, and then looks here, one
    /// at least sees what the other has done.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.version.load(Ordering::Acquire) >> 1
    }

    /// Has `f` write the numbers, and tells it the number of this write, from 1 on. By one caller at a time.
    pub fn write(&self, f: impl FnOnce(&Writing<'_>, u64)) {
        let before = self.version.load(Ordering::Relaxed);
        self.version.store(before.wrapping_add(1), Ordering::Relaxed);
        // A reader that sees one of the numbers below sees the odd version as well.
        fence(Ordering::Release);
        f(&Writing(&self.words), (before >> 1).wrapping_add(1));
        // A reader that sees the version sees the numbers.
        self.version.store(before.wrapping_add(2), Ordering::Release);
        // See `writes`.
        fence(Ordering::SeqCst);
    }

    /// Has `f` read the numbers, and tells it how often they have been written. `f` is called again if they were written meanwhile: what it returned before
    /// does not count.
    pub fn read<R>(&self, f: impl Fn(&Reading<'_>, u64) -> R) -> R {
        loop {
            let before = self.version.load(Ordering::Acquire);
            if before & 1 == 0 {
                let result = f(&Reading(&self.words), before >> 1);
                // The numbers are read before the version below: if one of them was written since, the version is another.
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return result;
                }
            }
            spin_loop();
        }
    }
}

impl<const WORDS: usize> Default for SequenceLock<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::SequenceLock;

    #[test]
    fn what_was_written_is_read() {
        let lock = SequenceLock::<2>::new();
        assert_eq!(lock.writes(), 0);
        lock.write(|numbers, write| {
            numbers.set(0, 7);
            numbers.set(1, write);
            numbers.set(2, 9);
        });
        assert_eq!(lock.writes(), 1);
        assert_eq!(
            lock.read(|numbers, writes| (numbers.get(0), numbers.get(1), numbers.get(2), writes)),
            (7, 1, 0, 1)
        );
    }
}
