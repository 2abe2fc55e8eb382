//! On whose behalf the model's code runs: the processor, activity and thread whose step it is.

use super::Kernel;
use crate::{
    ke::Irql,
    mm::Va,
    sched::{Activity, ActivityKind, Mode, ThreadId, thread::ThreadState, watchdog::Raised},
    verifier::SyncObject,
};

impl Kernel {
    /// The processor that the calling code runs on. It may change over an await of a thread below `DISPATCH_LEVEL`.
    #[must_use]
    pub fn processor(&self) -> usize {
        self.0.current.get().unwrap_or(0)
    }

    /// The current processor's IRQL.
    #[must_use]
    pub fn irql(&self) -> Irql {
        match self.0.current.get() {
            Some(processor) => self.0.scheduler.borrow().processors[processor].irql,
            None => Irql::PASSIVE,
        }
    }

    /// Raises the current processor's IRQL and returns the one before. Never lowers it.
    #[must_use = "it is what to lower to"]
    pub fn raise_irql(&self, new: Irql) -> Irql {
        let old = self.irql();
        self.set_irql(old.max(new));
        old
    }

    /// Lowers the current processor's IRQL. What that lets in (DPCs, interrupts, other threads) runs at the next step.
    pub fn lower_irql(&self, new: Irql) {
        self.set_irql(self.irql().min(new));
    }

    fn set_irql(&self, irql: Irql) {
        if let Some(processor) = self.0.current.get() {
            let this = &mut self.0.scheduler.borrow_mut().processors[processor];
            this.irql = irql;
            if irql < Irql::DISPATCH {
                this.raised = Raised::default();
            }
        }
    }

    /// Works on the current activity.
    pub(crate) fn with_activity<T>(&self, work: impl FnOnce(&mut Activity) -> T) -> Option<T> {
        let processor = self.0.current.get()?;
        let mut scheduler = self.0.scheduler.try_borrow_mut().ok()?;
        scheduler.processors[processor].activities.last_mut().map(work)
    }

    /// What kind of activity the calling code belongs to.
    #[must_use]
    pub fn activity(&self) -> Option<ActivityKind> {
        self.with_activity(|activity| activity.kind)
    }

    /// The thread of the current processor, even in a DPC or interrupt that borrowed it.
    #[must_use]
    pub fn current_thread(&self) -> Option<ThreadId> {
        let processor = self.0.current.get()?;
        self.0.scheduler.borrow().processors[processor].thread()
    }

    /// The KTHREAD of a thread.
    #[must_use]
    pub fn thread_object(&self, thread: ThreadId) -> Va {
        self.0.scheduler.borrow().threads[thread.0].object
    }

    /// The name of a thread.
    #[must_use]
    pub fn thread_name(&self, thread: ThreadId) -> String {
        self.0.scheduler.borrow().threads[thread.0].name.clone()
    }

    /// Whether a thread belongs to a program.
    #[must_use]
    pub fn thread_mode(&self, thread: ThreadId) -> Mode {
        self.0.scheduler.borrow().threads[thread.0].mode
    }

    /// Whether a thread has ended.
    #[must_use]
    pub fn has_ended(&self, thread: ThreadId) -> bool {
        matches!(
            self.0.scheduler.borrow().threads[thread.0].state,
            ThreadState::Terminated
        )
    }

    /// The guest's instruction after the call that the calling code serves; null when the model acts by itself.
    #[must_use]
    pub fn caller(&self) -> Va {
        let exports = self.watch().exports.get();
        self.with_activity(|activity| {
            let guest = activity.guest()?;
            let pc = guest.registers.program_counter();
            Some((pc, guest.registers.stack_pointer()))
        })
        .flatten()
        .map_or(Va::NULL, |(pc, sp)| {
            if pc - exports.0 < exports.1 {
                self.peek(sp).map_or(Va::NULL, Va)
            } else {
                pc
            }
        })
    }

    /// Counters that drivers update without a lock, as the headers' own inline routines do: no violation of the sharing rule.
    pub(crate) fn share_unlocked(&self, start: Va, length: u64) {
        let translated = self.watch().space.borrow().translate(start, length);
        if let Some((pa, _)) = translated {
            self.watch().sharing.borrow_mut().except(pa.0..pa.0 + length);
        }
    }

    /// Everything done so far on this processor becomes visible to whoever next acquires `object`.
    pub fn sync_release(&self, object: SyncObject) {
        if let Some(processor) = self.0.current.get() {
            self.watch().sharing.borrow_mut().release(processor, object);
        }
    }

    /// This processor sees everything done before `object` was released.
    pub fn sync_acquire(&self, object: SyncObject) {
        if let Some(processor) = self.0.current.get() {
            self.watch().sharing.borrow_mut().acquire(processor, object);
        }
    }
}
