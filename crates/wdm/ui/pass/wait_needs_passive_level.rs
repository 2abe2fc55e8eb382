//@ check-pass
//! A wait asks for the token of PASSIVE_LEVEL: with that of DISPATCH_LEVEL there is no waiting.
#![no_std]

use core::time::Duration;

use wdm::{
    Event, Irql,
    irql::{Dispatch, Passive},
};

pub fn wait(event: &Event, dispatch: &mut Irql<Dispatch>, passive: &mut Irql<Passive>) -> bool {
    event.wait(Duration::from_millis(1), passive)
}
