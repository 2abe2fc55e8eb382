//! What the system is told about a device that does DMA.

use core::mem::{offset_of, size_of};

use ntlayout::device_description as nt;
use wdk_sys::{_INTERFACE_TYPE::PCIBus, BOOLEAN, LARGE_INTEGER, ULONG};

/// A PCI device that is master of the bus when it moves data.
///
/// See [`DEVICE_DESCRIPTION`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/ns-wdm-_device_description).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceDescription {
    /// How many bits of an address the device drives: 1 to 64. With another number, or where the system has no adapter for so few,
    /// the allocation fails with `STATUS_INSUFFICIENT_RESOURCES`. The versions of the structure before the third could say 24, 32 or 64: nothing
    /// documented promises an adapter for fewer than 24.
    pub address_width: u8,
    /// The most bytes that it moves in one operation.
    pub maximum_length: u32,
    /// Whether it takes the pieces of a buffer that is scattered over memory as one.
    pub scatter_gather: bool,
}

/// `DEVICE_DESCRIPTION_VERSION3`, since Windows 8: the first that can say how wide addresses are, other than 24, 32 or 64 bits.
const VERSION3: ULONG = 3;

/// `DEVICE_DESCRIPTION` of version 3. Some kits declare the version before only.
#[repr(C)]
pub(super) struct DeviceDescriptionV3 {
    version: ULONG,
    master: BOOLEAN,
    scatter_gather: BOOLEAN,
    demand_mode: BOOLEAN,
    auto_initialize: BOOLEAN,
    dma_32_bit_addresses: BOOLEAN,
    ignore_count: BOOLEAN,
    reserved1: BOOLEAN,
    dma_64_bit_addresses: BOOLEAN,
    bus_number: ULONG,
    dma_channel: ULONG,
    interface_type: i32,
    dma_width: ULONG,
    dma_speed: ULONG,
    maximum_length: ULONG,
    dma_port: ULONG,
    dma_address_width: ULONG,
    dma_controller_instance: ULONG,
    dma_request_line: ULONG,
    device_address: LARGE_INTEGER,
}

const _: () = {
    assert!(size_of::<DeviceDescriptionV3>() == nt::SIZE);
    assert!(offset_of!(DeviceDescriptionV3, version) == nt::VERSION);
    assert!(offset_of!(DeviceDescriptionV3, master) == nt::MASTER);
    assert!(offset_of!(DeviceDescriptionV3, scatter_gather) == nt::SCATTER_GATHER);
    assert!(offset_of!(DeviceDescriptionV3, dma_64_bit_addresses) == nt::DMA_64_BIT_ADDRESSES);
    assert!(offset_of!(DeviceDescriptionV3, interface_type) == nt::INTERFACE_TYPE);
    assert!(offset_of!(DeviceDescriptionV3, maximum_length) == nt::MAXIMUM_LENGTH);
    assert!(offset_of!(DeviceDescriptionV3, dma_address_width) == nt::DMA_ADDRESS_WIDTH);
    assert!(offset_of!(DeviceDescriptionV3, device_address) == nt::DEVICE_ADDRESS);
};

impl DeviceDescriptionV3 {
    pub(super) fn new(description: DeviceDescription) -> Self {
        Self {
            version: VERSION3,
            master: 1,
            scatter_gather: BOOLEAN::from(description.scatter_gather),
            // What follows, but for the bus and the two that come from the description, is for system DMA, or not used by this version.
            demand_mode: 0,
            auto_initialize: 0,
            dma_32_bit_addresses: 0,
            ignore_count: 0,
            reserved1: 0,
            dma_64_bit_addresses: 0,
            bus_number: 0,
            dma_channel: 0,
            interface_type: PCIBus,
            dma_width: 0,
            dma_speed: 0,
            maximum_length: description.maximum_length,
            dma_port: 0,
            dma_address_width: ULONG::from(description.address_width),
            dma_controller_instance: 0,
            dma_request_line: 0,
            device_address: LARGE_INTEGER { QuadPart: 0 },
        }
    }
}
