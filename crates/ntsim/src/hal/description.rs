//! `DEVICE_DESCRIPTION`: what a driver says its device can do.

use ntlayout::device_description as layout;

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::{PAGE_SIZE, Va},
};

/// `DEVICE_DESCRIPTION_VERSION3`.
const VERSION_3: u32 = 3;
/// `PCIBus` of `INTERFACE_TYPE`.
const PCI_BUS: u32 = 5;
/// Address bits of a device that drives neither 32 nor 64: the ISA bus has 24.
///
/// For fewer there is no adapter here. That is stricter than the page of `DEVICE_DESCRIPTION`, which allows a `DmaAddressWidth` of 1 to 64 in version 3: it
/// promises no adapter, and no version before could ask for less than 24 bits. A driver has to be ready for NULL in any case.
const ISA_WIDTH: u32 = 24;
/// Most map registers that an adapter gets. There is no guarantee of the number that a driver hopes for.
const MOST_MAP_REGISTERS: u64 = 64;

/// A bus master, as its driver describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Description {
    /// Which version of `DMA_OPERATIONS` the driver gets.
    pub operations: u32,
    /// Address bits that the device drives.
    pub width: u32,
    /// It can do several parts of a buffer in one transfer.
    pub scatter_gather: bool,
    /// How many map registers its adapter gets.
    pub map_registers: u32,
}

/// Reads what a driver describes; none when there is no adapter for such a device.
pub(super) fn read(k: &Kernel, at: Va) -> Outcome<Option<Description>> {
    let flag = |offset| k.read::<u8>(at + offset).map(|value| value != 0);
    let version: u32 = k.read(at + layout::VERSION)?;
    let master = flag(layout::MASTER)?;
    let reserved = flag(layout::RESERVED_1)?;
    // Devices that are no bus masters need a system DMA controller; PCI has none.
    if version > VERSION_3 || !master || reserved {
        return Ok(None);
    }
    let scatter_gather = flag(layout::SCATTER_GATHER)?;
    let width = if version == VERSION_3 {
        k.read(at + layout::DMA_ADDRESS_WIDTH)?
    } else {
        let pci = k.read::<u32>(at + layout::INTERFACE_TYPE)? == PCI_BUS;
        if flag(layout::DMA_64_BIT_ADDRESSES)? {
            64
        } else if flag(layout::DMA_32_BIT_ADDRESSES)? || (scatter_gather && pci) {
            32
        } else {
            ISA_WIDTH
        }
    };
    if !(ISA_WIDTH..=64).contains(&width) {
        return Ok(None);
    }
    let length: u32 = k.read(at + layout::MAXIMUM_LENGTH)?;
    // A buffer of that length may begin anywhere in its first page.
    let pages = u64::from(length).div_ceil(PAGE_SIZE) + 1;
    let map_registers = u32::try_from(pages.min(MOST_MAP_REGISTERS)).expect("a small number");
    Ok(Some(Description {
        // DEVICE_DESCRIPTION_VERSION, which is 0, and DEVICE_DESCRIPTION_VERSION1 share one.
        operations: version.max(1),
        width,
        scatter_gather,
        map_registers,
    }))
}
