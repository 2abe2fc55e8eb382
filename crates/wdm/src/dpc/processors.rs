//! A thread goes to every processor, to know that no threaded DPC runs there.

use wdk_sys::{
    ALL_PROCESSOR_GROUPS, GROUP_AFFINITY, KAFFINITY, PROCESSOR_NUMBER,
    ntddk::{
        KeGetProcessorNumberFromIndex, KeQueryActiveProcessorCountEx, KeRevertToUserGroupAffinityThread,
        KeSetSystemGroupAffinityThread,
    },
};

use crate::{
    irql::{Irql, Passive},
    status::Status,
};

#[expect(clippy::cast_possible_truncation, reason = "it is a USHORT")]
const EVERY_GROUP: u16 = ALL_PROCESSOR_GROUPS as u16;

/// Waits until each threaded DPC has returned that was running when this was called.
///
/// A threaded DPC is not preempted by other threads ("Introduction to Threaded DPCs"), nor does it wait: so a thread that has its processor comes
/// after its return, down to the last instruction. `KeFlushQueuedDpcs` is not enough: it speaks of queued DPCs, and neither its page nor one of
/// those about threaded DPCs says that it waits for these.
///
/// IRQL: `PASSIVE_LEVEL`. DDIs: [`KeSetSystemGroupAffinityThread`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kesetsystemgroupaffinitythread),
/// at whose return the thread runs on the processor, and `KeRevertToUserGroupAffinityThread`.
pub(crate) fn go_to_every_processor(_irql: &mut Irql<Passive>) {
    let mut before = None;
    let mut index = 0;
    // Processors may be added meanwhile; none is ever taken away.
    // SAFETY: nothing is demanded.
    while index < unsafe { KeQueryActiveProcessorCountEx(EVERY_GROUP) } {
        if let Some(mut processor) = affinity_with(index) {
            let mut previous = GROUP_AFFINITY::default();
            // SAFETY: both structures are there for the call; PASSIVE_LEVEL, as the token proves.
            unsafe { KeSetSystemGroupAffinityThread(&raw mut processor, &raw mut previous) };
            // What the thread had at first is what it is given back.
            before.get_or_insert(previous);
        }
        index = index.saturating_add(1);
    }
    if let Some(mut before) = before {
        // SAFETY: KeSetSystemGroupAffinityThread has written it for this.
        unsafe { KeRevertToUserGroupAffinityThread(&raw mut before) };
    }
}

/// That of one processor, by its number in the whole system.
fn affinity_with(index: u32) -> Option<GROUP_AFFINITY> {
    let mut processor = PROCESSOR_NUMBER::default();
    // SAFETY: the structure is there for the call.
    let found = unsafe { KeGetProcessorNumberFromIndex(index, &raw mut processor) };
    Status::from_raw(found).into_result().ok()?;
    let first: KAFFINITY = 1;
    Some(GROUP_AFFINITY {
        Mask: first.checked_shl(u32::from(processor.Number))?,
        Group: processor.Group,
        ..GROUP_AFFINITY::default()
    })
}
