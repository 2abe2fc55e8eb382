//! The run loop.

use super::{ActivityKind, Scheduler, ThreadId, VirtualTime, dispatch, thread::ThreadState};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    hal::{self, DeviceMemory},
    ke::{self, Irql},
    kernel::Kernel,
    ps,
    trace::Counter,
};

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Every thread has ended and nothing is left to do.
    Idle,
    /// What [`Kernel::run_until`] was told to wait for has come.
    Reached,
    /// A rule was broken; [`Kernel::crash`] says which.
    Crashed,
}

impl Kernel {
    /// Runs until every thread has ended, or a rule is broken. A hang is a broken rule.
    #[must_use]
    pub fn run(&self) -> RunEnd {
        self.run_until(|_| false)
    }

    /// Runs until `reached` holds, every thread has ended, or a rule is broken. A hang before that is a broken rule.
    #[must_use]
    pub fn run_until(&self, reached: impl Fn(&Self) -> bool) -> RunEnd {
        let limit = self.config().step_limit;
        while self.running().is_ok() {
            if reached(self) {
                return RunEnd::Reached;
            }
            if self.catch_up().is_err() {
                break;
            }
            if dispatch::step(self) {
                if self.recorded().counters.get(Counter::Steps) > limit {
                    let _ = self.bugcheck(livelock(self));
                }
            } else if !self.pass_time() {
                if self.all_threads_ended() {
                    return RunEnd::Idle;
                }
                let _ = self.bugcheck(hang(self));
            }
        }
        RunEnd::Crashed
    }

    /// Lets devices and timeouts act whose time has come.
    fn catch_up(&self) -> Outcome<()> {
        let now = self.now();
        ke::shared_data::tick(self);
        let due = self
            .watch()
            .hardware
            .borrow()
            .next_event()
            .is_some_and(|time| time <= now);
        if due {
            self.advance_hardware()?;
        }
        ke::timer::expire(self)?;
        self.scheduler().borrow_mut().expire_waits(now);
        Ok(())
    }

    fn advance_hardware(&self) -> Outcome<()> {
        let advanced = self
            .watch()
            .hardware
            .borrow_mut()
            .advance(self.now(), &mut DeviceMemory(self));
        advanced.map_err(|fault| hal::fault::stop(self, &fault))
    }

    /// Nobody can run: moves the clock to the next thing that happens by itself. Says whether there is one.
    fn pass_time(&self) -> bool {
        let device = self.watch().hardware.borrow().next_event();
        let deadline = self.next_deadline();
        // A timer that is set when nobody is left does not keep the machine running.
        let timer = ke::timer::next_due(self).filter(|_| !self.all_threads_ended());
        let next = [device, deadline, timer].into_iter().flatten().min();
        if let Some(next) = next {
            self.watch().clock.set(next.max(self.now()));
        }
        next.is_some()
    }

    /// When the next wait ends by itself. Drivers' threads alone do not keep the machine running, unless what they wait for is to run
    /// on in code that was unloaded.
    fn next_deadline(&self) -> Option<VirtualTime> {
        let scheduler = self.scheduler().borrow();
        let others_ended = self.all_threads_ended();
        let waits = scheduler.deadlines();
        waits
            .filter(|&(_, thread)| !others_ended || !self.is_in_background(&scheduler, thread))
            .map(|(deadline, _)| deadline)
            .min()
    }

    fn all_threads_ended(&self) -> bool {
        let scheduler = self.scheduler().borrow();
        let ended = (0..scheduler.threads.len()).map(ThreadId).all(|thread| {
            matches!(scheduler.threads[thread.0].state, ThreadState::Terminated)
                || self.is_in_background(&scheduler, thread)
        });
        ended && scheduler.processors.iter().all(|this| this.activities.is_empty())
    }

    /// Whether a thread is a driver's whose code is still there: such a thread may wait for ever.
    fn is_in_background(&self, scheduler: &Scheduler, thread: ThreadId) -> bool {
        scheduler.threads[thread.0].of_driver && !ps::thread::is_orphan(self, thread)
    }
}

fn hang(k: &Kernel) -> BugCheck {
    let waits = what_waits(k);
    let spinning = k
        .scheduler()
        .borrow()
        .processors
        .iter()
        .any(|this| this.irql >= Irql::DISPATCH && !this.activities.is_empty());
    let (code, parameters) = if spinning {
        (Code::DPC_WATCHDOG_VIOLATION, [1, 0, 0, 0])
    } else {
        (Code::MANUALLY_INITIATED_CRASH, [0; 4])
    };
    BugCheck::new(
        code,
        parameters,
        "hang",
        format!("nothing can run any more and no device or timer will change that: {waits}"),
    )
}

fn livelock(k: &Kernel) -> BugCheck {
    let (code, parameters) = if k.irql() >= Irql::DISPATCH {
        (Code::DPC_WATCHDOG_VIOLATION, [1, k.now(), 0, 0])
    } else {
        (Code::MANUALLY_INITIATED_CRASH, [0; 4])
    };
    BugCheck::new(
        code,
        parameters,
        "step-limit",
        format!(
            "the run has not ended after {} steps: {}",
            k.config().step_limit,
            what_waits(k)
        ),
    )
}

fn what_waits(k: &Kernel) -> String {
    let scheduler = k.scheduler().borrow();
    let mut lines = Vec::new();
    for (index, processor) in scheduler.processors.iter().enumerate() {
        if let Some(activity) = processor.current() {
            let what = match activity.kind {
                ActivityKind::Thread(thread) => {
                    format!("thread {}", scheduler.threads[thread.0].name)
                }
                other => other.to_string(),
            };
            let doing = match &activity.spin {
                Some(spin) => format!("spins for {}", spin.why),
                None => "runs".to_owned(),
            };
            lines.push(format!("cpu{index} at {}: {what} {doing}", processor.irql));
        }
    }
    for thread in &scheduler.threads {
        if let ThreadState::Waiting(_, wait) = &thread.state {
            lines.push(format!("thread {} waits for {}", thread.name, wait.why));
        }
    }
    lines.join("; ")
}
