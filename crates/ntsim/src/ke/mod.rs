//! The kernel's part of the model: IRQL, spin locks, DPCs, dispatcher objects, interrupts, time.

pub mod bug_check;
pub mod device_queue;
pub mod dpc;
pub mod event;
pub mod interrupt;
pub mod irql;
pub mod processor;
pub mod shared_data;
pub mod sharing;
pub mod spin_lock;
pub mod thread;
pub mod time;
pub mod timer;
pub mod wait;

pub use irql::Irql;

use crate::ddi::Registry;

/// What the kernel keeps beside guest memory.
#[derive(Debug, Default)]
pub struct KeState {
    pub(crate) interrupts: interrupt::Interrupts,
    pub(crate) locks: spin_lock::Locks,
    pub(crate) waits: wait::Waits,
    pub(crate) dpc: dpc::Dpcs,
    pub(crate) device_queues: device_queue::DeviceQueues,
    pub(crate) timers: timer::Timers,
    pub(crate) shared_data: Option<shared_data::SharedData>,
}

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    bug_check::register(ddi);
    device_queue::register(ddi);
    dpc::register(ddi);
    event::register(ddi);
    interrupt::register(ddi);
    irql::register(ddi);
    processor::register(ddi);
    spin_lock::register(ddi);
    time::register(ddi);
    timer::register(ddi);
    wait::register(ddi);
}

#[cfg(test)]
mod tests;
