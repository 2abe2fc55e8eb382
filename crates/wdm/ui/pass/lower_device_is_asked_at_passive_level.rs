//@ check-pass
//! A request of the driver's own is waited for: at PASSIVE_LEVEL.
#![no_std]

use wdm::{
    Irql, LowerDevice, LowerRequest, Result,
    irql::{Dispatch, Passive},
};

pub fn ask<R: LowerRequest<Input = (), Output = ()>>(
    lower: &LowerDevice,
    dispatch: &mut Irql<Dispatch>,
    passive: &mut Irql<Passive>,
) -> Result<usize> {
    let _ = (&dispatch, &passive);
    lower.device_control::<R>(&(), &mut (), passive)
}
