//! A common buffer is freed at PASSIVE_LEVEL.
#![no_std]

use wdm::{
    CommonBuffer, Irql,
    irql::{Dispatch, Passive},
};

pub fn free(buffer: &CommonBuffer, dispatch: &mut Irql<Dispatch>, passive: &mut Irql<Passive>) {
    let _ = (&dispatch, &passive);
    buffer.free(dispatch); //~ E0308
}
