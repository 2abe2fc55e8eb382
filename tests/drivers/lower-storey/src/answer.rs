//! The answers.

use wdm::{
    Disposed, Error, Irp, Irql, QueuedIrp, Result,
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
    let wanted = |irp: &QueuedIrp<'_>| irp.read_input::<u32>().is_ok_and(|input| input & NEVER == 0);
    storey.queue.remove_all_if(irql, wanted, answer);
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
