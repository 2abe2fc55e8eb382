//! The I/O manager: driver and device objects, IRPs on their way down and up, files, cancellation, the PnP manager, and the
//! helpers that drivers use with them (cancel-safe queues, remove locks, device interfaces).
//!
//! Everything a driver can see lies in guest memory; everything it cannot is in [`IoState`].

mod buffers;
mod build_request;
mod call;
mod cancel;
pub(crate) mod cancel_watch;
mod completion;
pub(crate) mod control;
mod csq;
pub(crate) mod device;
pub mod device_interface;
mod device_pointer;
pub mod driver;
mod driver_irp;
mod error_log;
pub mod file;
mod forward;
mod image_users;
mod interrupt;
pub mod irp;
mod mdl;
mod notification;
pub(crate) mod open;
pub mod pnp;
mod property;
mod query;
pub(crate) mod reinitialize;
mod remove_lock;
pub(crate) mod request;
mod scratch;
pub(crate) mod shutdown;
mod start_io;
#[cfg(test)]
mod tests;
mod timer;
pub mod transfer;
pub(crate) mod violation;
mod work_item;
mod zw;

use std::collections::BTreeMap;

pub(crate) use call::call_driver;
pub(crate) use completion::complete as complete_request;
pub(crate) use device::{DO_POWER_INRUSH, DO_POWER_PAGABLE, bottom_of_stack, top_of_stack};
pub use violation::IoRule;

use crate::{bugcheck::Outcome, ddi::Registry, kernel::Kernel, leftovers::Leftover, mm::Va, ob::object::Type};

/// What the I/O manager keeps beside guest memory.
#[derive(Debug, Default)]
pub struct IoState {
    pub(crate) irps: irp::Ledger,
    pub(crate) devices: device::Devices,
    pub(crate) drivers: driver::Drivers,
    pub(crate) files: file::Files,
    pub(crate) interfaces: device_interface::DeviceInterfaces,
    pub(crate) pnp: pnp::Pnp,
    remove_locks: remove_lock::RemoveLocks,
    interrupts: interrupt::Connections,
    /// By device object.
    start_io: BTreeMap<Va, start_io::StartIo>,
    work_items: work_item::WorkItems,
    mdls: mdl::Mdls,
    cancel_lock: Option<Va>,
    scratch: Vec<Va>,
}

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    build_request::register(ddi);
    call::register(ddi);
    cancel::register(ddi);
    completion::register(ddi);
    csq::register(ddi);
    device::register(ddi);
    device_interface::register(ddi);
    device_pointer::register(ddi);
    driver_irp::register(ddi);
    error_log::register(ddi);
    forward::register(ddi);
    interrupt::register(ddi);
    mdl::register(ddi);
    notification::register(ddi);
    pnp::register(ddi);
    property::register(ddi);
    query::register(ddi);
    reinitialize::register(ddi);
    remove_lock::register(ddi);
    shutdown::register(ddi);
    start_io::register(ddi);
    timer::register(ddi);
    work_item::register(ddi);
    zw::register(ddi);
}

/// What type of object of the I/O manager's lies at `object`, if one does.
pub(crate) fn type_of(k: &Kernel, object: Va) -> Option<Type> {
    let io = k.io().borrow();
    if io.devices.exists(object) {
        Some(Type::Device)
    } else if io.files.contains_key(&object) {
        Some(Type::File)
    } else {
        io.drivers.name(object).map(|_| Type::Driver)
    }
}

/// The device that a file is open on, and what is left of the name for the device.
pub(crate) fn file_name(k: &Kernel, file: Va) -> Option<(Va, String)> {
    let file = k.io().borrow().files.get(&file).cloned()?;
    Some((file.device(), file.name().to_owned()))
}

/// A handle of a file has been made.
pub(crate) fn handle_created(k: &Kernel, file: Va) -> Outcome<()> {
    let file = k.io().borrow().files.get(&file).cloned();
    file.map_or(Ok(()), |file| file::handle_created(k, &file))
}

