//@ check-pass
//! A completion routine lets the completion go on, or keeps the IRP and disposes of it.
#![no_std]

use wdm::{Completed, Irp, Irql, irql::UpToDispatch};

pub fn completed<'i>(irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Completed<'i> {
    let _ = &irql;
    irp.continue_completion()
}
