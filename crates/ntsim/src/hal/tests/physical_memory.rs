//! Devices and the physical memory that drivers allocate as such.

use super::*;
use crate::{
    bus::iommu::{Mapping, Placement},
    mm::Pa,
};

const LENGTH: u64 = 16;

/// Contiguous memory, its physical address, and the device's address for it.
fn contiguous(bench: &Bench) -> Outcome<(Va, u64)> {
    let arguments = [0x2000, u64::from(u32::MAX)];
    let va = Va(bench.call("MmAllocateContiguousMemory", &arguments)?);
    let physical = bench.call("MmGetPhysicalAddress", &[va.get()])?;
    assert!(!crate::mm::is_device(Pa(physical)));
    let mapping = Mapping {
        slot: bench.slot,
        physical,
        length: 0x2000,
        only: None,
        what: "buffer",
    };
    let placement = Placement {
        within: 0x10_0000..0x1000_0000,
        from_top: false,
    };
    let logical = bench.k.bus().borrow_mut().iommu_mut().map(mapping, &placement);
    Ok((va, logical.expect("there is room")))
}

#[test]
fn a_device_reads_and_writes_contiguous_memory() {
    run(DmaSupport::Low, |bench| async move {
        let (va, logical) = contiguous(&bench)?;
        bench.k.write(va + 0xFFC_u64, 0x0102_0304_u32)?;
        bench.device_reads(logical + 0xFF8, LENGTH).await?;
        bench.device_writes(logical + 0x1800, LENGTH).await?;
        assert_eq!(bench.k.read::<u32>(va + 0x1804_u64)?, 0x0102_0304);
        Ok(())
    });
}

#[test]
fn a_device_that_writes_freed_contiguous_memory_is_found() {
    let machine = run_with(DmaSupport::Low, |bench| async move {
        let (va, logical) = contiguous(&bench)?;
        bench.call("MmFreeContiguousMemory", &[va.get()])?;
        bench.device_writes(logical, LENGTH).await
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    let message = &crash.bugcheck.message;
    assert!(message.contains("was freed while it was mapped"), "{message}");
}
