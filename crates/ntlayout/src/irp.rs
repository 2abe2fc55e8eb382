//! `IRP`: an I/O request packet. Its stack locations follow it in memory, `SIZE` bytes from its start.

/// Size of the structure, in bytes.
pub const SIZE: usize = 208;
/// `Type`.
pub const TYPE: usize = 0;
/// `Size`.
pub const SIZE_FIELD: usize = 2;
/// `MdlAddress`.
pub const MDL_ADDRESS: usize = 8;
/// `Flags`.
pub const FLAGS: usize = 16;
/// `AssociatedIrp.SystemBuffer`.
pub const SYSTEM_BUFFER: usize = 24;
/// `ThreadListEntry`.
pub const THREAD_LIST_ENTRY: usize = 32;
/// `IoStatus`.
pub const IO_STATUS: usize = 48;
/// `IoStatus.Information`.
pub const IO_STATUS_INFORMATION: usize = 56;
/// `RequestorMode`.
pub const REQUESTOR_MODE: usize = 64;
/// `PendingReturned`.
pub const PENDING_RETURNED: usize = 65;
/// `StackCount`.
pub const STACK_COUNT: usize = 66;
/// `CurrentLocation`.
pub const CURRENT_LOCATION: usize = 67;
/// `Cancel`.
pub const CANCEL: usize = 68;
/// `CancelIrql`.
pub const CANCEL_IRQL: usize = 69;
/// `ApcEnvironment`.
pub const APC_ENVIRONMENT: usize = 70;
/// `AllocationFlags`.
pub const ALLOCATION_FLAGS: usize = 71;
/// `UserIosb`.
pub const USER_IOSB: usize = 72;
/// `UserEvent`.
pub const USER_EVENT: usize = 80;
/// `CancelRoutine`.
pub const CANCEL_ROUTINE: usize = 104;
/// `UserBuffer`.
pub const USER_BUFFER: usize = 112;
/// `Tail.Overlay.DriverContext`, four pointers; shares storage with `DeviceQueueEntry`.
pub const DRIVER_CONTEXT: usize = 120;
/// `Tail.Overlay.DeviceQueueEntry`.
pub const DEVICE_QUEUE_ENTRY: usize = 120;
/// `Tail`.
pub const TAIL: usize = 120;
/// `Tail.Overlay.Thread`.
pub const THREAD: usize = 152;
/// `Tail.Overlay.AuxiliaryBuffer`.
pub const AUXILIARY_BUFFER: usize = 160;
/// `Tail.Overlay.ListEntry`.
pub const LIST_ENTRY: usize = 168;
/// `Tail.Overlay.CurrentStackLocation`.
pub const CURRENT_STACK_LOCATION: usize = 184;
/// `Tail.Overlay.OriginalFileObject`.
pub const ORIGINAL_FILE_OBJECT: usize = 192;
