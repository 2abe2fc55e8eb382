//! Waiting for the DPCs is done at PASSIVE_LEVEL: a DPC would wait for itself.
#![no_std]

use wdm::{
    Irql, flush_queued_dpcs,
    irql::{Dispatch, Passive},
};

pub fn flush(dispatch: &mut Irql<Dispatch>, passive: &mut Irql<Passive>) {
    flush_queued_dpcs(dispatch); //~ E0308
}
