//! Work items: allocated by the system (`IoAllocateWorkItem`, `IoFreeWorkItem`) or in the driver's memory (`IoInitializeWorkItem`,
//! `IoUninitializeWorkItem`), and queued by `IoQueueWorkItem`, `IoQueueWorkItemEx` and `IoTryQueueWorkItem`.
//!
//! A queued item keeps its device object until its routine has returned. The item itself leaves the queue before the routine is
//! called, so that the routine may free it or queue it again.

use std::collections::BTreeMap;

use super::{device, image_users};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::ThreadSpec,
    trace::Event,
    verifier::SyncObject,
};

/// Bytes of an `IO_WORKITEM`. Its contents are the system's own business.
const SIZE: usize = 0x58;
/// `DelayedWorkQueue` of `WORK_QUEUE_TYPE`: the one that drivers must specify.
const DELAYED_WORK_QUEUE: u32 = 1;

/// Parameter 1 of the bug check for a work item that is queued twice.
const QUEUED_TWICE: u64 = 1;
/// The same for one that is freed while it is queued.
const FREED_WHILE_QUEUED: u64 = 2;
/// The same for one that belongs to something that is no device object.
const INVALID_OBJECT: u64 = 3;
/// The same for one that is none.
const NOT_INITIALIZED: u64 = 5;
/// The same for a queue that is not the driver's to use.
const INVALID_QUEUE: u64 = 6;

/// All work items.
pub(super) type WorkItems = BTreeMap<Va, WorkItem>;

/// What the I/O manager knows of a work item.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkItem {
    device: Va,
    /// The routine that it is queued for.
    queued: Option<Va>,
    /// It lies in the driver's memory.
    in_driver_memory: bool,
}

/// A call of `IoQueueWorkItem` or `IoQueueWorkItemEx`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub routine: Va,
    pub queue_type: u32,
    pub context: u64,
    /// The routine is given the work item as a third argument.
    pub extended: bool,
}

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoAllocateWorkItem", 1, contract, |k, a| allocate(k, a.va(0)));
    ddi.function("IoFreeWorkItem", 1, contract, |k, a| free(k, a.va(0)));
    for (name, extended) in [("IoQueueWorkItem", false), ("IoQueueWorkItemEx", true)] {
        ddi.function(name, 4, contract, move |k, a| {
            let work = Work {
                routine: a.va(1),
                queue_type: a.u32(2),
                context: a.u64(3),
                extended,
            };
            queue(k, a.va(0), work)
        });
    }
    ddi.function("IoTryQueueWorkItem", 4, contract, |k, a| {
        let work = Work {
            routine: a.va(1),
            queue_type: a.u32(2),
            context: a.u64(3),
            extended: true,
        };
        try_queue(k, a.va(0), work)
    });
    let size = u32::try_from(SIZE).expect("it is small");
    ddi.function("IoSizeofWorkItem", 0, contract, move |_, _| Ok(size));
    ddi.function("IoInitializeWorkItem", 2, contract, |k, a| {
        initialize(k, a.va(0), a.va(1))
    });
    ddi.function("IoUninitializeWorkItem", 1, contract, |k, a| uninitialize(k, a.va(0)));
}

/// `IoAllocateWorkItem`.
pub(super) fn allocate(k: &Kernel, device: Va) -> Outcome<Va> {
    let item = k.allocate_system(SIZE, "IO_WORKITEM")?;
    add(k, item, device, false)?;
    Ok(item)
}

/// `IoInitializeWorkItem`: `item` is [`SIZE`] bytes of the driver's memory.
pub(super) fn initialize(k: &Kernel, device: Va, item: Va) -> Outcome<()> {
    k.fill(item, 0, SIZE)?;
    let queued = k.io().borrow().work_items.get(&item).and_then(|known| known.queued);
    if let Some(routine) = queued {
        let message = format!("the work item {item} is initialized while it is queued for the routine {routine}");
        return Err(invalid(k, [FREED_WHILE_QUEUED, item.get(), routine.get(), 0], message));
    }
    k.note_made(item);
    add(k, item, device, true)
}

fn add(k: &Kernel, item: Va, device: Va, in_driver_memory: bool) -> Outcome<()> {
    if !k.io().borrow().devices.exists(device) {
        let message = format!("the work item {item} is made for {device}, which is no device object");
        return Err(invalid(k, [INVALID_OBJECT, item.get(), device.get(), 0], message));
    }
    let known = WorkItem {
        device,
        queued: None,
        in_driver_memory,
    };
    k.io().borrow_mut().work_items.insert(item, known);
    Ok(())
}

/// `IoFreeWorkItem`.
pub(super) fn free(k: &Kernel, item: Va) -> Outcome<()> {
    forget(k, item, "freed")?;
    // What was never allocated, or was freed before, is caught here.
    k.free_system(item)
}

