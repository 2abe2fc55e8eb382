//! The kernel's part of the model: IRQL, spin locks, DPCs, dispatcher objects, interrupts, time.

pub mod affinity;
pub mod bug_check;
mod bug_check_callback;
mod debugger;
pub mod device_queue;
pub mod dpc;
pub mod event;
mod extended_state;
pub mod fast_mutex;
pub mod interrupt;
mod ipi;
pub mod irql;
pub mod mutex;
mod priority;
pub mod processor;
pub(crate) mod processor_numbers;
pub mod queued_spin_lock;
pub mod region;
pub mod semaphore;
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
    affinity::register(ddi);
    bug_check::register(ddi);
    bug_check_callback::register(ddi);
    debugger::register(ddi);
    device_queue::register(ddi);
    dpc::register(ddi);
    event::register(ddi);
    extended_state::register(ddi);
    fast_mutex::register(ddi);
    interrupt::register(ddi);
    ipi::register(ddi);
    irql::register(ddi);
    mutex::register(ddi);
    priority::register(ddi);
    processor::register(ddi);
    processor_numbers::register(ddi);
    queued_spin_lock::register(ddi);
    region::register(ddi);
    semaphore::register(ddi);
    spin_lock::register(ddi);
    time::register(ddi);
    timer::register(ddi);
    wait::register(ddi);
}

#[cfg(test)]
mod tests;
