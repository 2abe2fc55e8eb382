//! The devices on a bus: `IRP_MN_QUERY_DEVICE_RELATIONS` for `BusRelations`, `IoInvalidateDeviceRelations`.
//!
//! A bus driver answers with a list in paged pool, which the PnP manager frees, of physical device objects that it has referenced. One that
//! is new is identified and gets its drivers; one that was there before and is not in the list has gone.

use std::{collections::BTreeSet, future::Future, pin::Pin};

use ntlayout::{device_relations as layout, io_stack_location as stack};

use super::{
    DeviceState, Minor, Origin, identify,
    manager::{begin, build_stack, end, state, with_node},
    removal::{send_remove, send_surprise_removal},
    send::send,
    start::start,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Contract, Registry},
    ex,
    io::violation::{IoRule, violation},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    ob,
    sched::ThreadSpec,
    trace::Event,
};

/// `BusRelations`.
const BUS_RELATIONS: u32 = 0;
/// `SingleBusRelations`.
const SINGLE_BUS_RELATIONS: u32 = 6;

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoInvalidateDeviceRelations", 2, contract, |k, a| {
        invalidate(k, a.va(0), a.u32(1))
    });
}

/// `IoInvalidateDeviceRelations(DeviceObject, Type)`: has the PnP manager ask what is on the bus, in a thread of its own. Other relations
/// are asked for when they are needed.
fn invalidate(k: &Kernel, pdo: Va, kind: u32) -> Outcome<()> {
    if super::state(k, pdo).is_none() {
        return Err(super::not_a_pdo(k, "IoInvalidateDeviceRelations", pdo));
    }
    if kind != BUS_RELATIONS && kind != SINGLE_BUS_RELATIONS {
        return Ok(());
    }
    k.spawn(ThreadSpec::system("PnP: bus relations"), move |k| async move {
        begin(&k).await?;
        if state(&k, pdo) == DeviceState::Started {
            refresh(&k, pdo).await?;
        }
        end(&k);
        Ok(())
    });
    Ok(())
}

/// Asks what is on the bus that the started device `parent` is, and acts on it.
pub(super) fn refresh(k: &Kernel, parent: Va) -> Pin<Box<dyn Future<Output = Outcome<()>> + '_>> {
    Box::pin(async move {
        let Some(reported) = query(k, parent).await? else {
            return Ok(());
        };
        let known: BTreeSet<Va> = super::children(k, parent).into_iter().collect();
        for &gone in known.iter().filter(|child| !reported.contains(child)) {
            depart(k, gone).await?;
        }
        for pdo in reported {
            if !super::is_pdo(k, pdo) {
                arrive(k, parent, pdo).await?;
            }
        }
        Ok(())
    })
}

/// A device is on the bus that was not there before: it gets its drivers and is started.
async fn arrive(k: &Kernel, parent: Va, pdo: Va) -> Outcome<()> {
    let found = identify::identify(k, parent, pdo).await?;
    if found.drivers.is_empty() && !found.raw {
        k.trace(Event::Note("the device has no driver, and stays as it is".to_owned()));
        return Ok(());
    }
    if !build_stack(k, pdo, &found.drivers).await?.is_success() {
        return Ok(());
    }
    start(k, pdo).await?;
    Ok(())
}

/// A device is no longer on the bus.
async fn depart(k: &Kernel, pdo: Va) -> Outcome<()> {
    with_node(k, pdo, |node| node.missing = true);
    k.trace(Event::Note("a device is no longer on its bus".to_owned()));
    if state(k, pdo) <= DeviceState::Added {
        return send_remove(k, pdo).await;
    }
    send_surprise_removal(k, pdo).await
}

/// What the bus driver reports; none when nobody has answered, and everything is as it was.
async fn query(k: &Kernel, parent: Va) -> Outcome<Option<Vec<Va>>> {
    let io_status = send(k, parent, Minor::QUERY_DEVICE_RELATIONS, |k, location| {
        k.write(location + stack::DEVICE_RELATIONS_TYPE, BUS_RELATIONS)
    })
    .await?;
    if !io_status.status.is_success() {
        return Ok(None);
    }
    if io_status.information == 0 {
        return Ok(Some(Vec::new()));
    }
    let list = Va(io_status.information);
    let count: u32 = k.read(list + layout::COUNT)?;
    let object = |index: u32| k.read(list + layout::OBJECTS + 8 * u64::from(index));
    let objects = (0..count).map(object).collect::<Outcome<Vec<Va>>>()?;
    free_answer(k, list)?;
    for (index, &pdo) in objects.iter().enumerate() {
        check(k, parent, pdo, index, &objects)?;
        ob::reference::dereference(k, pdo).await?;
    }
    Ok(Some(objects))
}

/// What a driver has allocated from paged pool for its answer, the PnP manager frees.
pub(super) fn free_answer(k: &Kernel, answer: Va) -> Outcome<()> {
    match k.try_free_pool(answer) {
        Ok(_) => Ok(()),
        Err(error) => Err(k.bugcheck(ex::pool::bad_free(k, answer, &error))),
    }
}

/// Stops for a device object that is no child of `parent`'s.
fn check(k: &Kernel, parent: Va, pdo: Va, index: usize, objects: &[Va]) -> Outcome<()> {
    const DUPLICATE: u64 = 0x1;
    const DELETED: u64 = 0x4;
    const NOT_REFERENCED: u64 = 0x5;
    const NULL: u64 = 0x8;
    let fail = |parameters, message| Err(fatal(k, parameters, "bus-relations", message));
    if pdo.is_null() {
        let message = format!("device {parent} reported a null device object on its bus, number {index}");
        return fail([NULL, parent.get(), objects.len() as u64, index as u64], message);
    }
    let (exists, deleted, attached) = {
        let devices = &k.io().borrow().devices;
        (
            devices.exists(pdo),
            devices.is_deleted(pdo),
            devices.below(pdo).is_some(),
        )
    };
    if exists && deleted {
        let message = format!("device {parent} reported device {pdo} on its bus, which it has deleted");
        return fail([DELETED, pdo.get(), 0, 0], message);
    }
    let of_another = {
        let io = k.io().borrow();
        let node = io.pnp.nodes.get(&pdo);
        node.is_some_and(|node| node.origin != Origin::Child(parent))
    };
    if !exists || attached || of_another {
        let message =
            format!("device {parent} reported {pdo} on its bus, which is no physical device object of its own");
        return Err(violation(k, IoRule::RELATION_NOT_A_PDO, Va::NULL, pdo, message));
    }
    if objects[..index].contains(&pdo) {
        let message = format!("device {parent} reported device {pdo} on its bus twice");
        return fail([DUPLICATE, pdo.get(), pdo.get(), 0], message);
    }
    if ob::reference::count(k, pdo) == 0 {
        let message = format!(
            "device {parent} reported device {pdo} on its bus without a reference to it: ObReferenceObject comes before each answer"
        );
        return fail([NOT_REFERENCED, pdo.get(), 0, 0], message);
    }
    Ok(())
}

/// `PNP_DETECTED_FATAL_ERROR`.
pub(super) fn fatal(k: &Kernel, parameters: [u64; 4], rule: &'static str, message: String) -> Halted {
    k.bugcheck(BugCheck::new(Code::PNP_DETECTED_FATAL_ERROR, parameters, rule, message))
}
