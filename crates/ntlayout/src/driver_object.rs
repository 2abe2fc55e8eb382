//! `DRIVER_OBJECT`: a loaded driver.

/// Size of the structure, in bytes.
pub const SIZE: usize = 336;
/// `Type`.
pub const TYPE: usize = 0;
/// `Size`.
pub const SIZE_FIELD: usize = 2;
/// `DeviceObject`.
pub const DEVICE_OBJECT: usize = 8;
/// `Flags`.
pub const FLAGS: usize = 16;
/// `DriverStart`.
pub const DRIVER_START: usize = 24;
/// `DriverSize`.
pub const DRIVER_SIZE: usize = 32;
/// `DriverSection`.
pub const DRIVER_SECTION: usize = 40;
/// `DriverExtension`.
pub const DRIVER_EXTENSION: usize = 48;
/// `DriverName`.
pub const DRIVER_NAME: usize = 56;
/// `HardwareDatabase`.
pub const HARDWARE_DATABASE: usize = 72;
/// `FastIoDispatch`.
pub const FAST_IO_DISPATCH: usize = 80;
/// `DriverInit`.
pub const DRIVER_INIT: usize = 88;
/// `DriverStartIo`.
pub const DRIVER_START_IO: usize = 96;
/// `DriverUnload`.
pub const DRIVER_UNLOAD: usize = 104;
/// `MajorFunction`.
pub const MAJOR_FUNCTION: usize = 112;
