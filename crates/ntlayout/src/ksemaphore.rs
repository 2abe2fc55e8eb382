//! `KSEMAPHORE`: a semaphore object.

/// Size of the structure, in bytes.
pub const SIZE: usize = 32;
/// `Header`.
pub const HEADER: usize = 0;
/// `Limit`.
pub const LIMIT: usize = 24;
