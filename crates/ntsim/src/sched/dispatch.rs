//! Which processor takes the next step, and what it does: the decisions of the seeded scheduler.

use super::{
    Activity, ActivityKind, Scheduler, ThreadId, VirtualTime, Woken, activity::SpinCondition, thread::ThreadState,
};
use crate::{
    ke::{self, Irql, interrupt::Source},
    kernel::Kernel,
    trace::{Counter, Event},
    verifier::SyncObject,
};

/// What a processor could do now.
#[derive(Clone, Copy, Debug, Default)]
struct Possible {
    /// Take an interrupt from this source.
    interrupt: Option<Source>,
    /// Start to drain its DPC queue.
    drain: bool,
    /// Go on with what runs on it.
    proceed: bool,
    /// Take a ready thread.
    switch_in: bool,
}

impl Possible {
    fn any(self) -> bool {
        self.interrupt.is_some() || self.drain || self.proceed || self.switch_in
    }

    fn nothing_but_remote_work(self) -> bool {
        !self.proceed && !self.switch_in
    }
}

impl Scheduler {
    /// Makes a waiting thread ready.
    pub(crate) fn wake(&mut self, thread: ThreadId, woken: Woken) {
        let state = &mut self.threads[thread.0].state;
        match std::mem::replace(state, ThreadState::Terminated) {
            ThreadState::Waiting(activity, wait) => {
                wait.reply.set(Some(woken));
                *state = ThreadState::Ready(activity);
                self.ready.push(thread);
            }
            other => *state = other,
        }
    }

    /// Ends the waits whose deadline has come, in the order of threads.
    pub(super) fn expire_waits(&mut self, now: VirtualTime) {
        let expired: Vec<ThreadId> = self
            .deadlines()
            .filter(|&(deadline, _)| deadline <= now)
            .map(|(_, thread)| thread)
            .collect();
        for thread in expired {
            self.wake(thread, Woken::TimedOut);
        }
    }

    /// When which wait ends by itself, in the order of threads.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = (VirtualTime, ThreadId)> {
        self.threads
            .iter()
            .enumerate()
            .filter_map(|(index, thread)| match &thread.state {
                ThreadState::Waiting(_, wait) => Some((wait.deadline?, ThreadId(index))),
                _ => None,
            })
    }

    /// The places in the ready list of the threads that may run on a processor.
    fn ready_for(&self, processor: usize) -> impl Iterator<Item = usize> {
        let ready = self.ready.iter().enumerate();
        ready
            .filter(move |(_, thread)| self.threads[thread.0].affinity & 1 << processor != 0)
            .map(|(index, _)| index)
    }

    fn spin_of(&self, processor: usize) -> Option<SpinCondition> {
        let current = self.processors[processor].current()?;
        current.spin.as_ref().map(|spin| spin.until.clone())
    }
}

/// Lets one processor take one step. Says whether any could.
pub(super) fn step(k: &Kernel) -> bool {
    let processors = k.config().processors;
    let mut could = [Possible::default(); crate::verifier::MAX_PROCESSORS];
    let mut candidates = [0; crate::verifier::MAX_PROCESSORS];
    let mut count = 0;
    for (processor, could) in could.iter_mut().enumerate().take(processors) {
        *could = possible(k, processor);
        if could.any() {
            candidates[count] = processor;
            count += 1;
        }
    }
    if count == 0 {
        return false;
    }
    let processor = choose(k, &candidates[..count]);
    k.scheduler().borrow_mut().last = processor;
    k.count(Counter::Steps);
    k.watch().processor.set(processor);
    k.current_cell().set(Some(processor));
    act(k, processor, could[processor]);
    k.current_cell().set(None);
    true
}

fn possible(k: &Kernel, processor: usize) -> Possible {
    let spin = k.scheduler().borrow().spin_of(processor);
    let blocked = spin.is_some_and(|until| {
        k.current_cell().set(Some(processor));
        let blocked = !until(k);
        k.current_cell().set(None);
        blocked
    });
    let interrupt = ke::interrupt::deliverable(k, processor);
    let scheduler = k.scheduler().borrow();
    let this = &scheduler.processors[processor];
    let idle = this.activities.is_empty();
    // Dispatch interrupts are interrupts as well.
    let held_off = this.current().is_some_and(Activity::interrupts_disabled);
    Possible {
        interrupt: interrupt.filter(|_| !held_off),
        drain: this.can_drain() && !held_off,
        proceed: !idle && !blocked,
        switch_in: idle && scheduler.ready_for(processor).next().is_some(),
    }
}

