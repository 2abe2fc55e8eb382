//! Map registers: how a device that does not reach a buffer transfers it nevertheless.
//!
//! The buffer's bytes go through memory that the device reaches: they are copied there when a transfer to the device is mapped, and
//! from there when one from the device is flushed. A driver that looks before it has flushed sees old data, and a device that
//! writes more than is mapped is found out. Driver Verifier has every transfer go that way.

use super::{
    DmaSupport,
    adapter::{self, Adapter},
    buffer::Part,
    fault,
    memory::DeviceMemory,
};
use crate::{
    bugcheck::Outcome,
    bus::{
        Slot,
        iommu::{Mapping, Placement, Transfer},
    },
    kernel::Kernel,
    mm::{Va, mdl::pages_of},
};

/// A part of a buffer that is mapped for a transfer.
#[derive(Debug)]
pub(super) struct Mapped {
    /// The address in the buffer's MDL.
    pub va: Va,
    /// Bytes.
    pub length: u64,
    /// Its address for the device.
    pub logical: u64,
    slot: Slot,
    parts: Vec<Part>,
    /// What the device reaches.
    bounce: Va,
}

impl Mapped {
    /// How many map registers it takes.
    pub(super) fn registers(&self) -> u64 {
        pages_of(self.va, self.length)
    }
}

/// Maps the parts of a buffer, of which `va` is the first address, in one piece for the device. None when the addresses that the
/// device drives are used up.
pub(super) fn map(k: &Kernel, adapter: Va, va: Va, parts: Vec<Part>, to_device: bool) -> Outcome<Option<Mapped>> {
    let (slot, within) = adapter::with(k, adapter, |adapter: &mut Adapter| (adapter.slot, adapter.addresses()));
    let length = parts.iter().map(|part| part.length).sum();
    let offset = va - va.page();
    let memory = k.allocate_pages(offset + length, "map registers");
    let bounce = memory + offset;
    let translated = k.watch().space.borrow().translate(bounce, length);
    let (physical, _) = translated.expect("pool is mapped in one piece");
    let mapping = Mapping {
        slot,
        physical: physical.0,
        length,
        only: Some(if to_device { Transfer::Read } else { Transfer::Write }),
        what: "mapped transfer",
    };
    let placement = Placement {
        within,
        from_top: k.config().dma == DmaSupport::High,
    };
    let Some(logical) = k.bus().borrow_mut().iommu_mut().map(mapping, &placement) else {
        k.free_system(memory)?;
        return Ok(None);
    };
    if to_device {
        let bytes = gather(k, slot, &parts)?;
        k.write_bytes(bounce, &bytes)?;
    }
    Ok(Some(Mapped {
        va,
        length,
        logical,
        slot,
        parts,
        bounce,
    }))
}

/// Ends a transfer of the first `length` bytes of what is mapped.
pub(super) fn flush(k: &Kernel, mapped: &Mapped, length: u64, to_device: bool) -> Outcome<()> {
    super::unmap(k, mapped.logical);
    if !to_device {
        let bytes = k.read_bytes(mapped.bounce, host_length(length))?;
        scatter(k, mapped.slot, &mapped.parts, &bytes)?;
    }
    k.free_system(mapped.bounce.page())
}

/// Copies a buffer's bytes for a device.
fn gather(k: &Kernel, slot: Slot, parts: &[Part]) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    for part in parts {
        let start = bytes.len();
        bytes.resize(start + host_length(part.length), 0);
        let loaded = DeviceMemory(k).load(slot, part.physical, &mut bytes[start..]);
        loaded.map_err(|why| fault::freed_buffer(k, part.physical, &why))?;
    }
    Ok(bytes)
}

/// Copies what a device has written to a buffer.
fn scatter(k: &Kernel, slot: Slot, parts: &[Part], mut bytes: &[u8]) -> Outcome<()> {
    for part in parts {
        if bytes.is_empty() {
            break;
        }
        let (now, later) = bytes.split_at(bytes.len().min(host_length(part.length)));
        bytes = later;
        let stored = DeviceMemory(k).store(slot, part.physical, now);
        stored.map_err(|why| fault::freed_buffer(k, part.physical, &why))?;
    }
    Ok(())
}

fn host_length(length: u64) -> usize {
    usize::try_from(length).expect("a transfer fits the host")
}
