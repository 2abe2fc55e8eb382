//! What drivers ask the I/O manager: the stack that a device is in, the thread, the system; and small state that it keeps for them.

mod attach;
mod device_stack;
mod driver_extension;
mod file_access;
mod irp_information;
mod system_information;
#[cfg(test)]
mod tests;
mod thread_state;
mod vpb_lock;

pub(super) use driver_extension::driver_gone;

use crate::ddi::Registry;

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    attach::register(ddi);
    device_stack::register(ddi);
    driver_extension::register(ddi);
    file_access::register(ddi);
    irp_information::register(ddi);
    system_information::register(ddi);
    thread_state::register(ddi);
    vpb_lock::register(ddi);
}