/// `IoUninitializeWorkItem`.
pub(super) fn uninitialize(k: &Kernel, item: Va) -> Outcome<()> {
    // Touches the item: memory that was freed is found as such.
    k.read::<u64>(item)?;
    let known = k.io().borrow().work_items.get(&item).copied();
    if known.is_none_or(|known| !known.in_driver_memory) {
        let message =
            format!("IoUninitializeWorkItem was given {item}, which IoInitializeWorkItem has not made a work item");
        return Err(invalid(k, [NOT_INITIALIZED, item.get(), 0, 0], message));
    }
    forget(k, item, "uninitialized")
}

/// Strikes the item off the books; it must not be queued.
fn forget(k: &Kernel, item: Va, done: &str) -> Outcome<()> {
    let known = k.io().borrow_mut().work_items.remove(&item);
    if let Some(routine) = known.and_then(|known| known.queued) {
        let message = format!("the work item {item} is {done} while it is queued for the routine {routine}");
        return Err(invalid(k, [FREED_WHILE_QUEUED, item.get(), routine.get(), 0], message));
    }
    Ok(())
}

/// Memory that is being freed must hold no work item that is still initialized.
///
/// # Errors
/// When it does.
pub(super) fn check_freed(k: &Kernel, start: Va, length: u64) -> Outcome<()> {
    let found = {
        let io = k.io().borrow();
        let mut items = io.work_items.range(start..);
        items
            .next()
            .filter(|(item, known)| **item - start < length && known.in_driver_memory)
            .map(|(&item, known)| (item, known.queued))
    };
    let Some((item, queued)) = found else {
        return Ok(());
    };
    let message = format!("memory at {start} is freed, but the work item {item} in it was not uninitialized");
    let routine = queued.unwrap_or(Va::NULL);
    Err(invalid(k, [FREED_WHILE_QUEUED, item.get(), routine.get(), 0], message))
}

/// `IoTryQueueWorkItem`: as [`queue`], but an item that is queued already is left as it is. Says whether it was queued now.
pub(super) fn try_queue(k: &Kernel, item: Va, work: Work) -> Outcome<bool> {
    let known = k.io().borrow().work_items.get(&item).copied();
    if known.is_some_and(|known| known.queued.is_some()) {
        return Ok(false);
    }
    queue(k, item, work)?;
    Ok(true)
}

/// `IoQueueWorkItem` and `IoQueueWorkItemEx`: the routine runs at `PASSIVE_LEVEL` in a system worker thread.
pub(super) fn queue(k: &Kernel, item: Va, work: Work) -> Outcome<()> {
    // Touches the item: one that was freed is found as such.
    k.read::<u64>(item)?;
    let queue_type = u64::from(work.queue_type);
    if work.queue_type != DELAYED_WORK_QUEUE {
        let message = format!("the work item {item} is put into queue {queue_type}; drivers use DelayedWorkQueue");
        return Err(invalid(k, [INVALID_QUEUE, item.get(), queue_type, 0], message));
    }
    let known = k.io().borrow().work_items.get(&item).copied();
    let Some(WorkItem { device, queued, .. }) = known else {
        let message = format!("{item} is queued, but is no work item");
        return Err(invalid(k, [NOT_INITIALIZED, item.get(), queue_type, 0], message));
    };
    if queued.is_some() {
        let message = format!("the work item {item} is queued while it is queued");
        return Err(invalid(k, [QUEUED_TWICE, item.get(), queue_type, 0], message));
    }
    set_queued(k, item, Some(work.routine));
    device::reference(k, device)?;
    let driver = image_users::enter(k, device)?;
    k.trace(Event::Note("work item queued".to_owned()));
    k.sync_release(SyncObject::WorkItem(item.get()));
    k.spawn(ThreadSpec::system("worker"), move |k| async move {
        run(&k, item, device, work).await?;
        image_users::leave(&k, driver);
        Ok(())
    });
    Ok(())
}

async fn run(k: &Kernel, item: Va, device: Va, work: Work) -> Outcome<()> {
    set_queued(k, item, None);
    k.sync_acquire(SyncObject::WorkItem(item.get()));
    let arguments = [device.get(), work.context, item.get()];
    let arguments = if work.extended { &arguments[..] } else { &arguments[..2] };
    k.call(work.routine, arguments).label("work item").await?;
    device::dereference(k, device)
}

fn set_queued(k: &Kernel, item: Va, queued: Option<Va>) {
    if let Some(known) = k.io().borrow_mut().work_items.get_mut(&item) {
        known.queued = queued;
    }
}

fn invalid(k: &Kernel, parameters: [u64; 4], message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::WORKER_INVALID,
        parameters,
        "work-item-misused",
        message,
    ))
}
