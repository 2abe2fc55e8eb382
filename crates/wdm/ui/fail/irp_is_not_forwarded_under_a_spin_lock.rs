//! The lower driver may complete the request at once, and whoever hears of that may want the lock.
#![no_std]

use wdm::{
    Disposed, Irp, Irql,
    irql::{Dispatch, SpinLockHeld},
};

pub fn pass_on<'i>(irp: Irp<'i>, held: &mut Irql<SpinLockHeld>, dispatch: &mut Irql<Dispatch>) -> Disposed<'i> {
    let _ = (&held, &dispatch);
    irp.forward(held) //~ E0277
}
