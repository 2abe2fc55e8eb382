//! Deferred procedure calls: `KeInitializeDpc`, `KeInsertQueueDpc`, `KeRemoveQueueDpc`, `KeFlushQueuedDpcs`.
//!
//! Each processor has its queue. A DPC that is queued already is not queued again, whatever its arguments; it may be queued
//! again from the moment it is taken off the queue to run.

mod generic;
pub(super) mod threaded;

use ntlayout::kdpc;

use super::Irql;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    sched::{Activity, ActivityKind, WaitQueue, watchdog},
    status::NtStatus,
    trace::{Counter, Event},
    verifier::SyncObject,
};

/// What the kernel knows about DPCs beside the queues.
#[derive(Debug, Default)]
pub struct Dpcs {
    /// Threads that wait for queued DPCs to have run.
    flushers: WaitQueue,
    /// The DPCs whose routines are being called; one that was queued again can be here twice.
    running: Vec<Va>,
}

/// `DpcObject` of `KOBJECTS`.
const DPC_OBJECT: u8 = 19;
/// `MediumImportance`, what `KeInitializeDpc` sets.
const MEDIUM_IMPORTANCE: u8 = 1;
/// `HighImportance`: to the front of the queue.
const HIGH_IMPORTANCE: u8 = 2;
/// `KeSetTargetProcessorDpc` stores the processor's number plus this; less means "where it is queued".
const TARGETED: u16 = 2048;

/// Parameter 1 of the bug check for a DPC whose processor is not there.
const WRONG_PROCESSOR: u64 = 3;

/// A DPC must not be queued when it is initialized: the queue would lead through memory that says it is not in it.
///
/// # Errors
/// When it is.
pub(crate) fn check_initialization(k: &Kernel, dpc: Va) -> Outcome<()> {
    const DPC_OBJECT: u64 = 1;
    if queued_within(k, dpc, 1).is_none() {
        return Ok(());
    }
    Err(k.bugcheck(BugCheck::new(
        Code::TIMER_OR_DPC_INVALID,
        [DPC_OBJECT, dpc.get(), dpc.get(), (dpc + kdpc::SIZE).get()],
        "queued-dpc-initialized",
        format!("the DPC at {dpc} is initialized while it is queued"),
    )))
}

/// `KeInitializeDpc`.
///
/// # Errors
/// When the object's memory cannot be written.
pub fn initialize(k: &Kernel, dpc: Va, routine: Va, context: Va) -> Outcome<()> {
    k.fill(dpc, 0, kdpc::SIZE)?;
    k.write(dpc + kdpc::TYPE, DPC_OBJECT)?;
    k.write(dpc + kdpc::IMPORTANCE, MEDIUM_IMPORTANCE)?;
    k.write(dpc + kdpc::DEFERRED_ROUTINE, routine)?;
    k.write(dpc + kdpc::DEFERRED_CONTEXT, context)
}

/// `KeInsertQueueDpc`: says whether the DPC was not queued already.
///
/// # Errors
/// When the object's memory cannot be accessed.
pub fn insert(k: &Kernel, dpc: Va, argument1: u64, argument2: u64) -> Outcome<bool> {
    // What the caller did before is visible to the routine even when the request coalesces: the DPC has not started yet.
    k.sync_release(SyncObject::Dpc(dpc.get()));
    enqueue(k, dpc, argument1, argument2, k.processor())
}

