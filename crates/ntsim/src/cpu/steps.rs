//! The instructions of a slice, one by one, for those who ask for them.

use std::cell::{Cell, RefCell};

use crate::mm::Va;

/// What guest code has executed since it was taken last. Noting it makes a run slower, and is off at first.
#[derive(Debug, Default)]
pub struct Steps {
    wanted: Cell<bool>,
    executed: RefCell<Vec<Va>>,
    lowest_stack: Cell<Option<Va>>,
}

impl Steps {
    /// Says whether instructions are to be noted from now on.
    pub fn want(&self, wanted: bool) {
        self.wanted.set(wanted);
    }

    /// Whether they are noted.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted.get()
    }

    /// The instruction at `pc` is about to run.
    pub(super) fn note(&self, pc: Va) {
        if self.wanted() {
            self.executed.borrow_mut().push(pc);
        }
    }

    /// The stack pointer before an instruction, or where a call of the kernel has arrived.
    pub(super) fn note_stack(&self, pointer: Va) {
        let lowest = self.lowest_stack.get();
        self.lowest_stack
            .set(Some(lowest.map_or(pointer, |lowest| lowest.min(pointer))));
    }

    /// The addresses of the instructions in the order in which they ran, and the lowest stack pointer among them; forgets both.
    pub(crate) fn take(&self) -> (Vec<Va>, Option<Va>) {
        (self.executed.take(), self.lowest_stack.take())
    }
}
