//! The driver that hears of a completion may want the lock that the completing one holds.
#![no_std]

use wdm::{Disposed, Irp, Irql, irql::{Dispatch, SpinLockHeld}};

pub fn finish<'i>(irp: Irp<'i>, held: &mut Irql<SpinLockHeld>, dispatch: &mut Irql<Dispatch>) -> Disposed<'i> {
    irp.complete(Ok(()), held) //~ E0277
}
