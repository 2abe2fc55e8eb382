//! `KLOCK_QUEUE_HANDLE`: what a holder of an in-stack queued spin lock keeps on its stack.

/// Size of the structure, in bytes.
pub const SIZE: usize = 24;
/// `LockQueue.Next`.
pub const NEXT: usize = 0;
/// `LockQueue.Lock`.
pub const LOCK: usize = 8;
/// `OldIrql`.
pub const OLD_IRQL: usize = 16;
