//! `DMA_OPERATIONS`: a DMA adapter's routines. Version 1 of it ends after `PutScatterGatherList`, version 2 after
//! `BuildMdlFromScatterGatherList`.

/// Size of the structure, in bytes.
pub const SIZE: usize = 320;
/// `Size`.
pub const SIZE_FIELD: usize = 0;
/// `PutDmaAdapter`.
pub const PUT_DMA_ADAPTER: usize = 8;
/// `AllocateCommonBuffer`.
pub const ALLOCATE_COMMON_BUFFER: usize = 16;
/// `FreeCommonBuffer`.
pub const FREE_COMMON_BUFFER: usize = 24;
/// `AllocateAdapterChannel`.
pub const ALLOCATE_ADAPTER_CHANNEL: usize = 32;
/// `FlushAdapterBuffers`.
pub const FLUSH_ADAPTER_BUFFERS: usize = 40;
/// `FreeAdapterChannel`.
pub const FREE_ADAPTER_CHANNEL: usize = 48;
/// `FreeMapRegisters`.
pub const FREE_MAP_REGISTERS: usize = 56;
/// `MapTransfer`.
pub const MAP_TRANSFER: usize = 64;
/// `GetDmaAlignment`.
pub const GET_DMA_ALIGNMENT: usize = 72;
/// `ReadDmaCounter`.
pub const READ_DMA_COUNTER: usize = 80;
/// `GetScatterGatherList`.
pub const GET_SCATTER_GATHER_LIST: usize = 88;
/// `PutScatterGatherList`.
pub const PUT_SCATTER_GATHER_LIST: usize = 96;
/// `CalculateScatterGatherList`.
pub const CALCULATE_SCATTER_GATHER_LIST: usize = 104;
/// `BuildScatterGatherList`.
pub const BUILD_SCATTER_GATHER_LIST: usize = 112;
/// `BuildMdlFromScatterGatherList`.
pub const BUILD_MDL_FROM_SCATTER_GATHER_LIST: usize = 120;
/// `GetDmaAdapterInfo`.
pub const GET_DMA_ADAPTER_INFO: usize = 128;
/// `GetDmaTransferInfo`.
pub const GET_DMA_TRANSFER_INFO: usize = 136;
/// `InitializeDmaTransferContext`.
pub const INITIALIZE_DMA_TRANSFER_CONTEXT: usize = 144;
/// `AllocateCommonBufferEx`.
pub const ALLOCATE_COMMON_BUFFER_EX: usize = 152;
/// `AllocateAdapterChannelEx`.
pub const ALLOCATE_ADAPTER_CHANNEL_EX: usize = 160;
/// `ConfigureAdapterChannel`.
pub const CONFIGURE_ADAPTER_CHANNEL: usize = 168;
/// `CancelAdapterChannel`.
pub const CANCEL_ADAPTER_CHANNEL: usize = 176;
/// `MapTransferEx`.
pub const MAP_TRANSFER_EX: usize = 184;
/// `GetScatterGatherListEx`.
pub const GET_SCATTER_GATHER_LIST_EX: usize = 192;
/// `BuildScatterGatherListEx`.
pub const BUILD_SCATTER_GATHER_LIST_EX: usize = 200;
/// `FlushAdapterBuffersEx`.
pub const FLUSH_ADAPTER_BUFFERS_EX: usize = 208;
/// `FreeAdapterObject`.
pub const FREE_ADAPTER_OBJECT: usize = 216;
/// `CancelMappedTransfer`.
pub const CANCEL_MAPPED_TRANSFER: usize = 224;
/// `AllocateDomainCommonBuffer`.
pub const ALLOCATE_DOMAIN_COMMON_BUFFER: usize = 232;
/// `FlushDmaBuffer`.
pub const FLUSH_DMA_BUFFER: usize = 240;
/// `JoinDmaDomain`.
pub const JOIN_DMA_DOMAIN: usize = 248;
/// `LeaveDmaDomain`.
pub const LEAVE_DMA_DOMAIN: usize = 256;
/// `GetDmaDomain`.
pub const GET_DMA_DOMAIN: usize = 264;
/// `AllocateCommonBufferWithBounds`.
pub const ALLOCATE_COMMON_BUFFER_WITH_BOUNDS: usize = 272;
/// `AllocateCommonBufferVector`.
pub const ALLOCATE_COMMON_BUFFER_VECTOR: usize = 280;
/// `GetCommonBufferFromVectorByIndex`.
pub const GET_COMMON_BUFFER_FROM_VECTOR_BY_INDEX: usize = 288;
/// `FreeCommonBufferFromVector`.
pub const FREE_COMMON_BUFFER_FROM_VECTOR: usize = 296;
/// `FreeCommonBufferVector`.
pub const FREE_COMMON_BUFFER_VECTOR: usize = 304;
/// `CreateCommonBufferFromMdl`.
pub const CREATE_COMMON_BUFFER_FROM_MDL: usize = 312;
