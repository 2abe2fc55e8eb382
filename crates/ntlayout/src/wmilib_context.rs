//! `WMILIB_CONTEXT`: what a driver tells the WMI library about itself; and `WMIGUIDREGINFO`, the blocks in it.

/// Size of the structure, in bytes.
pub const SIZE: usize = 64;
/// `GuidCount`.
pub const GUID_COUNT: usize = 0;
/// `GuidList`.
pub const GUID_LIST: usize = 8;
/// `QueryWmiRegInfo`.
pub const QUERY_WMI_REG_INFO: usize = 16;
/// `QueryWmiDataBlock`.
pub const QUERY_WMI_DATA_BLOCK: usize = 24;
/// `SetWmiDataBlock`.
pub const SET_WMI_DATA_BLOCK: usize = 32;
/// `SetWmiDataItem`.
pub const SET_WMI_DATA_ITEM: usize = 40;
/// `ExecuteWmiMethod`.
pub const EXECUTE_WMI_METHOD: usize = 48;
/// `WmiFunctionControl`.
pub const WMI_FUNCTION_CONTROL: usize = 56;
/// Size of a `WMIGUIDREGINFO`, in bytes.
pub const BLOCK_SIZE: usize = 16;
/// Its `Guid`, a pointer.
pub const BLOCK_GUID: usize = 0;
/// Its `InstanceCount`.
pub const BLOCK_INSTANCE_COUNT: usize = 8;
/// Its `Flags`.
pub const BLOCK_FLAGS: usize = 12;
