//! A dispatch routine says what became of *its* IRP: that another one was completed is no disposition of it.
#![no_std]

use wdm::{Disposed, Irp, Irql, irql::UpToDispatch};

pub fn dispatch<'i, 'o: 'i>(irp: Irp<'i>, other: Irp<'o>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    other.complete(Ok(()), irql) //~ ERROR: lifetime may not live long enough
}
