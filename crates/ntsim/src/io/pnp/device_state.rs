//! What a device's drivers say of its state: `IRP_MN_QUERY_PNP_DEVICE_STATE`, `IoInvalidateDeviceState`.

use super::{
    DeviceState, Minor,
    manager::{begin, end, state, with_node},
    removal::send_surprise_removal,
    send::send,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::ThreadSpec,
    trace::Event,
};

/// `PNP_DEVICE_DISABLED`.
const DISABLED: u64 = 0x01;
/// `PNP_DEVICE_FAILED`.
const FAILED: u64 = 0x04;
/// `PNP_DEVICE_REMOVED`.
const REMOVED: u64 = 0x08;
/// `PNP_DEVICE_NOT_DISABLEABLE`.
const NOT_DISABLEABLE: u64 = 0x20;

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoInvalidateDeviceState", 1, contract, |k, a| invalidate(k, a.va(0)));
}

/// `IoInvalidateDeviceState`: has the PnP manager ask the device's drivers for its state, in a thread of its own.
fn invalidate(k: &Kernel, pdo: Va) -> Outcome<()> {
    if super::state(k, pdo).is_none() || k.io().borrow().devices.is_deleted(pdo) {
        return Err(super::not_a_pdo(k, "IoInvalidateDeviceState", pdo));
    }
    k.spawn(ThreadSpec::system("PnP: device state"), move |k| async move {
        begin(&k).await?;
        // Only a started device is asked when it is started anyway; until then, and after it has gone, its state is of no interest.
        if matches!(
            state(&k, pdo),
            DeviceState::Started | DeviceState::StopPending | DeviceState::RemovePending
        ) {
            query(&k, pdo).await?;
        }
        end(&k);
        Ok(())
    });
    Ok(())
}

/// Asks the drivers for the device's state. One that has failed, is disabled or gone is removed as one that was pulled out.
pub(super) async fn query(k: &Kernel, pdo: Va) -> Outcome<()> {
    let io_status = send(k, pdo, Minor::QUERY_PNP_DEVICE_STATE, |_, _| Ok(())).await?;
    if !io_status.status.is_success() {
        return Ok(());
    }
    let flags = io_status.information;
    with_node(k, pdo, |node| node.not_disableable = flags & NOT_DISABLEABLE != 0);
    let what = match flags {
        _ if flags & REMOVED != 0 => "is gone",
        _ if flags & FAILED != 0 => "has failed",
        _ if flags & DISABLED != 0 => "is disabled",
        _ => return Ok(()),
    };
    k.trace(Event::Note(format!("the device's driver reports that it {what}")));
    send_surprise_removal(k, pdo).await
}
