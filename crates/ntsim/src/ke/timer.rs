//! Timers: `KeInitializeTimer`, `KeInitializeTimerEx`, `KeSetTimer`, `KeSetTimerEx`, `KeSetCoalescableTimer`, `KeCancelTimer`,
//! `KeReadStateTimer`.
//!
//! A timer that is set is in the system's timer queue until its time has come or it is cancelled; a periodic one stays there.
//! When its time has come it is signalled, which ends waits for it, and its DPC is queued, on whichever processor the clock
//! interrupt happens to be handled. Timers are as exact here as virtual time, where Windows rounds up to a tick of its clock.

use std::collections::BTreeMap;

use ntlayout::{dispatcher_header as header, kdpc, ktimer as layout};

use super::{Irql, dpc, time, wait};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ex,
    kernel::Kernel,
    mm::Va,
    sched::VirtualTime,
    trace::Event,
    verifier::SyncObject,
};

/// `TIMER_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerType {
    /// `NotificationTimer`: stays signalled until it is set again.
    Notification = 0,
    /// `SynchronizationTimer`: releases one wait and is clear again.
    Synchronization = 1,
}

/// What the object's header says its type is: this plus the `TIMER_TYPE`.
const TIMER_OBJECT: u8 = 8;
/// The system's timer queue.
#[derive(Debug, Default)]
pub struct Timers {
    queued: BTreeMap<Va, Queued>,
    /// Numbers settings, so that timers that are due at once expire in the order in which they were set.
    settings: u64,
}

#[derive(Clone, Copy, Debug)]
struct Queued {
    due: VirtualTime,
    setting: u64,
    /// Nanoseconds; 0 when it expires once.
    period: VirtualTime,
    /// Null when there is none.
    dpc: Va,
}

/// How a timer is set.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// When it expires first.
    pub due: VirtualTime,
    /// How often from then on, in milliseconds; 0 for once.
    pub period: u32,
    /// The DPC to queue then, or null.
    pub dpc: Va,
}

/// `KeInitializeTimerEx`; `KeInitializeTimer` makes a notification timer.
///
/// # Errors
/// When the timer is set, or its memory cannot be written.
pub fn initialize(k: &Kernel, timer: Va, kind: TimerType) -> Outcome<()> {
    if k.ke().borrow().timers.queued.contains_key(&timer) {
        let message = format!("the timer at {timer} is initialized while it is set");
        let found = Found {
            what: What::Timer,
            address: timer,
            timer,
        };
        return Err(found.bugcheck(k, timer, layout::SIZE as u64, message));
    }
    k.fill(timer, 0, layout::SIZE)?;
    wait::object::initialize(k, timer, TIMER_OBJECT + kind as u8, layout::SIZE, 0)
}

/// `KeSetTimerEx`: says whether the timer was set before, which this cancels.
///
/// # Errors
/// When the timer is not initialized, or its memory cannot be accessed.
pub fn set(k: &Kernel, timer: Va, setting: Setting) -> Outcome<bool> {
    let period = VirtualTime::from(setting.period) * time::MILLISECOND;
    let before = set_exactly(k, timer, setting.due, period, setting.dpc)?;
    k.write(timer + layout::PERIOD, setting.period)?;
    Ok(before)
}

/// The same, with a period in nanoseconds.
///
/// # Errors
/// As for [`set`].
pub(crate) fn set_exactly(k: &Kernel, timer: Va, due: VirtualTime, period: VirtualTime, dpc: Va) -> Outcome<bool> {
    check_initialized(k, timer)?;
    // What the caller did before is visible to the DPC, and to whoever waits.
    k.sync_release(SyncObject::Dispatcher(timer.get()));
    if !dpc.is_null() {
        k.sync_release(SyncObject::Dpc(dpc.get()));
    }
    k.write(timer + header::SIGNAL_STATE, 0_i32)?;
    k.write(timer + layout::DUE_TIME, time::units(due))?;
    k.write(timer + layout::DPC, dpc)?;
    let mut ke = k.ke().borrow_mut();
    let timers = &mut ke.timers;
    timers.settings += 1;
    let queued = Queued {
        due,
        setting: timers.settings,
        period,
        dpc,
    };
    let before = timers.queued.insert(timer, queued);
    drop(ke);
    k.note_used(timer);
    k.trace(Event::TimerSet { timer, due });
    Ok(before.is_some())
}

