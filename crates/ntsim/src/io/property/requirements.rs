//! `IO_RESOURCE_REQUIREMENTS_LIST`: what a PCI device needs, whichever addresses it is given.

use crate::bus::{Interrupt, PciFunction};

/// `PCIBus` of `INTERFACE_TYPE`.
const PCI_BUS: u32 = 5;
/// Bytes of the list's header, up to the one list of alternatives.
const HEADER: usize = 32;
/// Bytes of an `IO_RESOURCE_LIST` up to its descriptors.
const LIST_HEADER: usize = 8;
/// Bytes of an `IO_RESOURCE_DESCRIPTOR`.
const DESCRIPTOR: usize = 32;
/// `CmResourceTypeInterrupt`, `CmResourceTypeMemory`.
const TYPE_INTERRUPT: u8 = 2;
const TYPE_MEMORY: u8 = 3;
/// `CmResourceShareDeviceExclusive`, `CmResourceShareShared`.
const EXCLUSIVE: u8 = 1;
const SHARED: u8 = 3;
/// The last address of a 32-bit BAR, and the last interrupt line.
const LAST_ADDRESS: u64 = 0xFFFF_FFFF;
const LAST_LINE: u32 = 0xFF;

/// The list for `function`.
pub(super) fn list(function: &PciFunction) -> Vec<u8> {
    let mut descriptors = Vec::new();
    for bar in function.device().bars() {
        let size = u32::try_from(bar.size).expect("a 32-bit BAR");
        let mut descriptor = [0; DESCRIPTOR];
        descriptor[1..3].copy_from_slice(&[TYPE_MEMORY, EXCLUSIVE]);
        descriptor[8..12].copy_from_slice(&size.to_le_bytes());
        descriptor[12..16].copy_from_slice(&size.to_le_bytes());
        descriptor[24..32].copy_from_slice(&LAST_ADDRESS.to_le_bytes());
        descriptors.push(descriptor);
    }
    if matches!(function.resources().interrupt, Some(Interrupt::Line { .. })) {
        let mut descriptor = [0; DESCRIPTOR];
        descriptor[1..3].copy_from_slice(&[TYPE_INTERRUPT, SHARED]);
        descriptor[12..16].copy_from_slice(&LAST_LINE.to_le_bytes());
        descriptors.push(descriptor);
    }
    let size = HEADER + LIST_HEADER + descriptors.len() * DESCRIPTOR;
    let mut bytes = vec![0; size];
    let mut put = |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    put(0, u32::try_from(size).expect("a small list"));
    put(4, PCI_BUS);
    put(12, function.slot().0.into());
    put(28, 1);
    // Version and revision.
    put(HEADER, 1 | 1 << 16);
    put(HEADER + 4, u32::try_from(descriptors.len()).expect("a small list"));
    for (index, descriptor) in descriptors.iter().enumerate() {
        let at = HEADER + LIST_HEADER + index * DESCRIPTOR;
        bytes[at..at + DESCRIPTOR].copy_from_slice(descriptor);
    }
    bytes
}
