//! What the PnP manager does to a device, one action at a time.

use ntlayout::{device_capabilities, device_object, driver_extension, driver_object, io_stack_location as stack};

use super::{DeviceState, Minor, Node, bus_driver};
use crate::{
    bugcheck::Outcome,
    bus::Slot,
    hal,
    io::{
        device,
        file::send_and_wait,
        irp::{self, IoStatus, Major, Record},
        violation::{IoRule, violation},
    },
    kernel::Kernel,
    mm::Va,
    sched::{Mode, ThreadSpec},
    status::NtStatus,
    trace::Event,
};

/// `PNP_DEVICE_FAILED`.
const PNP_DEVICE_FAILED: u64 = 0x04;
/// `PNP_DEVICE_REMOVED`.
const PNP_DEVICE_REMOVED: u64 = 0x08;
/// `BusRelations`.
const BUS_RELATIONS: u32 = 0;

/// What came of an orderly removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The device's drivers have let go of it.
    Done,
    /// A driver answered `IRP_MN_QUERY_REMOVE_DEVICE` with this status.
    RefusedByDriver(NtStatus),
    /// Handles are open (`PNP_VetoOutstandingOpen`).
    HandlesOpen(u32),
}

fn with_node<T>(k: &Kernel, pdo: Va, work: impl FnOnce(&mut Node) -> T) -> T {
    let mut io = k.io().borrow_mut();
    work(io.pnp.nodes.get_mut(&pdo).expect("the PnP manager knows its devices"))
}

fn state(k: &Kernel, pdo: Va) -> DeviceState {
    with_node(k, pdo, |node| node.state)
}

pub(in crate::io) fn set_state(k: &Kernel, pdo: Va, state: DeviceState) {
    let waiters = with_node(k, pdo, |node| {
        node.state = state;
        node.waiters.clone()
    });
    k.trace(Event::Detail(format!("device {pdo} is {state:?}")));
    waiters.wake_all(k);
}

/// Waits until no other action is under way, and begins one.
async fn begin(k: &Kernel) -> Outcome<()> {
    loop {
        let queue = {
            let mut io = k.io().borrow_mut();
            if !io.pnp.busy {
                io.pnp.busy = true;
                return Ok(());
            }
            io.pnp.queue.clone()
        };
        queue.wait(k, "the PnP manager").await?;
    }
}

fn end(k: &Kernel) {
    let queue = {
        let mut io = k.io().borrow_mut();
        io.pnp.busy = false;
        io.pnp.queue.clone()
    };
    queue.wake_one(k);
}

/// Has the bus driver report the device in `slot`: its physical device object.
///
/// # Errors
/// When the machine has stopped.
pub fn enumerate(k: &Kernel, slot: Slot) -> Outcome<Va> {
    let pdo = bus_driver::report(k, slot)?;
    let path = super::instance_path(k, pdo).unwrap_or_default();
    k.trace(Event::Note(format!("device found: {path}")));
    Ok(pdo)
}

/// Calls the `AddDevice` routine of `driver` for the device.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn add_device(k: &Kernel, pdo: Va, driver: Va) -> Outcome<NtStatus> {
    begin(k).await?;
    let extension: Va = k.read(driver + driver_object::DRIVER_EXTENSION)?;
    let routine: Va = k.read(extension + driver_extension::ADD_DEVICE)?;
    let status = if routine.is_null() {
        NtStatus::UNSUCCESSFUL
    } else {
        let returned = k.call(routine, &[driver.get(), pdo.get()]).label("AddDevice").await?;
        NtStatus((returned & 0xFFFF_FFFF) as u32)
    };
    k.trace(Event::Note(format!("AddDevice returned {status}")));
    if status.is_success() {
        check_added(k, pdo)?;
        set_state(k, pdo, DeviceState::Added);
    }
    end(k);
    Ok(status)
}

