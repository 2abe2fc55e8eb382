//! Timers that the system allocates: `ExAllocateTimer`, `ExSetTimer`, `ExCancelTimer`, `ExDeleteTimer`.
//!
//! One can be waited for, like a `KTIMER`, and calls a routine of the driver's in a DPC. It goes when it was deleted and no call of the
//! routine is under way.

use std::collections::BTreeMap;

use ntlayout::{kdpc, ktimer};

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::{
        Irql, dpc, time,
        timer::{self, TimerType},
    },
    kernel::Kernel,
    mm::Va,
    sched::WaitQueue,
    verifier::SyncObject,
};

#[derive(Debug, Default)]
struct Timers {
    all: BTreeMap<Va, Timer>,
    /// Threads that wait for a timer to be deleted.
    waiters: WaitQueue,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    callback: Va,
    context: u64,
    high_resolution: bool,
    /// Its routine is being called.
    running: bool,
    /// It goes when nothing is under way any more; then this routine is called, unless it is null.
    deleted: Option<(Va, u64)>,
}

/// Where a timer's DPC lies, behind the `KTIMER`.
const DPC: usize = ktimer::SIZE;
const SIZE: usize = DPC + kdpc::SIZE;

const HIGH_RESOLUTION: u32 = 4;
const NO_WAKE: u32 = 8;
const NOTIFICATION: u32 = 0x8000_0000;

fn allocate(k: &Kernel, callback: Va, context: u64, attributes: u32) -> Outcome<Va> {
    // What both are for cannot be had at once.
    if attributes & HIGH_RESOLUTION != 0 && attributes & NO_WAKE != 0 {
        return Ok(Va::NULL);
    }
    let timer = k.allocate_system(SIZE, "EX_TIMER")?;
    let kind = if attributes & NOTIFICATION == 0 {
        TimerType::Synchronization
    } else {
        TimerType::Notification
    };
    timer::initialize(k, timer, kind)?;
    dpc::initialize(k, timer + DPC, k.routine_address("ExpTimerDispatch"), timer)?;
    let known = Timer {
        callback,
        context,
        high_resolution: attributes & HIGH_RESOLUTION != 0,
        running: false,
        deleted: None,
    };
    k.state::<Timers>().borrow_mut().all.insert(timer, known);
    Ok(timer)
}

fn with<T>(k: &Kernel, timer: Va, work: impl FnOnce(&mut Timer) -> T) -> Option<T> {
    k.state::<Timers>().borrow_mut().all.get_mut(&timer).map(work)
}

/// The timer at `timer`, which was allocated and not deleted.
fn expect(k: &Kernel, routine: &str, timer: Va) -> Outcome<Timer> {
    match with(k, timer, |known| *known) {
        Some(known) if known.deleted.is_none() => Ok(known),
        _ => {
            let message =
                format!("{routine} was given {timer}, which is no timer of ExAllocateTimer's, or one that was deleted");
            Err(misuse(k, timer, message))
        }
    }
}

fn set(k: &Kernel, timer: Va, due: i64, period: i64) -> Outcome<bool> {
    let known = expect(k, "ExSetTimer", timer)?;
    if known.high_resolution && due >= 0 {
        let message = format!("ExSetTimer was given the absolute time {due} for the high-resolution timer {timer}");
        return Err(misuse(k, timer, message));
    }
    let period = period.unsigned_abs().saturating_mul(time::UNIT);
    timer::set_exactly(k, timer, time::due(k, due), period, timer + DPC)
}

/// Whether the DPC is queued, or the routine is being called.
fn busy(k: &Kernel, timer: Va) -> Outcome<bool> {
    let queued: u64 = k.read(timer + DPC + kdpc::DPC_DATA)?;
    Ok(queued != 0 || with(k, timer, |known| known.running) == Some(true))
}

/// How `ExDeleteTimer` is to delete.
#[derive(Clone, Copy, Debug)]
struct Deletion {
    cancel: bool,
    wait: bool,
    callback: Va,
    context: u64,
}

