//! `IO_CSQ`: a cancel-safe queue.

/// Size of the structure, in bytes.
pub const SIZE: usize = 64;
/// `Type`.
pub const TYPE: usize = 0;
/// `CsqInsertIrp`.
pub const CSQ_INSERT_IRP: usize = 8;
/// `CsqRemoveIrp`.
pub const CSQ_REMOVE_IRP: usize = 16;
/// `CsqPeekNextIrp`.
pub const CSQ_PEEK_NEXT_IRP: usize = 24;
/// `CsqAcquireLock`.
pub const CSQ_ACQUIRE_LOCK: usize = 32;
/// `CsqReleaseLock`.
pub const CSQ_RELEASE_LOCK: usize = 40;
/// `CsqCompleteCanceledIrp`.
pub const CSQ_COMPLETE_CANCELED_IRP: usize = 48;
/// `ReservePointer`.
pub const RESERVE_POINTER: usize = 56;