/// Queues a DPC on processor `own`, or the one it is targeted to: says whether it was not queued already.
pub(super) fn enqueue(k: &Kernel, dpc: Va, argument1: u64, argument2: u64, own: usize) -> Outcome<bool> {
    let queued: u64 = k.read(dpc + kdpc::DPC_DATA)?;
    if queued != 0 {
        k.count(Counter::DpcsCoalesced);
        k.trace(Event::DpcCoalesced { dpc });
        return Ok(false);
    }
    let number: u16 = k.read(dpc + kdpc::NUMBER)?;
    let importance: u8 = k.read(dpc + kdpc::IMPORTANCE)?;
    let target = number.checked_sub(TARGETED).map_or(own, usize::from);
    k.write(dpc + kdpc::SYSTEM_ARGUMENT1, argument1)?;
    k.write(dpc + kdpc::SYSTEM_ARGUMENT2, argument2)?;
    let queue = k.scheduler().borrow().processors[target].kpcr;
    k.write(dpc + kdpc::DPC_DATA, queue)?;
    if threaded::is_threaded(k, dpc)? {
        threaded::enqueue(k, dpc, target);
        k.count(Counter::DpcsQueued);
        k.trace(Event::DpcQueued { dpc, processor: target });
        return Ok(true);
    }
    {
        let mut scheduler = k.scheduler().borrow_mut();
        let processor = &mut scheduler.processors[target];
        if importance == HIGH_IMPORTANCE {
            processor.dpc_queue.push_front(dpc);
        } else {
            processor.dpc_queue.push_back(dpc);
        }
        processor.dpcs_queued += 1;
        processor.dpc_requested |= target == own;
    }
    k.count(Counter::DpcsQueued);
    k.trace(Event::DpcQueued { dpc, processor: target });
    Ok(true)
}

/// `KeRemoveQueueDpc`: says whether the DPC was queued.
///
/// # Errors
/// When the object's memory cannot be accessed.
pub fn remove(k: &Kernel, dpc: Va) -> Outcome<bool> {
    let queued: u64 = k.read(dpc + kdpc::DPC_DATA)?;
    if queued == 0 {
        return Ok(false);
    }
    for processor in &mut k.scheduler().borrow_mut().processors {
        let before = processor.dpc_queue.len();
        processor.dpc_queue.retain(|&other| other != dpc);
        processor.dpcs_retired += (before - processor.dpc_queue.len()) as u64;
    }
    threaded::remove(k, dpc);
    k.write(dpc + kdpc::DPC_DATA, 0_u64)?;
    k.count(Counter::DpcsRemoved);
    wake_flushers(k);
    Ok(true)
}

/// `KeFlushQueuedDpcs`: returns when every DPC that was queued on any processor before the call has run.
///
/// # Errors
/// When the current activity may not wait.
pub async fn flush(k: &Kernel) -> Outcome<()> {
    let goals: Vec<u64> = k
        .scheduler()
        .borrow()
        .processors
        .iter()
        .map(|processor| processor.dpcs_queued)
        .collect();
    let flushers = k.ke().borrow().dpc.flushers.clone();
    while !retired(k, &goals) {
        flushers.wait(k, "queued DPCs to have run").await?;
    }
    for processor in 0..goals.len() {
        k.sync_acquire(drained(processor));
    }
    threaded::flush(k).await
}

fn retired(k: &Kernel, goals: &[u64]) -> bool {
    let scheduler = k.scheduler().borrow();
    let mut pairs = scheduler.processors.iter().zip(goals);
    pairs.all(|(processor, &goal)| processor.dpcs_retired >= goal)
}

/// What a DPC did comes before whatever follows a flush.
fn drained(processor: usize) -> SyncObject {
    SyncObject::WorkItem(processor as u64)
}

fn wake_flushers(k: &Kernel) {
    let flushers = k.ke().borrow().dpc.flushers.clone();
    flushers.wake_all(k);
}

/// The dispatch interrupt: the processor drains its queue at `DISPATCH_LEVEL`.
pub(crate) fn start_drain(k: &Kernel, processor: usize) {
    let flow = drain(k.clone(), processor);
    let mut scheduler = k.scheduler().borrow_mut();
    let this = &mut scheduler.processors[processor];
    let mut activity = Activity::new(ActivityKind::Dpc, "DPC drain", Box::pin(flow), this.dpc_stack);
    activity.resume_irql = this.irql;
    this.irql = Irql::DISPATCH;
    this.dpc_requested = false;
    this.activities.push(activity);
}

async fn drain(k: Kernel, processor: usize) -> Outcome<u64> {
    loop {
        let next = k.scheduler().borrow_mut().processors[processor].dpc_queue.pop_front();
        let Some(dpc) = next else {
            return Ok(0);
        };
        run(&k, dpc).await?;
        k.scheduler().borrow_mut().processors[processor].dpcs_retired += 1;
        k.sync_release(drained(processor));
        wake_flushers(&k);
        // Interrupts and other processors may come between two DPCs.
        k.yield_now().await?;
    }
}

