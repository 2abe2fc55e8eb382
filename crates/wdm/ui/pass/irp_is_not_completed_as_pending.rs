//@ check-pass
//! A request is completed with success or with an error, not with a status of any kind, which may be `STATUS_PENDING`.
#![no_std]

use wdm::{Disposed, Irp, Irql, Status, irql::UpToDispatch};

pub fn dispatch<'i>(irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    let pending = Status::from_raw(0x103);
    irp.complete(pending.into_result(), irql)
}
