//! What is reported when nothing can run any more: who waits and who spins, each with its call stack.

use super::{Activity, ActivityKind, Scheduler, thread::ThreadState, watchdog};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted},
    ke::{Irql, spin_lock},
    kernel::Kernel,
    mm::Va,
    report::{self, StackEntry},
    trace::Counter,
};

/// Somebody that does not go on.
struct Stuck {
    what: String,
    /// It spins at `DISPATCH_LEVEL` or above.
    spins: bool,
    stack: Vec<StackEntry>,
}

impl Stuck {
    fn in_driver(&self) -> bool {
        let mut entries = self.stack.iter();
        entries.any(|entry| matches!(entry, StackEntry::Guest { rva: Some(_), .. }))
    }
}

/// Stops the machine in which nothing can run any more.
pub(super) fn hang(k: &Kernel) -> Halted {
    let stuck = stuck(k);
    let spinning = stuck.iter().any(|one| one.spins);
    let (code, parameters) = if spinning {
        (Code::DPC_WATCHDOG_VIOLATION, [1, watchdog::PERIOD_TICKS, 0, 0])
    } else {
        (Code::MANUALLY_INITIATED_CRASH, [0; 4])
    };
    let message = format!(
        "nothing can run any more and no device or timer will change that: {}",
        in_words(&stuck)
    );
    stop(k, BugCheck::new(code, parameters, "hang", message), stuck)
}

/// Stops the machine that has taken all the steps it may.
pub(super) fn livelock(k: &Kernel) -> Halted {
    let steps = k.config().step_limit;
    debug_assert!(k.recorded().counters.get(Counter::Steps) > steps, "it has taken them");
    let stuck = stuck(k);
    let raised = k
        .scheduler()
        .borrow()
        .processors
        .iter()
        .any(|this| this.irql >= Irql::DISPATCH);
    let (code, parameters) = if raised {
        (Code::DPC_WATCHDOG_VIOLATION, [1, watchdog::PERIOD_TICKS, 0, 0])
    } else {
        (Code::MANUALLY_INITIATED_CRASH, [0; 4])
    };
    let message = format!("the run has not ended after {steps} steps: {}", in_words(&stuck));
    stop(k, BugCheck::new(code, parameters, "step-limit", message), stuck)
}

/// Stops the machine one of whose processors has spun for too long.
pub(super) fn spun_too_long(k: &Kernel, processor: usize) -> Halted {
    let stuck = stuck(k);
    let mut bugcheck = watchdog::raised_too_long();
    bugcheck.message = format!("cpu{processor} spins for too long: {}", in_words(&stuck));
    stop(k, bugcheck, stuck)
}

fn in_words(stuck: &[Stuck]) -> String {
    let all: Vec<&str> = stuck.iter().map(|one| one.what.as_str()).collect();
    all.join("; ")
}

/// The first that spins in a driver, or else waits in one, is where the machine stops; the others are shown beside.
fn stop(k: &Kernel, mut bugcheck: BugCheck, stuck: Vec<Stuck>) -> Halted {
    let first = stuck
        .iter()
        .position(|one| one.spins && one.in_driver())
        .or_else(|| stuck.iter().position(Stuck::in_driver));
    let mut place = None;
    for (index, one) in stuck.into_iter().enumerate() {
        if Some(index) == first {
            place = Some(one.stack);
        } else if one.in_driver() {
            bugcheck = bugcheck.with_stack(one.what, one.stack);
        }
    }
    k.bugcheck_at(bugcheck, place)
}

fn stuck(k: &Kernel) -> Vec<Stuck> {
    let scheduler = k.scheduler().borrow();
    let mut all = Vec::new();
    for (index, processor) in scheduler.processors.iter().enumerate() {
        // What lies below an interrupt or a DPC holds its locks as well.
        for (depth, activity) in processor.activities.iter().enumerate().rev() {
            let top = depth + 1 == processor.activities.len();
            all.push(Stuck {
                what: format!(
                    "cpu{index} at {}: {}",
                    processor.irql,
                    doing(k, &scheduler, activity, top)
                ),
                spins: top && activity.spin.is_some() && processor.irql >= Irql::DISPATCH,
                stack: report::stack_of(k, activity, true),
            });
        }
    }
    for thread in &scheduler.threads {
        match &thread.state {
            ThreadState::Waiting(activity, wait) => all.push(Stuck {
                what: format!("thread {} waits for {}{}", thread.name, wait.why, holding(k, activity)),
                spins: false,
                stack: report::stack_of(k, activity, true),
            }),
            ThreadState::Ready(activity) => all.push(Stuck {
                what: format!("thread {} could run{}", thread.name, holding(k, activity)),
                spins: false,
                stack: report::stack_of(k, activity, true),
            }),
            ThreadState::Running | ThreadState::Terminated => {}
        }
    }
    all
}

fn doing(k: &Kernel, scheduler: &Scheduler, activity: &Activity, top: bool) -> String {
    let what = match activity.kind {
        ActivityKind::Thread(thread) => format!("thread {}", scheduler.threads[thread.0].name),
        other => other.to_string(),
    };
    let doing = match &activity.spin {
        Some(spin) => format!("spins for {}", spin.why),
        None if top => "runs".to_owned(),
        None => "is interrupted".to_owned(),
    };
    format!("{what} {doing}{}", holding(k, activity))
}

fn holding(k: &Kernel, activity: &Activity) -> String {
    let since = |lock: &Va| match spin_lock::acquired_at(k, *lock) {
        Some(site) => format!("{lock}, acquired at {site}"),
        None => lock.to_string(),
    };
    let locks: Vec<String> = activity.locks.iter().map(since).collect();
    if locks.is_empty() {
        String::new()
    } else {
        format!(" and holds the spin lock at {}", locks.join(" and that at "))
    }
}