async fn run(k: &Kernel, dpc: Va) -> Outcome<()> {
    let routine: Va = k.read(dpc + kdpc::DEFERRED_ROUTINE)?;
    let context: u64 = k.read(dpc + kdpc::DEFERRED_CONTEXT)?;
    let argument1: u64 = k.read(dpc + kdpc::SYSTEM_ARGUMENT1)?;
    let argument2: u64 = k.read(dpc + kdpc::SYSTEM_ARGUMENT2)?;
    k.write(dpc + kdpc::DPC_DATA, 0_u64)?;
    k.sync_acquire(SyncObject::Dpc(dpc.get()));
    watchdog::begin_routine(k);
    k.count(Counter::DpcsRun);
    k.trace(Event::DpcStarted { dpc, routine });
    k.ke().borrow_mut().dpc.running.push(dpc);
    k.call(routine, &[dpc.get(), context, argument1, argument2])
        .label("DPC")
        .await?;
    {
        let running = &mut k.ke().borrow_mut().dpc.running;
        if let Some(index) = running.iter().position(|&other| other == dpc) {
            running.swap_remove(index);
        }
    }
    k.sync_release(returned(dpc));
    k.trace(Event::DpcFinished { dpc });
    Ok(())
}

/// What a DPC's routine did comes before whatever follows a wait for its return.
fn returned(dpc: Va) -> SyncObject {
    SyncObject::WorkItem(dpc.get())
}

/// Whether the DPC's routine is being called.
fn is_running(k: &Kernel, dpc: Va) -> bool {
    k.ke().borrow().dpc.running.contains(&dpc)
}

/// Whether a queued DPC object lies in a memory range, for the check of memory that is being freed.
#[must_use]
pub fn queued_within(k: &Kernel, start: Va, length: u64) -> Option<Va> {
    let scheduler = k.scheduler().borrow();
    let mut queued = scheduler
        .processors
        .iter()
        .flat_map(|processor| processor.dpc_queue.iter().copied());
    let queued = queued.find(|&dpc| dpc - start < length);
    queued.or_else(|| threaded::queued_within(k, start, length))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("KeInitializeDpc", 3, Contract::ANY, |k, args| {
        initialize(k, args.va(0), args.va(1), args.va(2))
    });
    ddi.function("KeInsertQueueDpc", 3, Contract::ANY, |k, args| {
        insert(k, args.va(0), args.u64(1), args.u64(2))
    });
    ddi.function("KeQueryDpcWatchdogInformation", 1, Contract::ANY, |k, args| {
        // DpcTimeLimit, DpcTimeCount, DpcWatchdogLimit, DpcWatchdogCount, Reserved.
        let Some(values) = watchdog::information(k) else {
            return Ok(NtStatus::UNSUCCESSFUL);
        };
        for (index, value) in values.into_iter().chain([0]).enumerate() {
            k.write(args.va(0) + index * 4, value)?;
        }
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("KeRemoveQueueDpc", 1, Contract::ANY, |k, args| remove(k, args.va(0)));
    ddi.flow(
        "KeFlushQueuedDpcs",
        0,
        Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::INCORRECT_IRQL),
        |k, _| async move { flush(&k).await },
    );
    generic::register(ddi);
    threaded::register(ddi);
    ddi.function("KeSetImportanceDpc", 2, Contract::ANY, |k, args| {
        k.write(args.va(0) + kdpc::IMPORTANCE, args.u8(1))
    });
    ddi.function("KeSetTargetProcessorDpc", 2, Contract::ANY, |k, args| {
        let (dpc, number) = (args.va(0), args.u8(1));
        let processors = k.config().processors;
        if usize::from(number) < processors {
            return k.write(dpc + kdpc::NUMBER, TARGETED + u16::from(number));
        }
        // As documented, the target does not change then.
        k.verify(BugCheck::new(
            Code::TIMER_OR_DPC_INVALID,
            [WRONG_PROCESSOR, dpc.get(), number.into(), processors as u64],
            "dpc-processor-absent",
            format!("KeSetTargetProcessorDpc was called for processor {number}, but there are {processors}"),
        ))
    });
}

#[cfg(test)]
mod tests;
