//! What the ISR works on is touched under the interrupt spin lock only.
#![no_std]

use wdm::{Interrupt, InterruptService, Irql, irql::Dispatch};

pub fn deferred<S: InterruptService<State = u32>>(interrupt: &Interrupt<S>, irql: &mut Irql<Dispatch>) {
    let _ = interrupt.0.state.get(); //~ E0616
}
