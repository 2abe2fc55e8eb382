//@ check-pass
//! A reference to what the ISR works on ends with the interrupt spin lock's release.
#![no_std]

use wdm::{Interrupt, InterruptService, Irql, irql::Dispatch};

pub fn deferred<S: InterruptService<State = u32>>(interrupt: &Interrupt<S>, irql: &mut Irql<Dispatch>) {
    let _ = interrupt.synchronize(irql, |state, _| *state);
}
