//! The PnP manager's actions on a device, one at a time: here are its books, and how a device gets its drivers.

use ntlayout::{device_object, driver_extension, driver_object};

use super::{DeviceState, Node, bus_driver, removal::send_remove};
use crate::{
    bugcheck::Outcome,
    bus::Slot,
    io::{
        call::INVALID_DEVICE_REQUEST,
        device,
        irp::Major,
        violation::{IoRule, verify, violation_in},
    },
    kernel::Kernel,
    mm::Va,
    sched::{VirtualTime, Woken},
    status::NtStatus,
    trace::Event,
};

pub(super) fn with_node<T>(k: &Kernel, pdo: Va, work: impl FnOnce(&mut Node) -> T) -> T {
    let mut io = k.io().borrow_mut();
    work(io.pnp.nodes.get_mut(&pdo).expect("the PnP manager knows its devices"))
}

pub(super) fn state(k: &Kernel, pdo: Va) -> DeviceState {
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
pub(super) async fn begin(k: &Kernel) -> Outcome<()> {
    begin_before(k, None).await.map(|_| ())
}

/// As [`begin`], and says whether that was possible before `deadline`. The power manager begins one as well: the two take turns.
pub(crate) async fn begin_before(k: &Kernel, deadline: Option<VirtualTime>) -> Outcome<bool> {
    loop {
        let queue = {
            let mut io = k.io().borrow_mut();
            if !io.pnp.busy {
                io.pnp.busy = true;
                return Ok(true);
            }
            io.pnp.queue.clone()
        };
        if queue.wait_until(k, "the PnP manager", deadline).await? == Woken::TimedOut {
            return Ok(false);
        }
    }
}

/// Ends the action that was begun, and lets the next one begin.
pub(crate) fn end(k: &Kernel) {
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

/// Reports a device without hardware, as software devices are: its physical device object. `name` is the middle of its instance path,
/// `ROOT\name\0000`.
///
/// # Errors
/// When the machine has stopped.
pub fn enumerate_root(k: &Kernel, name: &str) -> Outcome<Va> {
    let pdo = bus_driver::report_root(k, name)?;
    let path = super::instance_path(k, pdo).unwrap_or_default();
    k.trace(Event::Note(format!("device found: {path}")));
    Ok(pdo)
}

/// Calls the `AddDevice` routine of `driver` for the device.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn add_device(k: &Kernel, pdo: Va, driver: Va) -> Outcome<NtStatus> {
    add_drivers(k, pdo, &[driver]).await
}

/// Calls the `AddDevice` routines of a device's drivers, from the lowest to the highest: lower filters, the function driver, upper
/// filters. When one fails, those before it let go of the device again.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn add_drivers(k: &Kernel, pdo: Va, drivers: &[Va]) -> Outcome<NtStatus> {
    begin(k).await?;
    let status = build_stack(k, pdo, drivers).await?;
    end(k);
    Ok(status)
}

pub(super) async fn build_stack(k: &Kernel, pdo: Va, drivers: &[Va]) -> Outcome<NtStatus> {
    let mut status = NtStatus::SUCCESS;
    for &driver in drivers {
        let extension: Va = k.read(driver + driver_object::DRIVER_EXTENSION)?;
        let routine: Va = k.read(extension + driver_extension::ADD_DEVICE)?;
        status = if routine.is_null() {
            NtStatus::UNSUCCESSFUL
        } else {
            let returned = k.call(routine, &[driver.get(), pdo.get()]).label("AddDevice").await?;
            NtStatus((returned & 0xFFFF_FFFF) as u32)
        };
        k.trace(Event::Note(format!("AddDevice returned {status}")));
        if !status.is_success() {
            break;
        }
        check_dispatch_routines(k, pdo)?;
        check_added(k, pdo)?;
    }
    if status.is_success() {
        set_state(k, pdo, DeviceState::Added);
    } else if device::top_of_stack(k, pdo)? != pdo {
        send_remove(k, pdo).await?;
    }
    Ok(status)
}

/// Each driver in the stack needs a dispatch routine for the requests that it must pass down, at the least.
fn check_dispatch_routines(k: &Kernel, pdo: Va) -> Outcome<()> {
    let refused = k.routine_address(INVALID_DEVICE_REQUEST);
    let mut device: Va = k.read(pdo + device_object::ATTACHED_DEVICE)?;
    while !device.is_null() {
        let driver: Va = k.read(device + device_object::DRIVER_OBJECT)?;
        let mut missing = Vec::new();
        for major in [Major::PNP, Major::POWER, Major::SYSTEM_CONTROL] {
            let entry = driver + driver_object::MAJOR_FUNCTION + usize::from(major.0) * 8;
            let routine: Va = k.read(entry)?;
            if routine.is_null() || routine == refused {
                missing.push(major.name());
            }
        }
        if !missing.is_empty() {
            let entry: Va = k.read(driver + driver_object::DRIVER_INIT)?;
            let message = format!(
                "the driver of device {device} has no dispatch routine for {}, so that nobody passes these requests down: DriverEntry is to \
                 set MajorFunction for each",
                missing.join(" and ")
            );
            return Err(violation_in(
                k,
                IoRule::ROUTINE_MISSING,
                entry,
                Va::NULL,
                device,
                message,
            ));
        }
        device = k.read(device + device_object::ATTACHED_DEVICE)?;
    }
    Ok(())
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
        verify(k, IoRule::STILL_INITIALIZING, Va::NULL, top, message)?;
    }
    let below = k.io().borrow().devices.below(top).unwrap_or(pdo);
    let lower_flags: u32 = k.read(below + device_object::FLAGS)?;
    if lower_flags & !flags & device::DO_POWER_PAGABLE != 0 {
        let message = format!("device {top} does not have DO_POWER_PAGABLE, which the device below has");
        verify(k, IoRule::POWER_PAGABLE_NOT_INHERITED, Va::NULL, top, message)?;
    }
    Ok(())
}
