//! What a host flow can ask of the scheduler: call the guest, block, spin, yield.
//!
//! Each request is a future that files it on its first poll and is pending; the scheduler acts on it and polls the flow again
//! when there is an answer. A flow has at most one request open, since it is straight-line code.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use super::{
    VirtualTime,
    activity::{Spin, SpinCondition},
};
use crate::{
    bugcheck::{Halted, Outcome},
    exception::MachineState,
    kernel::Kernel,
    mm::Va,
};

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody woke the thread.
    Signalled,
    /// The deadline came first.
    TimedOut,
}

/// A call into the guest.
#[derive(Clone, Debug)]
pub(crate) struct CallRequest {
    pub routine: Va,
    pub arguments: Vec<u64>,
    pub label: &'static str,
    pub irql_may_change: bool,
    pub reply: Rc<Cell<Option<u64>>>,
}

/// What a pending flow wants.
#[derive(Debug)]
pub(crate) enum Request {
    Call(CallRequest),
    Block {
        why: String,
        deadline: Option<VirtualTime>,
        reply: Rc<Cell<Option<Woken>>>,
    },
    Spin(Spin),
    Yield,
    /// The thread gives its processor to another one, and is ready to run.
    Reschedule,
    /// The thread ends, whatever it is in the middle of.
    EndThread,
    /// Leave every frame above `frame`, and go on there with other registers.
    Restore {
        frame: usize,
        state: Box<MachineState>,
    },
}

/// The future of [`Kernel::call`]: resolves to the routine's rax.
#[must_use = "a call happens when it is awaited"]
pub struct GuestCall {
    kernel: Kernel,
    request: CallRequest,
    started: bool,
}

impl GuestCall {
    pub(crate) fn new(kernel: Kernel, routine: Va, arguments: &[u64]) -> Self {
        Self {
            kernel,
            request: CallRequest {
                routine,
                arguments: arguments.to_vec(),
                label: "callback",
                irql_may_change: false,
                reply: Rc::default(),
            },
            started: false,
        }
    }

    /// Says what the routine is, for traces and reports.
    pub fn label(mut self, label: &'static str) -> Self {
        self.request.label = label;
        self
    }

    /// The routine may return at another IRQL, or with other locks held, than it was called with.
    pub fn may_change_irql(mut self) -> Self {
        self.request.irql_may_change = true;
        self
    }
}

impl Future for GuestCall {
    type Output = Outcome<u64>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.started {
            self.started = true;
            self.kernel.file_request(Request::Call(self.request.clone()));
            return Poll::Pending;
        }
        answer(&self.kernel, self.request.reply.take())
    }
}

/// The future of [`Kernel::block`].
#[must_use = "a wait happens when it is awaited"]
pub struct Block {
    kernel: Kernel,
    why: Option<String>,
    deadline: Option<VirtualTime>,
    reply: Rc<Cell<Option<Woken>>>,
}

impl Block {
    pub(crate) fn new(kernel: Kernel, why: String, deadline: Option<VirtualTime>) -> Self {
        Self {
            kernel,
            why: Some(why),
            deadline,
            reply: Rc::default(),
        }
    }
}

impl Future for Block {
    type Output = Outcome<Woken>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(why) = self.why.take() {
            let (deadline, reply) = (self.deadline, self.reply.clone());
            self.kernel.file_request(Request::Block { why, deadline, reply });
            return Poll::Pending;
        }
        answer(&self.kernel, self.reply.take())
    }
}

/// The future of [`Kernel::spin_until`].
#[must_use = "a busy wait happens when it is awaited"]
pub struct SpinUntil {
    kernel: Kernel,
    why: String,
    until: SpinCondition,
}

impl SpinUntil {
    pub(crate) fn new(kernel: Kernel, why: String, until: SpinCondition) -> Self {
        Self { kernel, why, until }
    }
}

impl Future for SpinUntil {
    type Output = Outcome<()>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if (self.until)(&self.kernel) {
            return Poll::Ready(self.kernel.running());
        }
        self.kernel.file_request(Request::Spin(Spin {
            until: self.until.clone(),
            why: self.why.clone(),
        }));
        Poll::Pending
    }
}

/// The future of [`Kernel::yield_now`].
#[must_use = "a scheduling point happens when it is awaited"]
pub struct Yield {
    kernel: Kernel,
    yielded: bool,
}

impl Yield {
    pub(crate) fn new(kernel: Kernel) -> Self {
        Self { kernel, yielded: false }
    }
}

impl Future for Yield {
    type Output = Outcome<()>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.yielded {
            self.yielded = true;
            self.kernel.file_request(Request::Yield);
            return Poll::Pending;
        }
        Poll::Ready(self.kernel.running())
    }
}

/// The future of [`Kernel::reschedule`].
#[must_use = "a scheduling point happens when it is awaited"]
pub(crate) struct Reschedule {
    kernel: Kernel,
    done: bool,
}

impl Reschedule {
    pub(crate) fn new(kernel: Kernel) -> Self {
        Self { kernel, done: false }
    }
}

impl Future for Reschedule {
    type Output = Outcome<()>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.done {
            self.done = true;
            self.kernel.file_request(Request::Reschedule);
            return Poll::Pending;
        }
        Poll::Ready(self.kernel.running())
    }
}

/// The future of [`Kernel::end_thread`]: it is never polled again.
#[must_use = "a thread ends when it is awaited"]
pub(crate) struct EndThread {
    kernel: Kernel,
}

impl EndThread {
    pub(crate) fn new(kernel: Kernel) -> Self {
        Self { kernel }
    }
}

impl Future for EndThread {
    type Output = Outcome<std::convert::Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.kernel.running().is_err() {
            return Poll::Ready(Err(Halted));
        }
        self.kernel.file_request(Request::EndThread);
        Poll::Pending
    }
}

/// The future of [`Kernel::restore`](crate::kernel::Kernel::restore). It has no answer: the flow that asks is left as well.
#[must_use = "nothing is restored until it is awaited"]
pub(crate) struct Restore {
    kernel: Kernel,
    request: Option<(usize, Box<MachineState>)>,
}

impl Restore {
    pub(crate) fn new(kernel: Kernel, frame: usize, state: &MachineState) -> Self {
        Self {
            kernel,
            request: Some((frame, Box::new(*state))),
        }
    }
}

impl Future for Restore {
    type Output = Outcome<u64>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.request.take() {
            Some((frame, state)) => {
                self.kernel.file_request(Request::Restore { frame, state });
                Poll::Pending
            }
            None => Poll::Ready(Err(Halted)),
        }
    }
}

fn answer<T>(kernel: &Kernel, reply: Option<T>) -> Poll<Outcome<T>> {
    if kernel.running().is_err() {
        return Poll::Ready(Err(Halted));
    }
    Poll::Ready(Ok(reply.expect("a flow is polled when its request is answered")))
}
