//! `WNODE_HEADER` and the structures that begin with it: requests for WMI data, and their answers.

/// Size of a `WNODE_HEADER`, in bytes.
pub const HEADER_SIZE: usize = 48;
/// `BufferSize`.
pub const BUFFER_SIZE: usize = 0;
/// `Guid`.
pub const GUID: usize = 24;
/// `Flags`.
pub const FLAGS: usize = 44;
/// `WNODE_ALL_DATA`'s `DataBlockOffset`.
pub const ALL_DATA_BLOCK_OFFSET: usize = 48;
/// `WNODE_ALL_DATA`'s `InstanceCount`.
pub const ALL_INSTANCE_COUNT: usize = 52;
/// `WNODE_ALL_DATA`'s `OffsetInstanceDataAndLength`: pairs of offset and length.
pub const ALL_INSTANCES: usize = 60;
/// `InstanceIndex` of `WNODE_SINGLE_INSTANCE`, `WNODE_SINGLE_ITEM` and `WNODE_METHOD_ITEM`.
pub const INSTANCE_INDEX: usize = 52;
/// `WNODE_SINGLE_INSTANCE`'s `DataBlockOffset`.
pub const SINGLE_DATA_BLOCK_OFFSET: usize = 56;
/// `WNODE_SINGLE_INSTANCE`'s `SizeDataBlock`.
pub const SINGLE_SIZE_DATA_BLOCK: usize = 60;
/// `WNODE_SINGLE_ITEM`'s `ItemId`, and `WNODE_METHOD_ITEM`'s `MethodId`.
pub const ITEM_ID: usize = 56;
/// `DataBlockOffset` of both.
pub const ITEM_DATA_BLOCK_OFFSET: usize = 60;
/// `SizeDataItem`, and `SizeDataBlock`.
pub const ITEM_SIZE_DATA: usize = 64;
/// `WNODE_TOO_SMALL`'s `SizeNeeded`.
pub const SIZE_NEEDED: usize = 48;
/// Size of a `WNODE_TOO_SMALL`, in bytes.
pub const TOO_SMALL_SIZE: usize = 56;
