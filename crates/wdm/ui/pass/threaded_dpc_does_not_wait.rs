//@ check-pass
//! A threaded DPC does not wait, at PASSIVE_LEVEL either.
#![no_std]

use core::time::Duration;

use wdm::{
    Event, Irql,
    irql::{Passive, Threaded},
};

pub fn wait(event: &Event, threaded: &mut Irql<Threaded>, passive: &mut Irql<Passive>) -> bool {
    let _ = (&threaded, &passive);
    event.wait(Duration::from_millis(1), passive)
}
