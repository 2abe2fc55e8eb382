//! `FILE_OBJECT`: an open handle's state.

/// Size of the structure, in bytes.
pub const SIZE: usize = 216;
/// `Type`.
pub const TYPE: usize = 0;
/// `Size`.
pub const SIZE_FIELD: usize = 2;
/// `DeviceObject`.
pub const DEVICE_OBJECT: usize = 8;
/// `Vpb`.
pub const VPB: usize = 16;
/// `FsContext`.
pub const FS_CONTEXT: usize = 24;
/// `FsContext2`.
pub const FS_CONTEXT2: usize = 32;
/// `SectionObjectPointer`.
pub const SECTION_OBJECT_POINTER: usize = 40;
/// `PrivateCacheMap`.
pub const PRIVATE_CACHE_MAP: usize = 48;
/// `FinalStatus`.
pub const FINAL_STATUS: usize = 56;
/// `RelatedFileObject`.
pub const RELATED_FILE_OBJECT: usize = 64;
/// `LockOperation`.
pub const LOCK_OPERATION: usize = 72;
/// `DeletePending`.
pub const DELETE_PENDING: usize = 73;
/// `ReadAccess`.
pub const READ_ACCESS: usize = 74;
/// `WriteAccess`.
pub const WRITE_ACCESS: usize = 75;
/// `DeleteAccess`.
pub const DELETE_ACCESS: usize = 76;
/// `SharedRead`.
pub const SHARED_READ: usize = 77;
/// `SharedWrite`.
pub const SHARED_WRITE: usize = 78;
/// `SharedDelete`.
pub const SHARED_DELETE: usize = 79;
/// `Flags`.
pub const FLAGS: usize = 80;
/// `FileName`.
pub const FILE_NAME: usize = 88;
/// `CurrentByteOffset`.
pub const CURRENT_BYTE_OFFSET: usize = 104;
/// `Waiters`.
pub const WAITERS: usize = 112;
/// `Busy`.
pub const BUSY: usize = 116;
/// `LastLock`.
pub const LAST_LOCK: usize = 120;
/// `Lock`.
pub const LOCK: usize = 128;
/// `Event`.
pub const EVENT: usize = 152;
/// `CompletionContext`.
pub const COMPLETION_CONTEXT: usize = 176;
/// `IrpListLock`.
pub const IRP_LIST_LOCK: usize = 184;
/// `IrpList`.
pub const IRP_LIST: usize = 192;
/// `FileObjectExtension`.
pub const FILE_OBJECT_EXTENSION: usize = 208;
