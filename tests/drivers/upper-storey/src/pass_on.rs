//! The ways to pass a request on.

use core::sync::atomic::Ordering;

use wdm::{
    Disposed, Error, Irp, Irql, Result, Status,
    irql::{Dispatch, UpToDispatch},
};

use vouched::{Ask, QueuedAndContinued, QueuedAndForwarded};

use crate::{
    UpperStorey,
    bare::{IN_THREAD_LATER, REPARSE},
    completion::{Continue, Keep, KeepAndWait, KeepInQueue, SendAgain},
    protocol::{
        ASK, CONTINUE, COUNTS, KEEP, KEEP_AND_WAIT, KEEP_IN_QUEUE, QUEUE_AND_CONTINUE, QUEUE_AND_FORWARD, SEND_TWICE,
        SHUT, STARTS, WAIT,
    },
};

/// Passes the request on, in the way that its code names.
pub fn device_control<'i>(storey: &UpperStorey, mut irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    let answered = match code(&irp) {
        Some(CONTINUE) => return irp.forward_with::<Continue, _>(irql),
        Some(KEEP | REPARSE) => return irp.forward_with::<Keep, _>(irql),
        Some(KEEP_IN_QUEUE) => return irp.forward_with::<KeepInQueue, _>(irql),
        Some(KEEP_AND_WAIT) => return irp.forward_with::<KeepAndWait, _>(irql),
        Some(QUEUE_AND_FORWARD | QUEUE_AND_CONTINUE) => return storey.queue(irp, irql),
        Some(code) if IN_THREAD_LATER.contains(&code) => return storey.queue(irp, irql),
        Some(WAIT) => return storey.waiting.insert(irp, irql),
        Some(SEND_TWICE) => return irp.forward_with::<SendAgain, _>(irql),
        Some(ASK) => ask(storey, &mut irp, irql),
        Some(COUNTS) => tell_counts(storey, &mut irp),
        Some(STARTS) => irp.write_output(&storey.starts.load(Ordering::Relaxed)),
        Some(SHUT) => {
            storey.shut.store(true, Ordering::Relaxed);
            Ok(())
        }
        // `FORWARD`, and whatever else there is.
        _ => return irp.forward(irql),
    };
    irp.complete(answered, irql)
}

/// Passes on what was queued for that, and completes what a completion routine has left here. IRQL: DISPATCH.
pub fn take_up(storey: &UpperStorey, irql: &mut Irql<Dispatch>) {
    while storey.queue.remove_next(irql, |mut irp, irql| match code(&irp) {
        Some(QUEUE_AND_FORWARD) => {
            irp.vouch::<QueuedAndForwarded>();
            irp.forward(irql)
        }
        Some(code) if IN_THREAD_LATER.contains(&code) => irp.forward(irql),
        Some(QUEUE_AND_CONTINUE) => {
            irp.vouch::<QueuedAndContinued>();
            irp.forward_with::<Continue, _>(irql)
        }
        _ => {
            let status = noted_status(&irp);
            irp.complete(status.into_result(), irql)
        }
    }) {}
}

/// The lower storey's status, as the completion routine has left it.
fn noted_status(irp: &Irp<'_>) -> Status {
    let [status, _] = irp.note();
    Status::from_raw(u32::try_from(status).unwrap_or_default().cast_signed())
}

fn code(irp: &Irp<'_>) -> Option<u32> {
    irp.device_control().map(|parameters| parameters.code)
}

/// Asks the lower storey by a request of this one's own, and answers what it answered.
fn ask(storey: &UpperStorey, irp: &mut Irp<'_>, irql: &mut Irql<UpToDispatch>) -> Result<()> {
    let irql = irql.passive().ok_or(Error::INVALID_DEVICE_STATE)?;
    let input: u32 = irp.read_input()?;
    let mut output = 0_u32;
    let written = storey.below.device_control::<Ask>(&input, &mut output, irql)?;
    if written != size_of_val(&output) {
        return Err(Error::DEVICE_HARDWARE_ERROR);
    }
    irp.write_output(&output)
}

fn tell_counts(storey: &UpperStorey, irp: &mut Irp<'_>) -> Result<()> {
    irp.write_output(&[
        storey.succeeded.load(Ordering::Relaxed),
        storey.failed.load(Ordering::Relaxed),
    ])
}
