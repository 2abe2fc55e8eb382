//@ check-pass
//! Mapping takes locks of the system's: it is done at DISPATCH_LEVEL or below.
#![no_std]

use wdm::{
    Irp, Irql, Result,
    irql::{Dirql, UpToDispatch},
};

pub fn map(irp: &mut Irp<'_>, dirql: &mut Irql<Dirql>, dispatch: &mut Irql<UpToDispatch>) -> Result<()> {
    irp.map_buffer(dispatch)
}
