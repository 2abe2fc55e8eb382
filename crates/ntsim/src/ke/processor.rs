//! Processors as drivers see them: `KeGetCurrentProcessorNumberEx`, `KeQueryActiveProcessorCount`.

use std::collections::VecDeque;

use super::Irql;
use crate::{
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::{Protection, Va, layout},
    sched::{Processor, watchdog::Raised},
};

/// Where a KPCR points to itself.
const SELF: u64 = 0x18;

/// Adds a processor: its KPCR and its stacks.
pub(crate) fn add(k: &Kernel, index: usize) {
    let kpcr = layout::PROCESSOR_REGIONS + index as u64 * layout::PROCESSOR_REGION_SIZE;
    let what = format!("KPCR of cpu{index}");
    let physical = k.map_ram(kpcr, crate::mm::PAGE_SIZE, Protection::READ_WRITE, &what);
    k.engine()
        .borrow_mut()
        .write(physical + SELF, &kpcr.get().to_le_bytes());
    let processor = Processor {
        irql: Irql::PASSIVE,
        activities: Vec::new(),
        dpc_queue: VecDeque::new(),
        dpc_requested: false,
        dpcs_queued: 0,
        dpcs_retired: 0,
        kpcr,
        dpc_stack: k.new_stack(&format!("DPC stack of cpu{index}")),
        interrupt_stack: k.new_stack(&format!("interrupt stack of cpu{index}")),
        raised: Raised::default(),
    };
    k.scheduler().borrow_mut().processors.push(processor);
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("KeGetCurrentProcessorNumberEx", 1, Contract::ANY, |k, args| {
        let (number, pointer): (u32, Va) = (index(k), args.va(0));
        if !pointer.is_null() {
            // PROCESSOR_NUMBER: group, number, reserved.
            k.write(pointer, number << 16)?;
        }
        Ok(number)
    });
    ddi.function("KeQueryActiveProcessorCount", 1, Contract::ANY, |k, args| {
        let count = k.config().processors;
        let pointer = args.va(0);
        if !pointer.is_null() {
            k.write(pointer, (1_u64 << count) - 1)?;
        }
        Ok(count as u64)
    });
}

fn index(k: &Kernel) -> u32 {
    u32::try_from(k.processor()).expect("few processors")
}
