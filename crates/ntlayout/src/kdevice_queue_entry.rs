//! `KDEVICE_QUEUE_ENTRY`: an entry of a `KDEVICE_QUEUE`.

/// Size of the structure, in bytes.
pub const SIZE: usize = 24;
/// `DeviceListEntry`.
pub const DEVICE_LIST_ENTRY: usize = 0;
/// `SortKey`.
pub const SORT_KEY: usize = 16;
/// `Inserted`.
pub const INSERTED: usize = 20;
