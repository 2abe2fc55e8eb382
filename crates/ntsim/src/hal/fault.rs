//! What ends a run when a device does what it must not.

use super::HalState;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted},
    bus::{
        DeviceFault,
        iommu::{DmaFault, DmaFaultKind},
    },
    io::pnp,
    kernel::Kernel,
    mm::{Pa, Va},
};

/// "IOMMU detected DMA violation": parameter 1 of `DRIVER_VERIFIER_DMA_VIOLATION`.
const IOMMU_VIOLATION: u64 = 0x26;
/// Parameter 4 of that for memory that was freed.
const FREED_MEMORY: u64 = 2;

/// Stops the machine because of what a device did by itself. Where its driver's doing is known, that is where the report points.
#[must_use = "whoever found it must stop as well"]
pub fn stop(k: &Kernel, fault: &DeviceFault) -> Halted {
    let message = fault.to_string();
    match fault {
        DeviceFault::Misused { .. } => {
            k.bugcheck(BugCheck::new(Code::MANUALLY_INITIATED_CRASH, [0; 4], "device", message))
        }
        DeviceFault::Dma { fault, .. } => dma(k, fault, message),
        DeviceFault::Host { .. } => k.bugcheck(BugCheck::host_failed(message)),
    }
}

/// Stops the machine because a device refuses a processor's access at `address`; `place` says in words where that is, and who made it.
#[must_use = "whoever found it must stop as well"]
pub fn refused(k: &Kernel, address: u64, place: &str, fault: &DeviceFault) -> Halted {
    if matches!(fault, DeviceFault::Host { .. }) {
        return stop(k, fault);
    }
    k.bugcheck(BugCheck::new(
        Code::MANUALLY_INITIATED_CRASH,
        [address, 0, 0, 0],
        "device-access",
        format!("device access at {place}: {fault}"),
    ))
}

fn dma(k: &Kernel, fault: &DmaFault, message: String) -> Halted {
    // The fault's type is for the hardware to say: here it is this list's order.
    let (kind, rule) = match &fault.kind {
        DmaFaultKind::NotMaster => (0, "dma-while-stopped"),
        DmaFaultKind::NeverMapped => (1, "dma-outside-mapping"),
        DmaFaultKind::Unmapped { .. } | DmaFaultKind::Memory(_) => (FREED_MEMORY, "dma-into-freed-memory"),
        DmaFaultKind::PastTheEnd { .. } => (3, "dma-overrun"),
        DmaFaultKind::WrongDirection { .. } => (4, "dma-wrong-direction"),
        DmaFaultKind::Foreign(_) => (5, "dma-into-foreign-memory"),
    };
    let device = pnp::pdo_of_slot(k, fault.slot).unwrap_or(Va::NULL);
    let stack = match &fault.kind {
        DmaFaultKind::Unmapped { id, .. } => k.state::<HalState>().borrow().unmapped_by.get(id).cloned(),
        _ => None,
    };
    let parameters = [IOMMU_VIOLATION, device.get(), fault.address, kind];
    let bugcheck = BugCheck::new(Code::DRIVER_VERIFIER_DMA_VIOLATION, parameters, rule, message);
    k.bugcheck_at(bugcheck, stack)
}

/// Stops the machine because the memory of a buffer went while the buffer was mapped for a transfer.
pub(super) fn freed_buffer(k: &Kernel, physical: Pa, why: &str) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DMA_VIOLATION,
        [IOMMU_VIOLATION, 0, physical.0, FREED_MEMORY],
        "dma-into-freed-memory",
        format!("a buffer is transferred: {why}"),
    ))
}
