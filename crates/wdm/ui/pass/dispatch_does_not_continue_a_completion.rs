//@ check-pass
//! Only a completion routine lets a completion go on: in a dispatch routine there is none.
#![no_std]

use wdm::{Disposed, Irp, Irql, irql::UpToDispatch};

pub fn dispatch<'i>(irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    let _ = &irql;
    irp.complete(Ok(()), irql)
}
