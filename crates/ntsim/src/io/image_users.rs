//! What keeps a driver from being unloaded: a work item that is queued or runs ("Releasing Driver-Allocated Resources"), a completion routine that was
//! registered with `IoSetCompletionRoutineEx`. The I/O manager references the device object until the routine has returned.

use std::collections::BTreeMap;

use ntlayout::device_object as layout;

use crate::{bugcheck::Outcome, kernel::Kernel, mm::Va, sched::WaitQueue};

/// By driver object.
#[derive(Debug, Default)]
struct Users {
    counts: BTreeMap<Va, u32>,
    waiters: WaitQueue,
}

/// A routine of the driver of `device` is going to run; the driver, for [`leave`].
pub(super) fn enter(k: &Kernel, device: Va) -> Outcome<Va> {
    let driver: Va = k.read(device + layout::DRIVER_OBJECT)?;
    *k.state::<Users>().borrow_mut().counts.entry(driver).or_default() += 1;
    Ok(driver)
}

/// The routine has returned.
pub(super) fn leave(k: &Kernel, driver: Va) {
    let waiters = {
        let users = k.state::<Users>();
        let mut users = users.borrow_mut();
        if let Some(count) = users.counts.get_mut(&driver) {
            *count = count.saturating_sub(1);
        }
        users.waiters.clone()
    };
    waiters.wake_all(k);
}

/// Waits until no such routine of the driver is left.
pub(super) async fn wait(k: &Kernel, driver: Va) -> Outcome<()> {
    loop {
        let (count, waiters) = {
            let users = k.state::<Users>();
            let users = users.borrow();
            let count = users.counts.get(&driver).copied().unwrap_or_default();
            (count, users.waiters.clone())
        };
        if count == 0 {
            return Ok(());
        }
        let why = format!("{count} routines of driver {driver} to return");
        waiters.wait(k, why).await?;
    }
}
