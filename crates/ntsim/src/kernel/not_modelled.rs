//! Ends of a run that are no bug checks of Windows, and say nothing about the driver: it reached what the machine does not model, so that the
//! machine cannot tell what Windows would do; or the host failed.

use super::Kernel;
use crate::{
    bugcheck::{BugCheck, BugCheckCode, Halted},
    mm::Va,
};

impl BugCheck {
    /// The rule name of such an end.
    pub const NOT_MODELLED: &'static str = "not-modelled";

    /// The end of a run that reached what the machine does not model.
    #[must_use]
    pub fn not_modelled(what: impl Into<String>) -> Self {
        Self::new(BugCheckCode::NOT_MODELLED, [0; 4], Self::NOT_MODELLED, what)
    }

    /// The end of a run because what a device is made of on the host has failed.
    #[must_use]
    pub fn host_failed(what: impl Into<String>) -> Self {
        Self::new(BugCheckCode::HOST_FAILED, [0; 4], "host-failed", what)
    }

    /// Whether the run ended at what the machine does not model, rather than at a broken rule.
    #[must_use]
    pub fn is_not_modelled(&self) -> bool {
        self.code == BugCheckCode::NOT_MODELLED
    }
}

impl Kernel {
    /// Stops the machine at what it does not model: a routine, an instruction, or what an argument asks for.
    ///
    /// The message says what was asked for, by whom, and what the reader can do: `MmFoo was called with the unknown flag 0x8, which is
    /// not modelled`. The report says where in the driver that was.
    #[must_use = "whoever raised it must stop as well"]
    pub fn not_modelled(&self, what: impl Into<String>) -> Halted {
        self.bugcheck(BugCheck::not_modelled(what))
    }

    /// The most entries that the system follows of a list in guest memory.
    pub(crate) const MOST_ENTRIES: usize = 1 << 16;

    /// Stops the machine at a list in guest memory that goes on for longer: most likely it leads back to itself, and Windows would hang.
    #[must_use = "whoever raised it must stop as well"]
    pub(crate) fn endless_list(&self, what: &str, start: Va) -> Halted {
        let most = Self::MOST_ENTRIES;
        self.not_modelled(format!(
            "{what} at {start} has more than {most} entries, which is not modelled: does an entry lead back to an earlier one?"
        ))
    }
}
