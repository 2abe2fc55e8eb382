//! Host-side waiting, for state that lives in the model alone.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use super::{ThreadId, VirtualTime, Woken};
use crate::{bugcheck::Outcome, kernel::Kernel};

/// Threads that wait for something the model knows. A wake-up is a hint: the waiter looks at the state again.
#[derive(Clone, Debug, Default)]
pub struct WaitQueue(Rc<RefCell<VecDeque<ThreadId>>>);

impl WaitQueue {
    /// Blocks the current thread until it is woken.
    ///
    /// # Errors
    /// When the current activity may not wait.
    pub async fn wait(&self, k: &Kernel, why: impl Into<String>) -> Outcome<()> {
        self.wait_until(k, why, None).await.map(|_| ())
    }

    /// As [`WaitQueue::wait`], until `deadline` at most.
    ///
    /// # Errors
    /// When the current activity may not wait.
    pub async fn wait_until(
        &self,
        k: &Kernel,
        why: impl Into<String>,
        deadline: Option<VirtualTime>,
    ) -> Outcome<Woken> {
        let thread = k.current_thread();
        self.0.borrow_mut().extend(thread);
        let woken = k.block(why, deadline).await?;
        if woken == Woken::TimedOut {
            self.0.borrow_mut().retain(|&waiter| Some(waiter) != thread);
        }
        Ok(woken)
    }

    /// Wakes the thread that has waited longest.
    pub fn wake_one(&self, k: &Kernel) {
        let first = self.0.borrow_mut().pop_front();
        if let Some(thread) = first {
            k.wake(thread);
        }
    }

    /// Wakes every waiter; says whether there was one.
    #[must_use]
    pub fn wake_any(&self, k: &Kernel) -> bool {
        let any = !self.0.borrow().is_empty();
        self.wake_all(k);
        any
    }

    /// Wakes every waiter.
    pub fn wake_all(&self, k: &Kernel) {
        let waiters = self.0.take();
        for thread in waiters {
            k.wake(thread);
        }
    }
}
