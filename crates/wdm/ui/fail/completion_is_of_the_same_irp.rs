//! A completion routine says what became of *its* IRP: that another one goes on is nothing to it.
#![no_std]

use wdm::{Completed, ReturnedIrp};

pub fn completed<'i, 'o: 'i>(irp: ReturnedIrp<'i>, other: ReturnedIrp<'o>) -> Completed<'i> {
    let _ = (&irp, &other);
    other.continue_completion() //~ ERROR: lifetime may not live long enough
}