fn read_deletion(k: &Kernel, cancel: bool, wait: bool, parameters: Va) -> Outcome<Deletion> {
    const CALLBACK: usize = 8;
    const CONTEXT: usize = 16;
    let (callback, context) = if parameters.is_null() {
        (Va::NULL, 0)
    } else {
        (k.read(parameters + CALLBACK)?, k.read(parameters + CONTEXT)?)
    };
    Ok(Deletion {
        cancel,
        wait,
        callback,
        context,
    })
}

async fn delete(k: &Kernel, timer: Va, deletion: Deletion) -> Outcome<bool> {
    expect(k, "ExDeleteTimer", timer)?;
    if deletion.wait && !deletion.cancel {
        let message = format!("ExDeleteTimer was called for {timer} with Wait, but without Cancel");
        return Err(misuse(k, timer, message));
    }
    let wait_contract = Contract::at_most(Irql::APC);
    if deletion.wait && !wait_contract.allows(k.irql()) {
        k.verify(wait_contract.violation("ExDeleteTimer with Wait", k.irql()))?;
    }
    let cancelled = deletion.cancel && timer::cancel(k, timer)?;
    with(k, timer, |known| {
        known.deleted = Some((deletion.callback, deletion.context));
    });
    if deletion.wait {
        while busy(k, timer)? {
            let waiters = k.state::<Timers>().borrow().waiters.clone();
            waiters.wait(k, format!("the timer {timer} to have expired")).await?;
        }
        k.sync_acquire(SyncObject::Dispatcher(timer.get()));
    }
    finish(k, timer).await?;
    Ok(cancelled)
}

/// A timer that was deleted goes once nothing of it is under way.
async fn finish(k: &Kernel, timer: Va) -> Outcome<()> {
    let Some(Some((callback, context))) = with(k, timer, |known| known.deleted) else {
        return Ok(());
    };
    if busy(k, timer)? || timer::is_set(k, timer) {
        return Ok(());
    }
    k.state::<Timers>().borrow_mut().all.remove(&timer);
    k.free_system(timer)?;
    if !callback.is_null() {
        k.call(callback, &[context]).label("timer delete callback").await?;
    }
    Ok(())
}

/// The DPC of every timer.
async fn dispatch(k: &Kernel, timer: Va) -> Outcome<()> {
    let Some(known) = with(k, timer, |known| {
        known.running = true;
        *known
    }) else {
        return Ok(());
    };
    if !known.callback.is_null() {
        k.call(known.callback, &[timer.get(), known.context])
            .label("timer callback")
            .await?;
    }
    k.sync_release(SyncObject::Dispatcher(timer.get()));
    with(k, timer, |known| known.running = false);
    let waiters = k.state::<Timers>().borrow().waiters.clone();
    let waited_for = waiters.wake_any(k);
    // The thread that waits for the deletion finishes it.
    if waited_for { Ok(()) } else { finish(k, timer).await }
}

/// Whether the routine of a timer that is set lies in a memory range: the image that it belongs to must not go.
pub(crate) fn routine_of(k: &Kernel, timer: Va) -> Option<Va> {
    with(k, timer, |known| known.callback)
}

fn misuse(k: &Kernel, timer: Va, message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::TIMER_OBJECT.subcode, timer.get(), 0, 0],
        "timer-object-misused",
        message,
    ))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let dispatch_level = Contract::at_most(Irql::DISPATCH);
    ddi.function("ExAllocateTimer", 3, dispatch_level, |k, a| {
        allocate(k, a.va(0), a.u64(1), a.u32(2))
    });
    ddi.function("ExSetTimer", 4, dispatch_level, |k, a| {
        set(k, a.va(0), a.u64(1).cast_signed(), a.u64(2).cast_signed())
    });
    ddi.function("ExCancelTimer", 2, dispatch_level, |k, a| {
        expect(k, "ExCancelTimer", a.va(0))?;
        timer::cancel(k, a.va(0))
    });
    ddi.flow("ExDeleteTimer", 4, dispatch_level, |k, a| async move {
        let deletion = read_deletion(&k, a.bool(1), a.bool(2), a.va(3))?;
        delete(&k, a.va(0), deletion).await
    });
    // The routine of the timers' DPCs: no export of the kernel.
    ddi.flow("ExpTimerDispatch", 4, Contract::ANY, |k, a| async move {
        dispatch(&k, a.va(1)).await
    });
}

#[cfg(test)]
mod tests;
