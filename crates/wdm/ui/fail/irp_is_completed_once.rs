//! Completing an IRP gives it up: it cannot be completed again.
#![no_std]

use wdm::{Disposed, Irp, Irql, irql::UpToDispatch};

pub fn dispatch<'i>(irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    let disposed = irp.complete(Ok(()), irql);
    let _ = irp.complete(Ok(()), irql); //~ E0382
    disposed
}