fn choose(k: &Kernel, candidates: &[usize]) -> usize {
    if let &[only] = candidates {
        return only;
    }
    let last = k.scheduler().borrow().last;
    let mut random = k.random().borrow_mut();
    if candidates.contains(&last) && random.chance(k.temperament().stickiness) {
        return last;
    }
    candidates[random.index(candidates.len())]
}

fn act(k: &Kernel, processor: usize, could: Possible) {
    let temperament = k.temperament();
    let alone = could.nothing_but_remote_work();
    let eager = |percent| k.random().borrow_mut().chance(percent);
    if let Some(source) = could.interrupt
        && ((alone && !could.drain) || eager(temperament.interrupt_eagerness))
    {
        return ke::interrupt::deliver(k, processor, source);
    }
    if could.drain {
        let own = k.scheduler().borrow().processors[processor].dpc_requested;
        if own || alone || eager(temperament.remote_dpc_eagerness) {
            return ke::dpc::start_drain(k, processor);
        }
    }
    if could.switch_in {
        return switch_in(k, processor);
    }
    if !could.proceed {
        return;
    }
    if may_preempt(k, processor) && (ke::affinity::misplaced(k, processor) || eager(temperament.preemption)) {
        return preempt(k, processor);
    }
    super::execute::advance(k, processor);
}

fn may_preempt(k: &Kernel, processor: usize) -> bool {
    let scheduler = k.scheduler().borrow();
    let this = &scheduler.processors[processor];
    let held_off = this.current().is_some_and(Activity::interrupts_disabled);
    let thread = this.thread().map(|thread| &scheduler.threads[thread.0]);
    this.irql < Irql::DISPATCH
        && this.activities.len() == 1
        && thread.is_some_and(|thread| thread.is_preempted)
        && !held_off
}

/// Gives an idle processor one of the ready threads.
fn switch_in(k: &Kernel, processor: usize) {
    let (thread, name) = {
        let mut scheduler = k.scheduler().borrow_mut();
        let count = scheduler.ready_for(processor).count();
        let choice = k.random().borrow_mut().index(count);
        let index = scheduler.ready_for(processor).nth(choice).expect("there are so many");
        let thread = scheduler.ready.remove(index);
        let state = &mut scheduler.threads[thread.0].state;
        let ThreadState::Ready(activity) = std::mem::replace(state, ThreadState::Running) else {
            unreachable!("the ready list holds ready threads");
        };
        let name = scheduler.threads[thread.0].name.clone();
        let this = &mut scheduler.processors[processor];
        this.irql = activity.resume_irql;
        this.activities.push(*activity);
        (thread, name)
    };
    k.sync_acquire(SyncObject::Thread(thread.0 as u64));
    ke::thread::set_current(k, processor, Some(thread));
    k.trace(Event::ThreadSwitchedIn { name });
}

/// Takes the thread off its processor and makes it ready again.
fn preempt(k: &Kernel, processor: usize) {
    let (thread, activity) = switch_out(k, processor);
    let mut scheduler = k.scheduler().borrow_mut();
    scheduler.threads[thread.0].state = ThreadState::Ready(Box::new(activity));
    scheduler.ready.push(thread);
}

/// Takes the thread off its processor, which is idle then.
///
/// # Panics
/// When the processor runs no thread, or a DPC or interrupt over it.
pub(super) fn switch_out(k: &Kernel, processor: usize) -> (ThreadId, Activity) {
    let (thread, activity) = {
        let mut scheduler = k.scheduler().borrow_mut();
        let this = &mut scheduler.processors[processor];
        assert!(
            this.activities.len() == 1,
            "a thread is switched out with nothing over it"
        );
        let mut activity = this.activities.pop().expect("there is one");
        let ActivityKind::Thread(thread) = activity.kind else {
            unreachable!("only threads are switched out");
        };
        activity.resume_irql = this.irql;
        this.irql = Irql::PASSIVE;
        (thread, activity)
    };
    k.sync_release(SyncObject::Thread(thread.0 as u64));
    ke::thread::set_current(k, processor, None);
    (thread, activity)
}
