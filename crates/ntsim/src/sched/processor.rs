//! A simulated processor.

use std::collections::VecDeque;

use super::{Activity, ActivityKind, Stack, ThreadId, watchdog::Raised};
use crate::{ke::Irql, mm::Va};

/// A processor: its IRQL, what runs on it, and its DPC queue.
#[derive(Debug)]
pub struct Processor {
    /// The current IRQL.
    pub irql: Irql,
    /// What runs on it, outermost first: a thread, the DPC drain over it, interrupts over that. Empty: idle.
    pub activities: Vec<Activity>,
    /// Queued DPCs.
    pub dpc_queue: VecDeque<Va>,
    /// DPCs were queued by this processor itself, or its IPI has arrived: drain as soon as the IRQL allows.
    pub dpc_requested: bool,
    /// How many DPCs were queued to it so far.
    pub dpcs_queued: u64,
    /// How many of them have run or were removed.
    pub dpcs_retired: u64,
    /// Its KPCR: what gs points to.
    pub kpcr: Va,
    /// The stack DPCs run on.
    pub dpc_stack: Stack,
    /// The stack interrupts run on.
    pub interrupt_stack: Stack,
    /// What it has done at `DISPATCH_LEVEL` or above.
    pub raised: Raised,
}

impl Processor {
    /// The activity that has the processor.
    #[must_use]
    pub fn current(&self) -> Option<&Activity> {
        self.activities.last()
    }

    /// The thread that runs on it, interrupted or not.
    #[must_use]
    pub fn thread(&self) -> Option<ThreadId> {
        match self.activities.first()?.kind {
            ActivityKind::Thread(thread) => Some(thread),
            _ => None,
        }
    }

    /// Whether its DPC queue is being drained.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.activities
            .iter()
            .any(|activity| activity.kind == ActivityKind::Dpc)
    }

    /// Whether the DPC drain can start now.
    #[must_use]
    pub fn can_drain(&self) -> bool {
        self.irql < Irql::DISPATCH && !self.dpc_queue.is_empty() && !self.draining()
    }
}
