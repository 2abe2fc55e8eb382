//@ check-pass
//! Bytes alone are no request: which code they go with decides what the lower driver makes of them.
#![no_std]

use wdm::{Irql, LowerDevice, LowerRequest, Result, irql::Passive};

pub enum Ours {}

// SAFETY: the request carries nothing.
unsafe impl LowerRequest for Ours {
    const CODE: u32 = 0x0022_2400;
    type Input = ();
    type Output = ();
}

pub enum Any {}

pub fn ask(lower: &LowerDevice, irql: &mut Irql<Passive>) -> Result<usize> {
    let input = ();
    lower.device_control::<Ours>(
        &input,
        &mut (),
        irql,
    )
}