/// What "Writing an AddDevice Routine" asks of the device objects that it leaves in the stack.
fn check_added(k: &Kernel, pdo: Va) -> Outcome<()> {
    let top = device::top_of_stack(k, pdo)?;
    if top == pdo {
        return Ok(());
    }
    let flags: u32 = k.read(top + device_object::FLAGS)?;
    if flags & device::DO_DEVICE_INITIALIZING != 0 {
        let message = format!("AddDevice left DO_DEVICE_INITIALIZING set in device {top}");
        return Err(violation(k, IoRule::STILL_INITIALIZING, Va::NULL, top, message));
    }
    let below = k.io().borrow().devices.below(top).unwrap_or(pdo);
    let lower_flags: u32 = k.read(below + device_object::FLAGS)?;
    if lower_flags & !flags & device::DO_POWER_PAGABLE != 0 {
        let message = format!("device {top} does not have DO_POWER_PAGABLE, which the device below has");
        return Err(violation(
            k,
            IoRule::POWER_PAGABLE_NOT_INHERITED,
            Va::NULL,
            top,
            message,
        ));
    }
    Ok(())
}

/// Starts the device, or starts it again after a stop, with its assigned resources.
///
/// A device that fails to start is removed.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn start_device(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    begin(k).await?;
    query_capabilities(k, pdo).await?;
    send(k, pdo, Minor::FILTER_RESOURCE_REQUIREMENTS, |_, _| Ok(())).await?;
    let status = send_start(k, pdo).await?;
    k.trace(Event::Note(format!("the device started: {status}")));
    if status.is_success() {
        set_state(k, pdo, DeviceState::Started);
        query_capabilities(k, pdo).await?;
        send(k, pdo, Minor::QUERY_PNP_DEVICE_STATE, |_, _| Ok(())).await?;
        send(k, pdo, Minor::QUERY_DEVICE_RELATIONS, |k, location| {
            k.write(location + stack::DEVICE_RELATIONS_TYPE, BUS_RELATIONS)
        })
        .await?;
    } else {
        send_remove(k, pdo).await?;
    }
    end(k);
    Ok(status)
}

async fn send_start(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    let slot = with_node(k, pdo, |node| node.slot);
    let (raw, translated, described) = {
        let bus = k.bus().borrow();
        let resources = bus.function(slot).resources();
        let processors = (1 << k.config().processors) - 1;
        (
            resources.raw_list(),
            resources.translated_list(processors),
            resources.to_string(),
        )
    };
    k.trace(Event::Note(format!("resources assigned: {described}")));
    let raw = resource_list(k, &raw)?;
    let translated = resource_list(k, &translated)?;
    let io_status = send(k, pdo, Minor::START_DEVICE, |k, location| {
        k.write(location + stack::ALLOCATED_RESOURCES, raw)?;
        k.write(location + stack::ALLOCATED_RESOURCES_TRANSLATED, translated)
    })
    .await?;
    // A driver that needs them later has to copy them.
    k.free_system(raw)?;
    k.free_system(translated)?;
    Ok(io_status.status)
}

fn resource_list(k: &Kernel, list: &[u8]) -> Outcome<Va> {
    let va = k.allocate_system(list.len(), "CM_RESOURCE_LIST")?;
    k.write_bytes(va, list)?;
    Ok(va)
}

async fn query_capabilities(k: &Kernel, pdo: Va) -> Outcome<()> {
    const VERSION: u16 = 1;
    let capabilities = k.allocate_system(device_capabilities::SIZE, "DEVICE_CAPABILITIES")?;
    let size = u16::try_from(device_capabilities::SIZE).expect("64");
    k.write(capabilities + device_capabilities::SIZE_FIELD, size)?;
    k.write(capabilities + device_capabilities::VERSION, VERSION)?;
    k.write(capabilities + device_capabilities::ADDRESS, u32::MAX)?;
    k.write(capabilities + device_capabilities::UI_NUMBER, u32::MAX)?;
    send(k, pdo, Minor::QUERY_CAPABILITIES, |k, location| {
        k.write(location + stack::CAPABILITIES, capabilities)
    })
    .await?;
    k.free_system(capabilities)
}

/// Asks the device's drivers whether it can be stopped.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn query_stop_device(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    begin(k).await?;
    let io_status = send(k, pdo, Minor::QUERY_STOP_DEVICE, |_, _| Ok(())).await?;
    if io_status.status.is_success() {
        set_state(k, pdo, DeviceState::StopPending);
    } else {
        send(k, pdo, Minor::CANCEL_STOP_DEVICE, |_, _| Ok(())).await?;
    }
    end(k);
    Ok(io_status.status)
}

