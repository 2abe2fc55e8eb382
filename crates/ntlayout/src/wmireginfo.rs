//! `WMIREGINFO`: what a driver answers to `IRP_MN_REGINFO_EX`; and `WMIREGGUID`, the blocks in it.

/// Size of the structure up to its blocks, in bytes.
pub const SIZE: usize = 24;
/// `BufferSize`.
pub const BUFFER_SIZE: usize = 0;
/// `NextWmiRegInfo`.
pub const NEXT: usize = 4;
/// `RegistryPath`.
pub const REGISTRY_PATH: usize = 8;
/// `MofResourceName`.
pub const MOF_RESOURCE_NAME: usize = 12;
/// `GuidCount`.
pub const GUID_COUNT: usize = 16;
/// `WmiRegGuid`.
pub const BLOCKS: usize = 24;
/// Size of a `WMIREGGUID`, in bytes.
pub const BLOCK_SIZE: usize = 32;
/// Its `Guid`.
pub const BLOCK_GUID: usize = 0;
/// Its `Flags`.
pub const BLOCK_FLAGS: usize = 16;
/// Its `InstanceCount`.
pub const BLOCK_INSTANCE_COUNT: usize = 20;
/// Its union of `InstanceNameList`, `BaseNameOffset` and `Pdo`.
pub const BLOCK_INSTANCE_INFO: usize = 24;
