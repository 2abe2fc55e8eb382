//@ check-pass
//! A completion routine lets the completion go on, or keeps the IRP and disposes of it.
#![no_std]

use wdm::{Completed, Irql, ReturnedIrp, irql::UpToDispatch};

pub fn completed<'i>(irp: ReturnedIrp<'i>, irql: &mut Irql<UpToDispatch>) -> Completed<'i> {
    let _ = &irql;
    irp.continue_completion()
}
