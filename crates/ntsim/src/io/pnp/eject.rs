//! `IoRequestDeviceEject`: the user, or the device itself, wants the device to be taken out.

use super::{
    DeviceState, Minor, Origin, Removal,
    manager::{begin, end, state, with_node},
    relations,
    removal::query_and_remove,
    send::send,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::ThreadSpec,
};

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoRequestDeviceEject", 1, contract, |k, a| request(k, a.va(0)));
}

/// Removes the device in order, has its bus driver eject it, and asks what is on the bus then: all in a thread of the PnP manager's.
fn request(k: &Kernel, pdo: Va) -> Outcome<()> {
    if super::state(k, pdo).is_none() {
        return Err(super::not_a_pdo(k, "IoRequestDeviceEject", pdo));
    }
    k.spawn(ThreadSpec::system("PnP: eject"), move |k| async move {
        begin(&k).await?;
        if state(&k, pdo) < DeviceState::SurpriseRemoved && query_and_remove(&k, pdo).await? == Removal::Done {
            send(&k, pdo, Minor::EJECT, |_, _| Ok(())).await?;
            if let Origin::Child(parent) = with_node(&k, pdo, |node| node.origin) {
                relations::refresh(&k, parent).await?;
            }
        }
        end(&k);
        Ok(())
    });
    Ok(())
}