/// Takes [`query_stop_device`] back.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn cancel_stop_device(k: &Kernel, pdo: Va) -> Outcome<()> {
    begin(k).await?;
    send(k, pdo, Minor::CANCEL_STOP_DEVICE, |_, _| Ok(())).await?;
    set_state(k, pdo, DeviceState::Started);
    end(k);
    Ok(())
}

/// Stops the device, after [`query_stop_device`]; [`start_device`] starts it again.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn stop_device(k: &Kernel, pdo: Va) -> Outcome<()> {
    begin(k).await?;
    send(k, pdo, Minor::STOP_DEVICE, |_, _| Ok(())).await?;
    hal::check_put(k, pdo, "IRP_MN_STOP_DEVICE")?;
    set_state(k, pdo, DeviceState::Stopped);
    end(k);
    Ok(())
}

/// Removes the device in order, as when it is disabled or its driver is updated: asks first, and does not while handles are
/// open.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn remove_device(k: &Kernel, pdo: Va) -> Outcome<Removal> {
    begin(k).await?;
    let removal = query_and_remove(k, pdo).await?;
    end(k);
    Ok(removal)
}

async fn query_and_remove(k: &Kernel, pdo: Va) -> Outcome<Removal> {
    let io_status = send(k, pdo, Minor::QUERY_REMOVE_DEVICE, |_, _| Ok(())).await?;
    let open = with_node(k, pdo, |node| node.open);
    if io_status.status.is_success() && open == 0 {
        send_remove(k, pdo).await?;
        return Ok(Removal::Done);
    }
    send(k, pdo, Minor::CANCEL_REMOVE_DEVICE, |_, _| Ok(())).await?;
    Ok(if io_status.status.is_success() {
        Removal::HandlesOpen(open)
    } else {
        Removal::RefusedByDriver(io_status.status)
    })
}

/// The device is pulled out, and the system notices: `IRP_MN_SURPRISE_REMOVAL` has been handled when this returns;
/// `IRP_MN_REMOVE_DEVICE` follows when the last file object on the device has gone.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn surprise_remove(k: &Kernel, pdo: Va) -> Outcome<()> {
    let slot = with_node(k, pdo, |node| node.slot);
    k.bus().borrow_mut().function_mut(slot).unplug();
    k.trace(Event::Note("the device was pulled out".to_owned()));
    begin(k).await?;
    send_surprise_removal(k, pdo).await?;
    end(k);
    Ok(())
}

async fn send_surprise_removal(k: &Kernel, pdo: Va) -> Outcome<()> {
    if state(k, pdo) >= DeviceState::SurpriseRemoved {
        return Ok(());
    }
    set_state(k, pdo, DeviceState::SurpriseRemoved);
    let top = device::top_of_stack(k, pdo)?;
    send(k, pdo, Minor::SURPRISE_REMOVAL, |_, _| Ok(())).await?;
    if top != pdo {
        check_kept_at_surprise_removal(k, top)?;
    }
    k.spawn(ThreadSpec::system("PnP: removal"), move |k| async move {
        wait_for_closes(&k, pdo).await?;
        begin(&k).await?;
        send_remove(&k, pdo).await?;
        end(&k);
        Ok(())
    });
    Ok(())
}

fn check_kept_at_surprise_removal(k: &Kernel, top: Va) -> Outcome<()> {
    let (deleted, below) = {
        let io = k.io().borrow();
        (io.devices.is_deleted(top), io.devices.below(top))
    };
    if deleted {
        let message =
            format!("device {top} was deleted at IRP_MN_SURPRISE_REMOVAL; IRP_MN_REMOVE_DEVICE is still to come");
        return Err(violation(k, IoRule::DELETED_AT_SURPRISE, Va::NULL, top, message));
    }
    if below.is_none() {
        let message =
            format!("device {top} was detached at IRP_MN_SURPRISE_REMOVAL; IRP_MN_REMOVE_DEVICE is still to come");
        return Err(violation(k, IoRule::DETACHED_AT_SURPRISE, Va::NULL, top, message));
    }
    Ok(())
}

async fn wait_for_closes(k: &Kernel, pdo: Va) -> Outcome<()> {
    loop {
        let (open, waiters) = with_node(k, pdo, |node| (node.open, node.waiters.clone()));
        if open == 0 {
            return Ok(());
        }
        let why = format!("{open} file objects on device {pdo} to be closed");
        waiters.wait(k, why).await?;
    }
}

