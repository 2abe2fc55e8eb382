//@ check-pass
//! An interrupt is connected at PASSIVE_LEVEL: a DPC does not do it.
#![no_std]

use wdm::{
    Interrupt, InterruptResource, InterruptService, Irql, Result,
    irql::{Dispatch, Passive},
};

pub fn connect<S: InterruptService<State = u32>>(
    interrupt: &Interrupt<S>,
    resource: &InterruptResource<'_>,
    dispatch: &mut Irql<Dispatch>,
    passive: &mut Irql<Passive>,
) -> Result<()> {
    interrupt.connect(resource, 0, passive)
}
