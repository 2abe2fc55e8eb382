//! A request of the driver's own is waited for: at PASSIVE_LEVEL.
#![no_std]

use wdm::{
    Irql, LowerDevice, Result,
    irql::{Dispatch, Passive},
};

pub fn ask(lower: &LowerDevice, dispatch: &mut Irql<Dispatch>, passive: &mut Irql<Passive>) -> Result<usize> {
    let _ = (&dispatch, &passive);
    lower.device_control(0, &[], &mut [], dispatch) //~ E0308
}
