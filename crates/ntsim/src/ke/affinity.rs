//! Which processors threads run on: `KeSetSystemAffinityThread`, `KeSetSystemAffinityThreadEx`, `KeSetSystemGroupAffinityThread` and the
//! routines that undo them.

use ntlayout::group_affinity;

use super::{Irql, dpc};
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    sched::ActivityKind,
};

/// Every processor of the machine.
#[must_use]
pub fn all(k: &Kernel) -> u64 {
    u64::MAX >> (64 - k.config().processors.min(64))
}

/// The processors that the current thread may run on.
fn current(k: &Kernel) -> u64 {
    k.current_thread()
        .map_or(0, |thread| k.scheduler().borrow().threads[thread.0].affinity)
}

/// Sets the current thread's processors, and moves it to one of them; at `DISPATCH_LEVEL`, once the IRQL is lowered.
///
/// # Errors
/// When the machine has stopped.
async fn set(k: &Kernel, affinity: u64) -> Outcome<()> {
    // A mask of processors that do not exist, or of none, has no effect.
    let valid = affinity != 0 && affinity & !all(k) == 0;
    if let Some(thread) = k.current_thread().filter(|_| valid) {
        k.scheduler().borrow_mut().threads[thread.0].affinity = affinity;
    }
    settle(k).await
}

/// Moves the current thread to a processor that it may run on.
async fn settle(k: &Kernel) -> Outcome<()> {
    let in_thread = matches!(k.activity(), Some(ActivityKind::Thread(_)));
    if !in_thread || k.irql() >= Irql::DISPATCH {
        return Ok(());
    }
    if current(k) & 1 << k.processor() == 0 {
        k.reschedule().await?;
    }
    dpc::threaded::thread_moved(k);
    Ok(())
}

/// Whether the processor's thread is to run on other processors.
pub(crate) fn misplaced(k: &Kernel, processor: usize) -> bool {
    let scheduler = k.scheduler().borrow();
    let thread = scheduler.processors[processor].thread();
    thread.is_some_and(|thread| scheduler.threads[thread.0].affinity & 1 << processor == 0)
}

/// The processors that a driver has given the current thread; 0 when it has not.
fn system_affinity(k: &Kernel) -> u64 {
    let now = current(k);
    if now == all(k) { 0 } else { now }
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.flow("KeSetSystemAffinityThread", 1, contract, |k, args| async move {
        set(&k, args.u64(0)).await
    });
    ddi.flow("KeSetSystemAffinityThreadEx", 1, contract, |k, args| async move {
        let before = system_affinity(&k);
        set(&k, args.u64(0)).await?;
        Ok(before)
    });
    ddi.flow("KeRevertToUserAffinityThread", 0, contract, |k, _| async move {
        set(&k, all(&k)).await
    });
    ddi.flow("KeRevertToUserAffinityThreadEx", 1, contract, |k, args| async move {
        let affinity = match args.u64(0) {
            0 => all(&k),
            affinity => affinity,
        };
        set(&k, affinity).await
    });
    ddi.flow("KeSetSystemGroupAffinityThread", 2, contract, |k, args| async move {
        let (new, previous) = (args.va(0), args.va(1));
        let affinity: u64 = k.read(new + group_affinity::MASK)?;
        let group: u16 = k.read(new + group_affinity::GROUP)?;
        if !previous.is_null() {
            write_group(&k, previous, system_affinity(&k))?;
        }
        // The machine has one group; another one's processors are none that the thread could run on.
        if group == 0 {
            set(&k, affinity).await?;
        }
        Ok(())
    });
    ddi.flow("KeRevertToUserGroupAffinityThread", 1, contract, |k, args| async move {
        let affinity: u64 = k.read(args.va(0) + group_affinity::MASK)?;
        let affinity = if affinity == 0 { all(&k) } else { affinity };
        set(&k, affinity).await
    });
}

fn write_group(k: &Kernel, pointer: Va, affinity: u64) -> Outcome<()> {
    k.fill(pointer, 0, group_affinity::SIZE)?;
    k.write(pointer + group_affinity::MASK, affinity)
}

#[cfg(test)]
mod tests;
