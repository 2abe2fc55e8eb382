//! An IRP that was passed down is the lower driver's, and may be gone.
#![no_std]

use wdm::{Disposed, Irp, Irql, irql::UpToDispatch};

pub fn dispatch<'i>(irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    let disposed = irp.forward(irql);
    let _ = irp.is_cancelled(); //~ E0382
    disposed
}
