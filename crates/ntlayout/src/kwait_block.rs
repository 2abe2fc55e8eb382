//! `KWAIT_BLOCK`: one object that a thread waits for.

/// Size of the structure, in bytes.
pub const SIZE: usize = 48;
/// `WaitType`.
pub const WAIT_TYPE: usize = 16;
/// `WaitKey`.
pub const WAIT_KEY: usize = 18;
/// `Thread`.
pub const THREAD: usize = 24;
/// `Object`.
pub const OBJECT: usize = 32;
