//@ check-pass
//! A dispatch routine says what became of its IRP.
#![no_std]

use wdm::{Disposed, Irp, Irql, irql::UpToDispatch};

pub fn dispatch<'i>(irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    irp.complete(Ok(()), irql)
}
