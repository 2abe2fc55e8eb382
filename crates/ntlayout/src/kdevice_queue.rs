//! `KDEVICE_QUEUE`: the queue behind `IoStartPacket`.

/// Size of the structure, in bytes.
pub const SIZE: usize = 40;
/// `Type`.
pub const TYPE: usize = 0;
/// `Size`.
pub const SIZE_FIELD: usize = 2;
/// `DeviceListHead`.
pub const DEVICE_LIST_HEAD: usize = 8;
/// `Lock`.
pub const LOCK: usize = 24;
/// `Busy`.
pub const BUSY: usize = 32;
