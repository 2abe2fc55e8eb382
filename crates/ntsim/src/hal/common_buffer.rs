//! Common buffers: memory that a processor and a device reach at any time. `AllocateCommonBuffer`, `AllocateCommonBufferEx`,
//! `FreeCommonBuffer`.
//!
//! A buffer ends at the byte that it was asked for, for the processor as well as for the device: what lies behind in its last
//! page is inaccessible, as documented, and touching it ends the run.

use std::ops::Range;

use super::{
    DmaRule, DmaSupport,
    adapter::{self, enter},
    violation::{CallableAt, violation},
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    bus::iommu::{Mapping, Placement},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{PAGE_SIZE, Va},
};

/// What memory holds that nobody has initialised: no driver may rely on zeroes.
const UNINITIALIZED: u8 = 0xCD;
/// How far above its reach a device is given addresses, where the configuration says so.
const ABOVE: u64 = 1 << 30;

/// A common buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommonBuffer {
    /// Bytes.
    pub length: u64,
    /// Its address for the device.
    pub logical: u64,
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("AllocateCommonBuffer", 4, Contract::ANY, |k, a| {
        enter(k, a.va(0), "AllocateCommonBuffer", CallableAt::Exactly(Irql::PASSIVE))?;
        allocate(k, a.va(0), u64::from(a.u32(1)), u64::MAX, a.va(2))
    });
    ddi.function("AllocateCommonBufferEx", 6, Contract::ANY, |k, a| {
        enter(k, a.va(0), "AllocateCommonBufferEx", CallableAt::Exactly(Irql::PASSIVE))?;
        let maximum = match a.va(1) {
            Va::NULL => u64::MAX,
            address => k.read(address)?,
        };
        allocate(k, a.va(0), u64::from(a.u32(2)), maximum, a.va(3))
    });
    ddi.function("FreeCommonBuffer", 5, Contract::ANY, free);
}

/// Where the configuration puts a buffer for a device that drives the addresses `driven`.
fn placement(k: &Kernel, driven: Range<u64>, maximum: u64) -> Placement {
    let end = driven.end.min(maximum.saturating_add(1) & !(PAGE_SIZE - 1));
    match k.config().dma {
        DmaSupport::AboveWidth => Placement {
            within: driven.end..driven.end + ABOVE,
            from_top: false,
        },
        support => Placement {
            within: driven.start..end,
            from_top: support == DmaSupport::High,
        },
    }
}

/// `AllocateCommonBuffer` and `AllocateCommonBufferEx`: null when there is no such memory.
fn allocate(k: &Kernel, adapter: Va, length: u64, maximum: u64, logical_address: Va) -> Outcome<Va> {
    if length == 0 || k.config().dma == DmaSupport::NoCommonBuffers || !k.has_pool(length) {
        return Ok(Va::NULL);
    }
    let (slot, driven) = adapter::with(k, adapter, |adapter| (adapter.slot, adapter.addresses()));
    let placement = placement(k, driven, maximum);
    let va = k.allocate_pages(length, "common buffer");
    let translated = k.watch().space.borrow().translate(va, length);
    let (physical, _) = translated.expect("pool is mapped in one piece");
    let mapping = Mapping {
        slot,
        physical: physical.0,
        length,
        only: None,
        what: "common buffer",
    };
    let Some(logical) = k.bus().borrow_mut().iommu_mut().map(mapping, &placement) else {
        k.free_system(va)?;
        return Ok(Va::NULL);
    };
    k.fill(va, UNINITIALIZED, usize::try_from(length).expect("a 32-bit number"))?;
    k.write(logical_address, logical)?;
    adapter::with(k, adapter, |adapter| {
        adapter.common_buffers.insert(va, CommonBuffer { length, logical });
    });
    Ok(va)
}

/// `FreeCommonBuffer(DmaAdapter, Length, LogicalAddress, VirtualAddress, CacheEnabled)`.
fn free(k: &Kernel, a: &Args) -> Outcome<()> {
    let adapter = a.va(0);
    enter(k, adapter, "FreeCommonBuffer", CallableAt::Exactly(Irql::PASSIVE))?;
    let va = a.va(3);
    let freed = CommonBuffer {
        length: u64::from(a.u32(1)),
        logical: a.u64(2),
    };
    let found = adapter::with(k, adapter, |adapter| adapter.common_buffers.remove(&va));
    let Some(found) = found else {
        let message =
            format!("{va} was freed, which is no common buffer of the DMA adapter {adapter}, or is none any more");
        return Err(violation(k, DmaRule::COMMON_BUFFER_FREED_TWICE, [1, 0, 0], message));
    };
    if found != freed {
        return Err(k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [
                VerifierRule::COMMON_BUFFER_MISMATCH.subcode,
                va.get(),
                freed.length,
                freed.logical,
            ],
            "common-buffer-mismatch",
            format!("the common buffer at {va} was allocated as {found:x?}, but freed as {freed:x?}"),
        )));
    }
    super::unmap(k, found.logical);
    k.free_system(va)
}