/// Waits until the device has been removed.
///
/// # Errors
/// When the current activity may not wait.
pub async fn wait_for_removal(k: &Kernel, pdo: Va) -> Outcome<()> {
    loop {
        let (state, waiters) = with_node(k, pdo, |node| (node.state, node.waiters.clone()));
        if state == DeviceState::Removed {
            return Ok(());
        }
        let why = format!("the removal of device {pdo}, which is {state:?}");
        waiters.wait(k, why).await?;
    }
}

/// Sends `IRP_MN_REMOVE_DEVICE`, after which nothing of the device's drivers may be left in its stack.
async fn send_remove(k: &Kernel, pdo: Va) -> Outcome<()> {
    let top = device::top_of_stack(k, pdo)?;
    send(k, pdo, Minor::REMOVE_DEVICE, |_, _| Ok(())).await?;
    let attached = top != pdo && k.io().borrow().devices.below(top).is_some();
    if attached {
        let message = format!("device {top} is still attached after IRP_MN_REMOVE_DEVICE");
        return Err(violation(k, IoRule::NOT_DETACHED_AT_REMOVE, Va::NULL, top, message));
    }
    if top != pdo && !k.io().borrow().devices.is_deleted(top) {
        let message = format!("device {top} still exists after IRP_MN_REMOVE_DEVICE");
        return Err(violation(k, IoRule::NOT_DELETED_AT_REMOVE, Va::NULL, top, message));
    }
    hal::check_put(k, pdo, "IRP_MN_REMOVE_DEVICE")?;
    k.trace(Event::Note("the device was removed".to_owned()));
    set_state(k, pdo, DeviceState::Removed);
    Ok(())
}

/// Asks the drivers for the device's state, and removes a device that has failed.
pub(super) async fn requery_state(k: &Kernel, pdo: Va) -> Outcome<()> {
    begin(k).await?;
    if state(k, pdo) < DeviceState::SurpriseRemoved {
        let io_status = send(k, pdo, Minor::QUERY_PNP_DEVICE_STATE, |_, _| Ok(())).await?;
        let failed = PNP_DEVICE_FAILED | PNP_DEVICE_REMOVED;
        if io_status.status.is_success() && io_status.information & failed != 0 {
            k.trace(Event::Note("the device's driver reports that it has failed".to_owned()));
            send_surprise_removal(k, pdo).await?;
        }
    }
    end(k);
    Ok(())
}

/// Sends a PnP IRP to the top of the device's stack and waits for its end. `parameters` fills in the stack location.
async fn send(
    k: &Kernel,
    pdo: Va,
    minor: Minor,
    parameters: impl FnOnce(&Kernel, Va) -> Outcome<()>,
) -> Outcome<IoStatus> {
    let top = device::top_of_stack(k, pdo)?;
    let record = irp::allocate(
        k,
        irp::Spec {
            major: Major::PNP,
            minor: minor.0,
            stack_size: k.read(top + device_object::STACK_SIZE)?,
            file: None,
            status: Some(NtStatus::NOT_SUPPORTED),
            mode: Mode::Kernel,
            finish: None,
        },
    )?;
    parameters(k, irp::next_location(k, record.irp())?)?;
    k.trace(Event::Note(format!("{} sent", minor.name())));
    let io_status = send_and_wait(k, top, &record).await?;
    check_handled(k, &record, top, minor, io_status.status)?;
    Ok(io_status)
}

/// PnP IRPs are passed down to the bus driver unless a driver fails them.
fn check_handled(k: &Kernel, record: &Record, top: Va, minor: Minor, status: NtStatus) -> Outcome<()> {
    let (irp, name) = (record.irp(), minor.name());
    if minor.must_succeed() && !status.is_success() {
        let message = format!("{name} ended with {status}, but must not fail");
        return Err(violation(k, IoRule::CANNOT_BE_FAILED, irp, top, message));
    }
    if record.reached_bottom.get() {
        return Ok(());
    }
    if status.is_success() {
        let message = format!("{name} was completed with {status} without being passed down");
        return Err(violation(k, IoRule::COMPLETED_NOT_PASSED_DOWN, irp, top, message));
    }
    if status == NtStatus::NOT_SUPPORTED {
        let message = format!("{name}, which the driver does not handle, was completed instead of being passed down");
        return Err(violation(k, IoRule::COMPLETED_UNTOUCHED, irp, top, message));
    }
    Ok(())
}
