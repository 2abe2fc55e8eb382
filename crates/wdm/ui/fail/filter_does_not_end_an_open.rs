//! An open is the lower driver's: a filter looks at it, and may refuse it.
#![no_std]

use wdm::{Irp, Irql, Result, irql::UpToDispatch};

pub fn create(irp: &Irp<'_>, irql: &mut Irql<UpToDispatch>) -> Result<()> {
    let _ = &irql;
    let _ = irp.complete(Ok(()), irql); //~ E0507
    Ok(())
}
