//! How a device is removed: in order, after its drivers were asked; and by surprise.

use super::{
    DeviceState, Minor, Origin,
    manager::{begin, end, set_state, state, with_node},
    send::send,
};
use crate::{
    bugcheck::Outcome,
    hal,
    io::{
        device, notification,
        violation::{IoRule, verify, violation},
    },
    kernel::Kernel,
    mm::Va,
    sched::ThreadSpec,
    status::NtStatus,
    trace::Event,
};

/// What came of an orderly removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The device's drivers have let go of it.
    Done,
    /// A driver answered `IRP_MN_QUERY_REMOVE_DEVICE` with this status.
    RefusedByDriver(NtStatus),
    /// Handles are open (`PNP_VetoOutstandingOpen`).
    HandlesOpen(u32),
    /// A driver has said that the system needs the device (`PNP_DEVICE_NOT_DISABLEABLE`).
    NotDisableable,
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

/// Asks the drivers of the device and of all devices below it, and removes them if nobody objects, those farthest from it first.
pub(super) async fn query_and_remove(k: &Kernel, pdo: Va) -> Outcome<Removal> {
    let tree = super::subtree(k, pdo);
    if tree
        .iter()
        .any(|&device| with_node(k, device, |node| node.not_disableable))
    {
        return Ok(Removal::NotDisableable);
    }
    let mut objection = None;
    let mut asked = Vec::new();
    for &device in &tree {
        let status = match state(k, device) {
            DeviceState::RemovePending => NtStatus::SUCCESS,
            _ => send_query_remove(k, device).await?,
        };
        asked.push(device);
        let open = with_node(k, device, |node| node.open);
        objection = match (status.is_success(), open) {
            (true, 0) => continue,
            (true, open) => Some(Removal::HandlesOpen(open)),
            (false, _) => Some(Removal::RefusedByDriver(status)),
        };
        break;
    }
    if let Some(objection) = objection {
        for device in asked.into_iter().rev() {
            send_cancel_remove(k, device).await?;
        }
        return Ok(objection);
    }
    for device in tree {
        send_remove(k, device).await?;
    }
    Ok(Removal::Done)
}

/// Asks those who have registered for the device, and then its drivers.
async fn send_query_remove(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    let refused = notification::query_remove(k, pdo).await?;
    if !refused.is_success() {
        return Ok(refused);
    }
    Ok(send(k, pdo, Minor::QUERY_REMOVE_DEVICE, |_, _| Ok(())).await?.status)
}

/// Asks the device's drivers whether it can be removed. Until [`remove_device`] or [`cancel_remove_device`] it is about to go.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn query_remove_device(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    begin(k).await?;
    let before = state(k, pdo);
    let status = send_query_remove(k, pdo).await?;
    if status.is_success() {
        with_node(k, pdo, |node| node.before_removal = Some(before));
        set_state(k, pdo, DeviceState::RemovePending);
    } else {
        send_cancel_remove(k, pdo).await?;
    }
    end(k);
    Ok(status)
}

/// Takes [`query_remove_device`] back.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn cancel_remove_device(k: &Kernel, pdo: Va) -> Outcome<()> {
    begin(k).await?;
    send_cancel_remove(k, pdo).await?;
    end(k);
    Ok(())
}

async fn send_cancel_remove(k: &Kernel, pdo: Va) -> Outcome<()> {
    send(k, pdo, Minor::CANCEL_REMOVE_DEVICE, |_, _| Ok(())).await?;
    let before = with_node(k, pdo, |node| node.before_removal.take());
    if let Some(before) = before {
        set_state(k, pdo, before);
    }
    notification::remove_cancelled(k, pdo).await?;
    Ok(())
}

/// The device is pulled out, and the system notices: `IRP_MN_SURPRISE_REMOVAL` has been handled when this returns;
/// `IRP_MN_REMOVE_DEVICE` follows when the last file object on the device has gone.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn surprise_remove(k: &Kernel, pdo: Va) -> Outcome<()> {
    match super::slot(k, pdo) {
        Some(slot) => k.bus().borrow_mut().function_mut(slot).unplug(),
        None => with_node(k, pdo, |node| node.missing = true),
    }
    k.trace(Event::Note("the device was pulled out".to_owned()));
    begin(k).await?;
    send_surprise_removal(k, pdo).await?;
    end(k);
    Ok(())
}

/// The system takes the device for gone while it is plugged in and works, as after a restart that has failed, when a driver reports that it
/// has failed or is disabled, or in the HLK's surprise-removal tests: "Handling an `IRP_MN_SURPRISE_REMOVAL` Request".
///
/// `IRP_MN_SURPRISE_REMOVAL` has been handled when this returns, and `IRP_MN_REMOVE_DEVICE` follows when the last file object on the device
/// has gone. The device answers, interrupts and reaches memory until the bus driver cuts it off: a driver that
/// does not silence it before lets go of it too early.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn surprise_remove_present(k: &Kernel, pdo: Va) -> Outcome<()> {
    begin(k).await?;
    k.trace(Event::Note("the device is taken for gone, but is there".to_owned()));
    send_surprise_removal(k, pdo).await?;
    end(k);
    Ok(())
}

/// Sends `IRP_MN_SURPRISE_REMOVAL`, once, to the devices below this one as well, which are gone with it; `IRP_MN_REMOVE_DEVICE` follows
/// from other threads.
pub(super) async fn send_surprise_removal(k: &Kernel, pdo: Va) -> Outcome<()> {
    for device in super::subtree(k, pdo) {
        if device != pdo {
            with_node(k, device, |node| node.missing = true);
        }
        surprise_one(k, device).await?;
    }
    Ok(())
}

async fn surprise_one(k: &Kernel, pdo: Va) -> Outcome<()> {
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
        for child in super::children(&k, pdo) {
            wait_for_removal(&k, child).await?;
        }
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
        verify(k, IoRule::DETACHED_AT_SURPRISE, Va::NULL, top, message)?;
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
pub(super) async fn send_remove(k: &Kernel, pdo: Va) -> Outcome<()> {
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
    check_object_of_child(k, pdo)?;
    hal::check_put(k, pdo, "IRP_MN_REMOVE_DEVICE")?;
    notification::remove_complete(k, pdo).await?;
    k.trace(Event::Note("the device was removed".to_owned()));
    set_state(k, pdo, DeviceState::Removed);
    Ok(())
}

/// A bus driver deletes the physical device object of a device that it has reported missing, and of no other, at `IRP_MN_REMOVE_DEVICE`
/// ("Removing a Device in a Bus Driver").
fn check_object_of_child(k: &Kernel, pdo: Va) -> Outcome<()> {
    let (origin, missing) = with_node(k, pdo, |node| (node.origin, node.missing));
    let deleted = k.io().borrow().devices.is_deleted(pdo);
    if !matches!(origin, Origin::Child(_)) || deleted == missing {
        return Ok(());
    }
    if deleted {
        let message = format!(
            "the physical device object {pdo} was deleted at IRP_MN_REMOVE_DEVICE, but its bus driver has not reported the device missing"
        );
        return Err(violation(k, IoRule::DELETED_PRESENT, Va::NULL, pdo, message));
    }
    let message = format!(
        "the physical device object {pdo} still exists after IRP_MN_REMOVE_DEVICE, although its bus driver has reported the device missing"
    );
    Err(violation(k, IoRule::NOT_DELETED_AT_REMOVE, Va::NULL, pdo, message))
}
