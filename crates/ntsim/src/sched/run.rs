//! The run loop.

use super::{Scheduler, ThreadId, VirtualTime, deadlock, dispatch, thread::ThreadState, watchdog};
use crate::{
    bugcheck::Outcome,
    hal::{self, DeviceMemory},
    io::cancel_watch,
    ke,
    kernel::Kernel,
    ps,
    trace::Counter,
};

/// What is to happen later never does: 290 years after the machine was switched on.
const END_OF_TIME: VirtualTime = VirtualTime::MAX / 2;

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
                    let _ = deadlock::livelock(self);
                }
            } else if !self.pass_time() {
                if self.running().is_err() {
                    break;
                }
                if self.all_threads_ended() {
                    return RunEnd::Idle;
                }
                let _ = deadlock::hang(self);
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
        cancel_watch::check(self)?;
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
        let cancelled = cancel_watch::next_due(self).filter(|_| !self.all_threads_ended());
        let next = [device, deadline, timer, cancelled].into_iter().flatten().min();
        let Some(next) = next.filter(|&next| next < END_OF_TIME) else {
            return false;
        };
        let before = self.now();
        self.watch().clock.set(next.max(before));
        if let Some(processor) = watchdog::spun_too_long(self, self.now() - before) {
            let _ = deadlock::spun_too_long(self, processor);
            return false;
        }
        true
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
