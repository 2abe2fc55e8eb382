//! A threaded DPC completes no IRP at `PASSIVE_LEVEL`: the drivers above would take themselves for called by a thread that may wait.
#![no_std]

use wdm::{Disposed, Irp, Irql, irql::Threaded};

pub fn end<'i>(irp: Irp<'i>, threaded: &mut Irql<Threaded>) -> Disposed<'i> {
    irp.complete(Ok(()), threaded) //~ E0277
}
