//! The HAL's part of the model: DMA adapters, and what devices do to memory through them.
//!
//! - `adapter`: the adapter that `IoGetDmaAdapter` gives, from what `description` reads, and its end.
//! - `operations`: the table of routines that an adapter comes with.
//! - `common_buffer`: memory that processor and device share.
//! - `channel`, `transfer`, `scatter_gather`: the transfer of a `buffer` that is there already, through `map_registers`.
//! - `bus_data`, `bus_address`: the old routines that reach a bus by its number.
//! - [`fault`], `DeviceMemory`: what devices do by themselves, and what they must not.

mod adapter;
mod buffer;
pub(crate) mod bus_address;
pub(crate) mod bus_data;
mod channel;
mod common_buffer;
mod description;
pub mod fault;
mod map_registers;
mod memory;
mod operations;
mod scatter_gather;
#[cfg(test)]
mod tests;
mod transfer;
mod violation;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use adapter::{check_put, get as get_adapter};
pub(crate) use memory::DeviceMemory;
pub use violation::DmaRule;

use crate::{bus::iommu::MappingId, ddi::Registry, kernel::Kernel, leftovers::Leftover, mm::Va, report::StackEntry};

/// What DMA adapters give: how the systems differ that a driver meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DmaSupport {
    /// Common buffers with the lowest logical addresses.
    #[default]
    Low,
    /// Common buffers with the highest logical addresses that the device was said to drive.
    High,
    /// Common buffers just above what the device was said to drive, as from a HAL that knows no address widths.
    AboveWidth,
    /// No common buffer at all.
    NoCommonBuffers,
    /// No adapter at all.
    NoAdapters,
}

/// What the HAL keeps beside guest memory.
#[derive(Debug, Default)]
pub struct HalState {
    /// By `DMA_ADAPTER`.
    adapters: BTreeMap<Va, adapter::Adapter>,
    /// Adapters that were put.
    released: BTreeSet<Va>,
    /// The tables of routines, by their size.
    tables: BTreeMap<usize, Va>,
    /// Who freed what devices had mapped.
    unmapped_by: BTreeMap<MappingId, Vec<StackEntry>>,
}

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    adapter::register(ddi);
    bus_address::register(ddi);
    bus_data::register(ddi);
    channel::register(ddi);
    common_buffer::register(ddi);
    scatter_gather::register(ddi);
    transfer::register(ddi);
    operations::register(ddi);
}

/// Unmaps what a device could reach at a logical address, and remembers who did.
fn unmap(k: &Kernel, logical: u64) {
    let unmapped = k.bus().borrow_mut().iommu_mut().unmap(logical);
    if let Some(id) = unmapped {
        let stack = crate::report::call_stack(k, false);
        k.state::<HalState>().borrow_mut().unmapped_by.insert(id, stack);
    }
}

/// What a driver that is unloaded has left behind in the HAL, in words. Empty when it cleaned up.
#[must_use]
pub fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let hal = k.state::<HalState>();
    let hal = hal.borrow();
    let adapters = hal.adapters.iter();
    adapters
        .map(|(&adapter, _)| Leftover::new(adapter, format!("the DMA adapter {adapter} was never put")))
        .collect()
}