/// `KeCancelTimer`: says whether the timer was set. A DPC that it has queued already stays queued.
///
/// # Errors
/// When the timer is not initialized, or its memory cannot be accessed.
pub fn cancel(k: &Kernel, timer: Va) -> Outcome<bool> {
    check_initialized(k, timer)?;
    let before = k.ke().borrow_mut().timers.queued.remove(&timer);
    Ok(before.is_some())
}

/// `KeReadStateTimer`.
///
/// # Errors
/// When the timer is not initialized, or its memory cannot be read.
pub fn is_signalled(k: &Kernel, timer: Va) -> Outcome<bool> {
    check_initialized(k, timer)?;
    let state: i32 = k.read(timer + header::SIGNAL_STATE)?;
    Ok(state != 0)
}

/// Whether the timer is set.
#[must_use]
pub(crate) fn is_set(k: &Kernel, timer: Va) -> bool {
    k.ke().borrow().timers.queued.contains_key(&timer)
}

/// When the next timer expires.
#[must_use]
pub(crate) fn next_due(k: &Kernel) -> Option<VirtualTime> {
    k.ke().borrow().timers.queued.values().map(|queued| queued.due).min()
}

/// Lets the timers expire whose time has come.
pub(crate) fn expire(k: &Kernel) -> Outcome<()> {
    let now = k.now();
    while let Some((timer, dpc)) = take_due(k, now) {
        k.trace(Event::TimerExpired { timer });
        k.write(timer + header::SIGNAL_STATE, 1_i32)?;
        wait::signalled(k, timer)?;
        if !dpc.is_null() {
            let processors = k.config().processors;
            let processor = k.random().borrow_mut().index(processors);
            dpc::enqueue(k, dpc, 0, 0, processor)?;
        }
    }
    Ok(())
}

/// Takes the timer that is due first off the queue, and puts it back when it is periodic: the timer and its DPC.
fn take_due(k: &Kernel, now: VirtualTime) -> Option<(Va, Va)> {
    let mut ke = k.ke().borrow_mut();
    let timers = &mut ke.timers;
    let (&timer, &queued) = timers
        .queued
        .iter()
        .filter(|(_, queued)| queued.due <= now)
        .min_by_key(|(_, queued)| (queued.due, queued.setting))?;
    if queued.period == 0 {
        timers.queued.remove(&timer);
    } else {
        let due = queued.due + queued.period;
        timers.queued.insert(timer, Queued { due, ..queued });
    }
    Some((timer, queued.dpc))
}

/// What of a timer that is set lies in memory that must not be freed.
#[derive(Clone, Copy, Debug)]
enum What {
    Timer,
    Dpc,
    DpcRoutine,
}

/// Something that a timer which is set needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    what: What,
    address: Va,
    timer: Va,
}

impl Found {
    /// Memory from `start` is being freed: the bug check for that.
    pub(crate) fn freed(self, k: &Kernel, start: Va, length: u64) -> Halted {
        let Self { address, timer, .. } = self;
        let what = match self.what {
            What::Timer => format!("the timer at {address} in it is set"),
            What::Dpc => format!("the timer at {timer} is set, which is to queue the DPC at {address} in it"),
            What::DpcRoutine => {
                format!("the timer at {timer} is set, whose DPC is to call the routine at {address} in it")
            }
        };
        let message = format!("memory at {start} is freed, but {what}: KeCancelTimer comes first");
        self.bugcheck(k, start, length, message)
    }

