//! `FAST_MUTEX`, and `KGUARDED_MUTEX`, which is another name of it.

/// Size of the structure, in bytes.
pub const SIZE: usize = 56;
/// `Count`: 1 while nobody holds it.
pub const COUNT: usize = 0;
/// `Owner`.
pub const OWNER: usize = 8;
/// `Contention`.
pub const CONTENTION: usize = 16;
/// `Event`.
pub const EVENT: usize = 24;
/// `OldIrql`.
pub const OLD_IRQL: usize = 48;
