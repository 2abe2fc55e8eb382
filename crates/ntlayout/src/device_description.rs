//! `DEVICE_DESCRIPTION`: what a driver tells `IoGetDmaAdapter` of its device.

/// Size of the structure, in bytes.
pub const SIZE: usize = 64;
/// `Version`.
pub const VERSION: usize = 0;
/// `Master`.
pub const MASTER: usize = 4;
/// `ScatterGather`.
pub const SCATTER_GATHER: usize = 5;
/// `DemandMode`.
pub const DEMAND_MODE: usize = 6;
/// `AutoInitialize`.
pub const AUTO_INITIALIZE: usize = 7;
/// `Dma32BitAddresses`.
pub const DMA_32_BIT_ADDRESSES: usize = 8;
/// `IgnoreCount`.
pub const IGNORE_COUNT: usize = 9;
/// `Reserved1`.
pub const RESERVED_1: usize = 10;
/// `Dma64BitAddresses`.
pub const DMA_64_BIT_ADDRESSES: usize = 11;
/// `BusNumber`.
pub const BUS_NUMBER: usize = 12;
/// `DmaChannel`.
pub const DMA_CHANNEL: usize = 16;
/// `InterfaceType`.
pub const INTERFACE_TYPE: usize = 20;
/// `DmaWidth`.
pub const DMA_WIDTH: usize = 24;
/// `DmaSpeed`.
pub const DMA_SPEED: usize = 28;
/// `MaximumLength`.
pub const MAXIMUM_LENGTH: usize = 32;
/// `DmaPort`.
pub const DMA_PORT: usize = 36;
/// `DmaAddressWidth`.
pub const DMA_ADDRESS_WIDTH: usize = 40;
/// `DmaControllerInstance`.
pub const DMA_CONTROLLER_INSTANCE: usize = 44;
/// `DmaRequestLine`.
pub const DMA_REQUEST_LINE: usize = 48;
/// `DeviceAddress`.
pub const DEVICE_ADDRESS: usize = 56;