    fn bugcheck(self, k: &Kernel, start: Va, length: u64, message: String) -> Halted {
        let (kind, rule) = match self.what {
            What::Timer => (0, "set-timer-freed"),
            What::Dpc => (1, "timer-dpc-freed"),
            What::DpcRoutine => (2, "timer-routine-freed"),
        };
        let parameters = [kind, self.address.get(), start.get(), (start + length).get()];
        k.bugcheck(BugCheck::new(Code::TIMER_OR_DPC_INVALID, parameters, rule, message))
    }
}

/// Whether a timer that is set, its DPC, or the DPC's routine lies in a memory range.
#[must_use]
pub(crate) fn needed_within(k: &Kernel, start: Va, length: u64) -> Option<Found> {
    let inside = |address: Va| address - start < length;
    let queued: Vec<(Va, Va)> = {
        let ke = k.ke().borrow();
        let all = ke.timers.queued.iter();
        all.map(|(&timer, queued)| (timer, queued.dpc)).collect()
    };
    queued.into_iter().find_map(|(timer, dpc)| {
        if inside(timer) {
            let what = What::Timer;
            return Some(Found {
                what,
                address: timer,
                timer,
            });
        }
        if dpc.is_null() {
            return None;
        }
        if inside(dpc) {
            return Some(Found {
                what: What::Dpc,
                address: dpc,
                timer,
            });
        }
        let routine = ex::timer_object::routine_of(k, timer);
        let routine = routine.or_else(|| k.peek(dpc + kdpc::DEFERRED_ROUTINE).map(Va))?;
        inside(routine).then_some(Found {
            what: What::DpcRoutine,
            address: routine,
            timer,
        })
    })
}

fn check_initialized(k: &Kernel, timer: Va) -> Outcome<()> {
    let kind: u8 = k.read(timer + header::TYPE)?;
    let kinds = [TimerType::Notification, TimerType::Synchronization];
    if kinds.iter().any(|&known| kind == TIMER_OBJECT + known as u8) {
        return Ok(());
    }
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::NO_TIMER.subcode, timer.get(), u64::from(kind), 0],
        "timer-not-initialized",
        format!("the timer at {timer} is used, but it is not initialized"),
    )))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH).by_rule(VerifierRule::IRQL_KE_DISPATCH_LTE);
    ddi.function("KeInitializeTimer", 1, contract, |k, args| {
        initialize(k, args.va(0), TimerType::Notification)
    });
    ddi.function("KeInitializeTimerEx", 2, contract, |k, args| {
        let kind = match args.u32(1) {
            0 => TimerType::Notification,
            _ => TimerType::Synchronization,
        };
        initialize(k, args.va(0), kind)
    });
    ddi.function("KeSetTimer", 3, contract, |k, args| {
        let setting = Setting {
            due: time::due(k, args.u64(1).cast_signed()),
            period: 0,
            dpc: args.va(2),
        };
        set(k, args.va(0), setting)
    });
    ddi.function("KeSetTimerEx", 4, contract, |k, args| {
        let setting = Setting {
            due: time::due(k, args.u64(1).cast_signed()),
            period: args.u32(2),
            dpc: args.va(3),
        };
        set(k, args.va(0), setting)
    });
    ddi.function("KeSetCoalescableTimer", 5, contract, |k, args| {
        let tolerated = u64::from(args.u32(3)) * time::MILLISECOND;
        let late = match tolerated {
            0 => 0,
            tolerated => k.random().borrow_mut().below(tolerated + 1),
        };
        let setting = Setting {
            due: time::due(k, args.u64(1).cast_signed()).saturating_add(late),
            period: args.u32(2),
            dpc: args.va(4),
        };
        set(k, args.va(0), setting)
    });
    ddi.function("KeCancelTimer", 1, contract, |k, args| cancel(k, args.va(0)));
    ddi.function("KeReadStateTimer", 1, contract, |k, args| is_signalled(k, args.va(0)));
}

#[cfg(test)]
mod tests;
