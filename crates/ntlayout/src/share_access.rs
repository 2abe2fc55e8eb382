//! `SHARE_ACCESS`: how a file is open, counted.

/// Size of the structure, in bytes.
pub const SIZE: usize = 28;
/// `OpenCount`.
pub const OPEN_COUNT: usize = 0;
/// `Readers`.
pub const READERS: usize = 4;
/// `Writers`.
pub const WRITERS: usize = 8;
/// `Deleters`.
pub const DELETERS: usize = 12;
/// `SharedRead`.
pub const SHARED_READ: usize = 16;
/// `SharedWrite`.
pub const SHARED_WRITE: usize = 20;
/// `SharedDelete`.
pub const SHARED_DELETE: usize = 24;
