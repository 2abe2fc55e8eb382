//@ check-pass
//! An event is set at DISPATCH_LEVEL or below: an ISR queues a DPC for that.
#![no_std]

use wdm::{
    Event, Irql,
    irql::{Dirql, Dispatch},
};

pub fn set(event: &Event, dirql: &mut Irql<Dirql>, dispatch: &mut Irql<Dispatch>) {
    event.set(dispatch);
}
