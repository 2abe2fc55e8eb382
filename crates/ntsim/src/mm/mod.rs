//! The memory manager's part of the model: addresses, the system's address space, pool and I/O space.

mod address;
mod address_space;
pub mod driver_image;
pub(crate) mod fault;
mod guest;
pub mod io_space;
pub mod layout;
pub mod pool;
mod system_routine;

pub use address::{PAGE_SIZE, Pa, SYSTEM_RANGE_START, Va};
pub use address_space::{AddressSpace, Mapping, Protection, RAM_BASE};
pub use guest::GuestValue;
pub use pool::{PoolKind, PoolOwner};

/// Adds this component's exports.
pub fn register(ddi: &mut crate::ddi::Registry) {
    io_space::register(ddi);
    system_routine::register(ddi);
}
