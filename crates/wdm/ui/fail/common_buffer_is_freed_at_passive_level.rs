//! Freeing waits for whoever copies: a DPC would wait for itself.
#![no_std]

use wdm::{
    CommonBuffer, Irql,
    irql::{Dispatch, Passive},
};

pub fn free(buffer: &CommonBuffer, dispatch: &mut Irql<Dispatch>, passive: &mut Irql<Passive>) {
    buffer.free(dispatch); //~ E0308
}
