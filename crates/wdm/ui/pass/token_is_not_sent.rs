//@ check-pass
//! A token belongs to the processor that it was lent on: nothing that may run on another gets it.
#![no_std]

use wdm::{Irql, irql::Dispatch};

fn elsewhere<T: Send>(value: T) {
    let _ = value;
}

pub fn deferred(irql: &mut Irql<Dispatch>) {
    let _ = &irql;
    elsewhere(7);
}