/// A handle of a file was closed; `left` are still open.
pub(crate) async fn handle_closed(k: &Kernel, file: Va, left: usize) -> Outcome<()> {
    let found = k.io().borrow().files.get(&file).cloned();
    match found {
        Some(file) if left == 0 => file::last_handle_closed(k, &file).await,
        _ => Ok(()),
    }
}

/// Drivers no longer refer to `object`.
pub(crate) async fn unreferenced(k: &Kernel, object: Va) -> Outcome<()> {
    if k.io().borrow().devices.exists(object) {
        return device::free_unreferenced(k, object);
    }
    let file = k.io().borrow().files.get(&object).cloned();
    match file {
        Some(file) => file::close_unused(k, &file).await,
        None => Ok(()),
    }
}

/// Memory is being freed: nothing of the I/O manager's that is in use may lie in it.
///
/// # Errors
/// When a work item that was not uninitialized, or an IRP under way, does.
pub(crate) fn memory_freed(k: &Kernel, start: Va, length: u64) -> Outcome<()> {
    work_item::check_freed(k, start, length)?;
    driver_irp::memory_freed(k, start, length)
}

/// The requests that no driver has completed, though they were sent: a power IRP that waits for its turn is still the power manager's.
#[must_use]
pub(crate) fn unfinished_requests(k: &Kernel) -> Vec<Leftover> {
    let live: Vec<_> = k.io().borrow().irps.live().cloned().collect();
    live.iter()
        .filter(|record| record.origin() == irp::Origin::IoManager && !crate::po::is_unsent(k, record.irp()))
        .map(|record| {
            let (irp, what) = (record.irp(), record.what());
            let left = Leftover::new(irp, format!("IRP {irp} ({what}) was never completed"));
            match irp::holder(k, irp) {
                Some(device) => left.at_device(device),
                None => left,
            }
        })
        .collect()
}

/// What drivers have left behind in the I/O manager. Empty when they have cleaned up.
#[must_use]
pub fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let mut found = unfinished_requests(k);
    let io = k.io().borrow();
    for record in io.irps.live() {
        // One in the driver's own memory goes with that memory.
        if record.origin() == irp::Origin::Driver {
            let (irp, what) = (record.irp(), record.what());
            found.push(Leftover::new(irp, format!("IRP {irp} ({what}) was never freed")));
        }
    }
    for &context in io.interrupts.keys() {
        found.push(Leftover::new(
            context,
            format!("the interrupt {context} is still connected"),
        ));
    }
    for &item in io.work_items.keys() {
        found.push(Leftover::new(item, format!("the work item {item} was never freed")));
    }
    for interface in io.interfaces.all_enabled() {
        let (link, by) = (&interface.link, interface.enabled_by);
        let what = format!("the device interface {link}, enabled by {by}, is still enabled");
        found.push(Leftover::new(interface.pdo, what).made_by(by));
    }
    let files: Vec<_> = io.files.values().cloned().collect();
    drop(io);
    for file in files {
        let object = file.object();
        let left = Leftover::new(object, format!("the file object {object} is still open"));
        found.push(match file.related_device(k) {
            Ok(device) => left.at_device(device),
            Err(_) => left,
        });
    }
    found.extend(crate::etw::leftovers(k));
    found.extend(crate::po::leftovers(k));
    found.extend(crate::wmi::leftovers(k));
    found.extend(error_log::leftovers(k));
    found.extend(notification::leftovers(k));
    found.extend(pnp::bus_interface::leftovers(k));
    found.extend(crate::mm::mdl::leftovers(k));
    found.extend(crate::mm::secure::leftovers(k));
    for (lock, count) in remove_lock::held(k) {
        found.push(Leftover::new(
            lock,
            format!("the remove lock at {lock} is held {count} times"),
        ));
    }
    found
}
