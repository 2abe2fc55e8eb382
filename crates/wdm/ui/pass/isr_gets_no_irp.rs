//@ check-pass
//! An IRP does not get into an ISR, nor where its state is touched: dropped there it would be completed at its IRQL.
#![no_std]

use wdm::{Disposed, Interrupt, InterruptService, Irp, Irql, irql::UpToDispatch};

pub fn dispatch<'i, S: InterruptService>(
    interrupt: &Interrupt<S>,
    irp: Irp<'i>,
    irql: &mut Irql<UpToDispatch>,
) -> Disposed<'i> {
    let _ = interrupt.synchronize(irql, |_, _| 0);
    //
    //
    irp.complete(Ok(()), irql)
}
