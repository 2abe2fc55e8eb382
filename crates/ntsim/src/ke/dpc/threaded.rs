//! Threaded DPCs: `KeInitializeThreadedDpc`.
//!
//! They run at `PASSIVE_LEVEL` in a thread of their processor, unless the system has them disabled: then they are DPCs like others.
//! A driver must be right in both cases; the seed decides which one a run is. Other DPCs interrupt one that runs, other threads do not
//! ("Introduction to Threaded DPCs").
//!
//! `KeFlushQueuedDpcs` waits for "all currently queued DPCs". Its page does not name threaded ones, which have a queue of their own ("Organization of DPC
//! Queues"), and theirs do not name it. So the seed decides as well whether it waits for them.

use std::collections::VecDeque;

use ntlayout::kdpc;

use super::run;
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    kernel::{Kernel, stream},
    mm::Va,
    sched::{Random, ThreadSpec, WaitQueue},
    verifier::SyncObject,
};

/// `ThreadedDpcObject` of `KOBJECTS`.
const THREADED_DPC_OBJECT: u8 = 24;
/// How many runs have threaded DPCs disabled, in percent.
const DISABLED: u64 = 25;
/// In how many runs `KeFlushQueuedDpcs` waits for them, in percent.
const FLUSHED: u64 = 50;

/// The queues of threaded DPCs.
#[derive(Debug, Default)]
struct Queues {
    by_processor: Vec<Queue>,
    flushers: WaitQueue,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Va>,
    /// A thread drains it.
    drained: bool,
    queued: u64,
    retired: u64,
}

fn with<T>(k: &Kernel, processor: usize, work: impl FnOnce(&mut Queue) -> T) -> T {
    let queues = k.state::<Queues>();
    let mut queues = queues.borrow_mut();
    if queues.by_processor.len() <= processor {
        queues.by_processor.resize_with(processor + 1, Queue::default);
    }
    work(&mut queues.by_processor[processor])
}

/// Whether the DPC is to run in a thread.
pub(super) fn is_threaded(k: &Kernel, dpc: Va) -> Outcome<bool> {
    let kind: u8 = k.read(dpc + kdpc::TYPE)?;
    Ok(kind == THREADED_DPC_OBJECT && !Random::new(k.config().seed, stream::THREADED_DPCS).chance(DISABLED))
}

/// Queues a DPC to its processor's thread.
pub(super) fn enqueue(k: &Kernel, dpc: Va, processor: usize) {
    let idle = with(k, processor, |queue| {
        queue.waiting.push_back(dpc);
        queue.queued += 1;
        !std::mem::replace(&mut queue.drained, true)
    });
    if idle {
        let spec = ThreadSpec::system(format!("threaded DPCs of cpu{processor}"));
        let thread = k.spawn(spec, move |k| async move { drain(&k, processor).await });
        let mut scheduler = k.scheduler().borrow_mut();
        let thread = &mut scheduler.threads[thread.0];
        thread.affinity = 1 << processor;
        thread.is_preempted = false;
    }
}

async fn drain(k: &Kernel, processor: usize) -> Outcome<()> {
    loop {
        let next = with(k, processor, |queue| {
            let next = queue.waiting.pop_front();
            queue.drained = next.is_some();
            next
        });
        let Some(dpc) = next else {
            return Ok(());
        };
        run(k, dpc).await?;
        k.sync_release(order(processor));
        with(k, processor, |queue| queue.retired += 1);
        wake_flushers(k);
    }
}

fn wake_flushers(k: &Kernel) {
    let flushers = k.state::<Queues>().borrow().flushers.clone();
    flushers.wake_all(k);
}

/// What a threaded DPC did comes before whatever follows a flush, and whatever a thread does that has had itself moved to the DPC's processor.
fn order(processor: usize) -> SyncObject {
    const THREADED: u64 = 1 << 32;
    SyncObject::WorkItem(THREADED | processor as u64)
}

/// Takes a DPC off the queues.
pub(super) fn remove(k: &Kernel, dpc: Va) {
    for processor in 0..k.config().processors {
        with(k, processor, |queue| {
            let before = queue.waiting.len();
            queue.waiting.retain(|&other| other != dpc);
            queue.retired += (before - queue.waiting.len()) as u64;
        });
    }
    wake_flushers(k);
}

/// Waits until every threaded DPC has run that is queued now, if `KeFlushQueuedDpcs` does that.
pub(super) async fn flush(k: &Kernel) -> Outcome<()> {
    if !Random::new(k.config().seed, stream::FLUSHED_DPCS).chance(FLUSHED) {
        return Ok(());
    }
    let processors = k.config().processors;
    let goals: Vec<u64> = (0..processors)
        .map(|processor| with(k, processor, |queue| queue.queued))
        .collect();
    for (processor, goal) in goals.into_iter().enumerate() {
        while with(k, processor, |queue| queue.retired) < goal {
            let flushers = k.state::<Queues>().borrow().flushers.clone();
            flushers.wait(k, "threaded DPCs to have run").await?;
        }
        k.sync_acquire(order(processor));
    }
    Ok(())
}

/// The current thread has had itself moved to its processor. No threaded DPC runs there: it would not have let the thread in.
pub(crate) fn thread_moved(k: &Kernel) {
    k.sync_acquire(order(k.processor()));
}

/// A queued threaded DPC in a memory range.
pub(super) fn queued_within(k: &Kernel, start: Va, length: u64) -> Option<Va> {
    let queues = k.state::<Queues>();
    let queues = queues.borrow();
    let mut waiting = queues
        .by_processor
        .iter()
        .flat_map(|queue| queue.waiting.iter().copied());
    waiting.find(|&dpc| dpc - start < length)
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("KeInitializeThreadedDpc", 3, Contract::ANY, |k, a| {
        super::initialize(k, a.va(0), a.va(1), a.va(2))?;
        k.write(a.va(0) + kdpc::TYPE, THREADED_DPC_OBJECT)
    });
}
