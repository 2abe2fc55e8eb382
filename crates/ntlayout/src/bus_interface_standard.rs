//! `BUS_INTERFACE_STANDARD`: routines of a bus driver that its devices' drivers call.

/// Size of the structure, in bytes.
pub const SIZE: usize = 64;
/// `Size`.
pub const SIZE_FIELD: usize = 0;
/// `Version`.
pub const VERSION: usize = 2;
/// `Context`.
pub const CONTEXT: usize = 8;
/// `InterfaceReference`.
pub const INTERFACE_REFERENCE: usize = 16;
/// `InterfaceDereference`.
pub const INTERFACE_DEREFERENCE: usize = 24;
/// `TranslateBusAddress`.
pub const TRANSLATE_BUS_ADDRESS: usize = 32;
/// `GetDmaAdapter`.
pub const GET_DMA_ADAPTER: usize = 40;
/// `SetBusData`.
pub const SET_BUS_DATA: usize = 48;
/// `GetBusData`.
pub const GET_BUS_DATA: usize = 56;
