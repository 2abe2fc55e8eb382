//@ check-pass
//! A queue that is closed completes the IRP that is put into it, which is not done under a spin lock.
#![no_std]

use wdm::{
    CancelSafeQueue, Disposed, Irp, Irql,
    irql::{Dispatch, SpinLockHeld},
};

pub fn park<'i>(
    queue: &CancelSafeQueue,
    irp: Irp<'i>,
    held: &mut Irql<SpinLockHeld>,
    dispatch: &mut Irql<Dispatch>,
) -> Disposed<'i> {
    let _ = (&held, &dispatch);
    queue.insert(irp, dispatch)
}
