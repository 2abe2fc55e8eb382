//! The lower storey, which answers.

use wdm::{
    Disposed, Irp, Irql, QueuedIrp, Result, Status,
    irql::{Dispatch, NoLockHeld, UpToDispatch},
};

use crate::{
    Storey,
    protocol::{ANSWER, FAIL, LATER, NEVER},
};

/// Answers at once, or leaves the request to the DPC.
pub fn device_control<'i>(storey: &Storey, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    match irp.read_input::<u32>() {
        Ok(input) if input & (LATER | NEVER) != 0 => storey.queue(irp, irql),
        Ok(_) => answer(irp, irql),
        Err(status) => irp.complete(status, irql),
    }
}

/// Answers every request that is to be answered. IRQL: DISPATCH.
pub fn take_up(storey: &Storey, irql: &mut Irql<Dispatch>) {
    let wanted = |irp: &QueuedIrp<'_>| irp.read_input::<u32>().is_ok_and(|input| input & NEVER == 0);
    while storey.queue.remove_next_if(irql, wanted, answer) {}
}

fn answer<'i, L: NoLockHeld>(mut irp: Irp<'i>, irql: &mut Irql<L>) -> Disposed<'i> {
    let status = match write_answer(&mut irp) {
        Ok(()) => Status::SUCCESS,
        Err(status) => status,
    };
    irp.complete(status, irql)
}

fn write_answer(irp: &mut Irp<'_>) -> Result<()> {
    let input: u32 = irp.read_input()?;
    if input & FAIL != 0 {
        return Err(Status::IO_TIMEOUT);
    }
    irp.write_output(&(input ^ ANSWER))
}
