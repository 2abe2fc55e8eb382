//! `IO_CSQ_IRP_CONTEXT`: the handle of one IRP in a cancel-safe queue.

/// Size of the structure, in bytes.
pub const SIZE: usize = 24;
/// `Type`.
pub const TYPE: usize = 0;
/// `Irp`.
pub const IRP: usize = 8;
/// `Csq`.
pub const CSQ: usize = 16;
