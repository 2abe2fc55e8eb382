//! `DEVICE_OBJECT`: a device as the I/O manager sees it.

/// Size of the structure, in bytes.
pub const SIZE: usize = 336;
/// `Type`.
pub const TYPE: usize = 0;
/// `Size`.
pub const SIZE_FIELD: usize = 2;
/// `ReferenceCount`.
pub const REFERENCE_COUNT: usize = 4;
/// `DriverObject`.
pub const DRIVER_OBJECT: usize = 8;
/// `NextDevice`.
pub const NEXT_DEVICE: usize = 16;
/// `AttachedDevice`.
pub const ATTACHED_DEVICE: usize = 24;
/// `CurrentIrp`.
pub const CURRENT_IRP: usize = 32;
/// `Timer`.
pub const TIMER: usize = 40;
/// `Flags`.
pub const FLAGS: usize = 48;
/// `Characteristics`.
pub const CHARACTERISTICS: usize = 52;
/// `Vpb`.
pub const VPB: usize = 56;
/// `DeviceExtension`.
pub const DEVICE_EXTENSION: usize = 64;
/// `DeviceType`.
pub const DEVICE_TYPE: usize = 72;
/// `StackSize`.
pub const STACK_SIZE: usize = 76;
/// `Queue`.
pub const QUEUE: usize = 80;
/// `AlignmentRequirement`.
pub const ALIGNMENT_REQUIREMENT: usize = 152;
/// `DeviceQueue`.
pub const DEVICE_QUEUE: usize = 160;
/// `Dpc`.
pub const DPC: usize = 200;
/// `ActiveThreadCount`.
pub const ACTIVE_THREAD_COUNT: usize = 264;
/// `SecurityDescriptor`.
pub const SECURITY_DESCRIPTOR: usize = 272;
/// `DeviceLock`.
pub const DEVICE_LOCK: usize = 280;
/// `SectorSize`.
pub const SECTOR_SIZE: usize = 304;
/// `Spare1`.
pub const SPARE1: usize = 306;
/// `DeviceObjectExtension`.
pub const DEVICE_OBJECT_EXTENSION: usize = 312;
/// `Reserved`.
pub const RESERVED: usize = 320;
