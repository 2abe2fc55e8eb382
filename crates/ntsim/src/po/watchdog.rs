//! The power IRPs under way, and the watchdog that stops the machine when one takes too long.

use std::collections::BTreeMap;

use ntlayout::{io_stack_location as stack, irp as layout};

use super::PowerManager;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    io,
    kernel::Kernel,
    mm::Va,
    sched::{ThreadSpec, VirtualTime, WaitQueue},
};

/// How long a power IRP may take, nanoseconds: the ten minutes that the bug check's description calls usual.
pub(super) const TIMEOUT: VirtualTime = 600_000_000_000;

/// Parameter 1 of `DRIVER_POWER_STATE_FAILURE`: a device object is freed that has a power IRP.
const FREED_WITH_IRP: u64 = 0x1;
/// The same for a power IRP that takes too long.
const IRP_TIMED_OUT: u64 = 0x3;
/// The same for a power transition that waited too long for the PnP manager.
const PNP_TIMED_OUT: u64 = 0x4;

/// The power IRPs under way.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    /// By IRP: the physical device object of its stack, and when it has taken too long.
    watched: BTreeMap<Va, (Va, VirtualTime)>,
    running: bool,
    idle: WaitQueue,
}

/// A power IRP is about to be sent to the stack of `pdo`.
pub(super) fn watch(k: &Kernel, irp: Va, pdo: Va) {
    let manager = k.state::<PowerManager>();
    let mut manager = manager.borrow_mut();
    let watchdog = &mut manager.watchdog;
    watchdog.watched.insert(irp, (pdo, k.now() + TIMEOUT));
    if !std::mem::replace(&mut watchdog.running, true) {
        k.spawn(ThreadSpec::system("power watchdog"), |k| async move { run(&k).await });
    }
}

/// How long the power IRP of a device's stack may still take; none when it has none.
pub(super) fn remaining(watchdog: &Watchdog, pdo: Va, now: VirtualTime) -> Option<VirtualTime> {
    let own = watchdog.watched.values().filter(|&&(watched, _)| watched == pdo);
    own.map(|&(_, deadline)| deadline.saturating_sub(now)).min()
}

/// A power IRP has ended.
pub(super) fn release(k: &Kernel, irp: Va) {
    let manager = k.state::<PowerManager>();
    let idle = {
        let watchdog = &mut manager.borrow_mut().watchdog;
        watchdog.watched.remove(&irp);
        watchdog.watched.is_empty().then(|| watchdog.idle.clone())
    };
    if let Some(idle) = idle {
        idle.wake_all(k);
    }
}

async fn run(k: &Kernel) -> Outcome<()> {
    loop {
        let manager = k.state::<PowerManager>();
        let first = {
            let watchdog = &mut manager.borrow_mut().watchdog;
            let first = watchdog.watched.iter().min_by_key(|(_, (_, deadline))| *deadline);
            let first = first.map(|(&irp, &(pdo, deadline))| (irp, pdo, deadline));
            watchdog.running = first.is_some();
            first.map(|first| (first, watchdog.idle.clone()))
        };
        let Some(((irp, pdo, deadline), idle)) = first else {
            return Ok(());
        };
        if deadline <= k.now() {
            return Err(k.bugcheck(failure(
                [IRP_TIMED_OUT, pdo.get(), 0, irp.get()],
                format!("the power IRP {irp} sent to device {pdo} has not ended after ten minutes"),
            )));
        }
        idle.wait_until(k, "power IRPs", Some(deadline)).await?;
    }
}

/// What the machine stops with when the PnP manager keeps a power transition waiting.
pub(super) fn pnp_timed_out() -> BugCheck {
    let message = "a power transition has waited ten minutes for the PnP manager to finish".to_owned();
    failure([PNP_TIMED_OUT, TIMEOUT / 1_000_000_000, 0, 0], message)
}

fn failure(parameters: [u64; 4], message: String) -> BugCheck {
    BugCheck::new(
        Code::DRIVER_POWER_STATE_FAILURE,
        parameters,
        "power-state-failure",
        message,
    )
}

/// Whether the driver of `device` has no power IRP: its device object may be deleted.
///
/// # Errors
/// When it has one.
pub(super) fn check_idle(k: &Kernel, device: Va) -> Outcome<()> {
    let watched: Vec<Va> = {
        let manager = k.state::<PowerManager>();
        let manager = manager.borrow();
        manager.watchdog.watched.keys().copied().collect()
    };
    for irp in watched {
        let record = k.io().borrow().irps.find(irp);
        // In its completion routine a driver is done with the IRP, whatever it does to its device there.
        let Some(record) = record.filter(|record| !record.in_routine.get()) else {
            continue;
        };
        let number: u8 = k.read(irp + layout::CURRENT_LOCATION)?;
        if number > record.stack_count() || record.passed(number).is_some() {
            continue;
        }
        let location = io::irp::location(irp, number);
        let holder: Va = k.read(location + stack::DEVICE_OBJECT)?;
        // One that is not marked pending has just come to the dispatch routine, which turns it away: no driver can wait for that.
        let control: u8 = k.read(location + stack::CONTROL)?;
        if holder == device && control & io::irp::SL_PENDING_RETURNED != 0 {
            return Err(k.bugcheck(failure(
                [FREED_WITH_IRP, device.get(), 0, 0],
                format!("device {device} is deleted while its driver has the power IRP {irp}"),
            )));
        }
    }
    Ok(())
}
