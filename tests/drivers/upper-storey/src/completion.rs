//! The completion routines. IRQL: at most DISPATCH.

use core::sync::atomic::Ordering;

use vouched::SentTwice;
use wdm::{Completed, CompletionRoutine, Irql, ReturnedIrp, irql::UpToDispatch};

use crate::UpperStorey;

/// Counts the outcome.
fn count(storey: &UpperStorey, irp: &ReturnedIrp<'_>) {
    let counter = if irp.io_status().status.is_success() {
        &storey.succeeded
    } else {
        &storey.failed
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Lets the completion go on.
pub enum Continue {}

impl CompletionRoutine for Continue {
    type Device = UpperStorey;

    fn completed<'i>(storey: &UpperStorey, irp: ReturnedIrp<'i>, _irql: &mut Irql<UpToDispatch>) -> Completed<'i> {
        count(storey, &irp);
        irp.continue_completion()
    }
}

/// Completes the request itself.
pub enum Keep {}

impl CompletionRoutine for Keep {
    type Device = UpperStorey;

    fn completed<'i>(storey: &UpperStorey, irp: ReturnedIrp<'i>, irql: &mut Irql<UpToDispatch>) -> Completed<'i> {
        count(storey, &irp);
        irp.complete_unchanged(irql).into()
    }
}

/// Leaves it to the DPC to complete the request, with the status that it has as a note.
pub enum KeepInQueue {}

impl CompletionRoutine for KeepInQueue {
    type Device = UpperStorey;

    fn completed<'i>(storey: &UpperStorey, irp: ReturnedIrp<'i>, irql: &mut Irql<UpToDispatch>) -> Completed<'i> {
        count(storey, &irp);
        let status = irp.io_status().status.as_raw().cast_unsigned();
        let mut irp = irp.into_irp();
        irp.set_note([status.into(), 0]);
        storey.queue(irp, irql).into()
    }
}

/// Leaves the request where nobody takes it up.
pub enum KeepAndWait {}

impl CompletionRoutine for KeepAndWait {
    type Device = UpperStorey;

    fn completed<'i>(storey: &UpperStorey, irp: ReturnedIrp<'i>, irql: &mut Irql<UpToDispatch>) -> Completed<'i> {
        count(storey, &irp);
        storey.waiting.insert(irp.into_irp(), irql).into()
    }
}

/// Sends the request down again. If it was answered that is refused: the answer has taken the place of the input.
pub enum SendAgain {}

impl CompletionRoutine for SendAgain {
    type Device = UpperStorey;

    fn completed<'i>(storey: &UpperStorey, irp: ReturnedIrp<'i>, irql: &mut Irql<UpToDispatch>) -> Completed<'i> {
        count(storey, &irp);
        let mut irp = irp.into_irp();
        irp.vouch::<SentTwice>();
        irp.forward_with::<Continue, _>(irql).into()
    }
}
