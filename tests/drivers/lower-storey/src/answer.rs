//! The answers.

use wdm::{
    Disposed, Error, Irp, Irql, Result,
    irql::{Dispatch, NoLockHeld, UpToDispatch},
};

use crate::{
    LowerStorey,
    protocol::{ANSWER, FAIL, LATER, NEVER},
};

/// Answers at once, or leaves the request to the DPC.
pub fn device_control<'i>(storey: &LowerStorey, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    match irp.read_input::<u32>() {
        Ok(input) if input & (LATER | NEVER) != 0 => storey.queue(irp, irql),
        Ok(_) => answer(irp, irql),
        Err(error) => irp.complete(Err(error), irql),
    }
}

/// Answers every request that is to be answered. IRQL: DISPATCH.
pub fn take_up(storey: &LowerStorey, irql: &mut Irql<Dispatch>) {
    storey.queue.with(irql, |queue, _irql| {
        queue.end_if(|irp, ()| match irp.read_input::<u32>() {
            Ok(input) if input & NEVER == 0 => Some(write_answer(irp)),
            _ => None,
        });
    });
}

fn answer<'i, L: NoLockHeld>(mut irp: Irp<'i>, irql: &mut Irql<L>) -> Disposed<'i> {
    let answered = write_answer(&mut irp);
    irp.complete(answered, irql)
}

fn write_answer(irp: &mut Irp<'_>) -> Result<()> {
    let input: u32 = irp.read_input()?;
    if input & FAIL != 0 {
        return Err(Error::IO_TIMEOUT);
    }
    irp.write_output(&(input ^ ANSWER))
}
