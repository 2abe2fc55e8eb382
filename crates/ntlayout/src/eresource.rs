//! `ERESOURCE`: a lock for readers and writers.

/// Size of the structure, in bytes.
pub const SIZE: usize = 104;
/// `SystemResourcesList`.
pub const SYSTEM_RESOURCES_LIST: usize = 0;
/// `ActiveCount`.
pub const ACTIVE_COUNT: usize = 24;
/// `Flag`.
pub const FLAG: usize = 26;
/// `OwnerEntry.OwnerThread`.
pub const OWNER_THREAD: usize = 48;
/// `ActiveEntries`.
pub const ACTIVE_ENTRIES: usize = 64;
/// `ContentionCount`.
pub const CONTENTION_COUNT: usize = 68;
/// `NumberOfSharedWaiters`.
pub const NUMBER_OF_SHARED_WAITERS: usize = 72;
/// `NumberOfExclusiveWaiters`.
pub const NUMBER_OF_EXCLUSIVE_WAITERS: usize = 76;
