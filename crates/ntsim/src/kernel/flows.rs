//! What flows ask for: calls into the guest, waits, threads.

use std::{future::Future, rc::Rc};

use super::Kernel;
use crate::{
    bugcheck::Outcome,
    ddi::{Flow, Registry, ReturnValue},
    exception::MachineState,
    ke::{self, region::Regions},
    mm::{PAGE_SIZE, PoolKind, PoolOwner, Protection, Va, layout},
    ps,
    sched::{
        Activity, ActivityKind, GuestCall, Stack, ThreadId, ThreadSpec, VirtualTime,
        flow::{Block, EndThread, Request, Reschedule, Restore, SpinUntil, Yield},
        thread::{Thread, ThreadState},
    },
    trace::Event,
    verifier::SyncObject,
};

impl Kernel {
    pub(crate) fn file_request(&self, request: Request) {
        let earlier = self.0.request.borrow_mut().replace(request);
        debug_assert!(earlier.is_none(), "a flow has one request open at most");
    }

    pub(crate) fn take_request(&self) -> Option<Request> {
        self.0.request.borrow_mut().take()
    }

    /// The address of a modelled routine, imported or not: what `MmGetSystemRoutineAddress` would return.
    ///
    /// # Panics
    /// When the model has no such routine: the name is the caller's own.
    #[must_use]
    pub fn routine_address(&self, name: &str) -> Va {
        let (index, _) = self.registry().find(name).expect("the model has the routine");
        Registry::address(index)
    }

    /// Calls a guest routine with the x64 calling convention, on the current activity's stack.
    pub fn call(&self, routine: Va, arguments: &[u64]) -> GuestCall {
        GuestCall::new(self.clone(), routine, arguments)
    }

    /// Blocks the current thread until [`Kernel::wake`] or until `deadline`. `why` shows in reports of hangs.
    pub fn block(&self, why: impl Into<String>, deadline: Option<VirtualTime>) -> Block {
        Block::new(self.clone(), why.into(), deadline)
    }

    /// Keeps the processor busy until the condition holds; interrupts above the current IRQL go on.
    pub fn spin_until(&self, why: impl Into<String>, until: impl Fn(&Kernel) -> bool + 'static) -> SpinUntil {
        SpinUntil::new(self.clone(), why.into(), Rc::new(until))
    }

    /// Leaves every frame above the guest frame `frame` of the current activity, the calling flow among them, and goes on there.
    pub(crate) fn restore(&self, frame: usize, state: &MachineState) -> Restore {
        Restore::new(self.clone(), frame, state)
    }

    /// A point where interrupts, DPCs, other threads and other processors may come first.
    pub fn yield_now(&self) -> Yield {
        Yield::new(self.clone())
    }

    /// Ends the current thread, whatever it is in the middle of.
    pub(crate) fn end_thread(&self) -> EndThread {
        EndThread::new(self.clone())
    }

    /// Takes the current thread off its processor; it goes on where its affinity allows.
    pub(crate) fn reschedule(&self) -> Reschedule {
        Reschedule::new(self.clone())
    }

    /// Lets the current thread sleep.
    ///
    /// # Errors
    /// When the current activity may not wait.
    pub async fn delay(&self, nanoseconds: VirtualTime) -> Outcome<()> {
        let deadline = self.now() + nanoseconds;
        self.block("a delay", Some(deadline)).await.map(|_| ())
    }

    /// Creates a thread that runs `body`.
    pub fn spawn<F, R, B>(&self, spec: ThreadSpec, body: B) -> ThreadId
    where
        B: FnOnce(Self) -> F,
        F: Future<Output = Outcome<R>> + 'static,
        R: ReturnValue + 'static,
    {
        let flow = body(self.clone());
        let kernel = self.clone();
        let flow: Flow = Box::pin(async move {
            ps::notify::begins(&kernel).await?;
            let value = flow.await?.into_rax();
            ps::notify::ends(&kernel).await?;
            Ok(value)
        });
        let object = self.allocate_pool(
            PoolKind::NonPagedNx,
            layout::KTHREAD_SIZE,
            0,
            PoolOwner::System,
            "KTHREAD",
        );
        ke::thread::initialize(self, object);
        let stack = self.new_stack("thread stack");
        self.trace(Event::ThreadCreated {
            name: spec.name.clone(),
        });
        let mode = spec.mode;
        let mut scheduler = self.0.scheduler.borrow_mut();
        let thread = ThreadId(scheduler.threads.len());
        let activity = Activity::new(ActivityKind::Thread(thread), "thread", flow, stack);
        scheduler.threads.push(Thread {
            name: spec.name,
            mode: spec.mode,
            state: ThreadState::Ready(Box::new(activity)),
            object,
            regions: Regions::default(),
            affinity: ke::affinity::all(self),
            of_driver: false,
            is_preempted: true,
            joiners: Vec::new(),
        });
        scheduler.ready.push(thread);
        drop(scheduler);
        ps::process::thread_created(self, thread, mode);
        self.sync_release(SyncObject::Thread(thread.0 as u64));
        thread
    }

    /// Waits until a thread has ended.
    ///
    /// # Errors
    /// When the current activity may not wait.
    pub async fn join(&self, thread: ThreadId) -> Outcome<()> {
        loop {
            {
                let current = self.current_thread();
                let mut scheduler = self.0.scheduler.borrow_mut();
                let target = &mut scheduler.threads[thread.0];
                if matches!(target.state, ThreadState::Terminated) {
                    break;
                }
                target.joiners.extend(current);
            }
            let why = format!("the end of thread {}", self.thread_name(thread));
            self.block(why, None).await?;
        }
        Ok(())
    }

    /// Wakes a thread that is blocked. One that is not stays as it is.
    pub fn wake(&self, thread: ThreadId) {
        self.0
            .scheduler
            .borrow_mut()
            .wake(thread, crate::sched::Woken::Signalled);
        self.sync_release(SyncObject::Thread(thread.0 as u64));
    }

    /// Drops whatever is in the middle of its work. A flow has a handle to the kernel, and the kernel has the flow: with neither dropped,
    /// the host never gets the machine's memory back.
    pub(crate) fn abandon(&self) {
        let mut activities = Vec::new();
        {
            let mut scheduler = self.0.scheduler.borrow_mut();
            for thread in &mut scheduler.threads {
                let state = std::mem::replace(&mut thread.state, ThreadState::Terminated);
                if let ThreadState::Ready(activity) | ThreadState::Waiting(activity, _) = state {
                    activities.push(*activity);
                }
            }
            for processor in &mut scheduler.processors {
                activities.append(&mut processor.activities);
            }
        }
        // A flow may give back what it has, and the scheduler is not borrowed here.
        drop(activities);
        drop(self.take_request());
        drop(self.0.states.take());
        drop(self.0.io.take());
    }

    /// Makes a kernel stack, with unmapped pages around it.
    pub(crate) fn new_stack(&self, what: &str) -> Stack {
        let limit = {
            let mut scheduler = self.0.scheduler.borrow_mut();
            let limit = scheduler.next_stack.unwrap_or(layout::STACKS);
            scheduler.next_stack = Some(limit + layout::STACK_SIZE + 4 * PAGE_SIZE);
            limit
        };
        self.map_ram(limit, layout::STACK_SIZE, Protection::READ_WRITE, what);
        Stack {
            limit,
            top: limit + layout::STACK_SIZE,
        }
    }
}
