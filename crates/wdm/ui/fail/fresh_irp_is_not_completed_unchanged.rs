//! A request that was never at the lower driver has nothing to be completed with yet.
#![no_std]

use wdm::{Disposed, Irp, Irql, irql::UpToDispatch};

pub fn dispatch<'i>(irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    irp.complete_unchanged(irql) //~ E0599
}
