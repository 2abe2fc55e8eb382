//@ check-pass
//! A token is proof of the IRQL: safe code cannot make one.
#![no_std]

use wdm::{Event, Irql, irql::Dispatch};

pub fn set(event: &Event, lent: &mut Irql<Dispatch>) {
    event.set(lent);
}
