//! The memory manager's part of the model: addresses, the system's address space and the programs', pool, I/O space and MDLs.

mod address;
mod address_query;
mod address_space;
pub mod driver_image;
mod driver_verifier;
pub(crate) mod fault;
mod frames;
mod guest;
pub mod io_space;
pub mod layout;
pub mod mdl;
pub mod pageable;
pub(crate) mod physical;
pub mod pool;
mod probe;
pub(crate) mod section;
pub(crate) mod secure;
mod system_routine;
mod system_size;
pub mod user_space;
mod virtual_memory;

pub use address::{PAGE_SIZE, Pa, SYSTEM_RANGE_START, USER_PROBE_ADDRESS, Va};
pub use address_space::{AddressSpace, DEVICE_HOLE, Mapping, Protection, RAM_BASE, is_device};
pub use guest::GuestValue;
pub use pool::{PoolKind, PoolOwner};
pub use user_space::{UserRange, UserSpace};

/// Adds this component's exports.
pub fn register(ddi: &mut crate::ddi::Registry) {
    address_query::register(ddi);
    driver_verifier::register(ddi);
    io_space::register(ddi);
    mdl::register(ddi);
    pageable::register(ddi);
    physical::register(ddi);
    secure::register(ddi);
    section::register(ddi);
    system_routine::register(ddi);
    system_size::register(ddi);
    probe::register(ddi);
    virtual_memory::register(ddi);
}
