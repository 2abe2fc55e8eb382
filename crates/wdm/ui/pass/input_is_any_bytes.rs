//@ check-pass
//! A program sends whatever bytes it likes: a type for which some are invalid is no input.
#![no_std]

use wdm::{Irp, Result};

pub fn is_set(irp: &Irp<'_>) -> Result<bool> {
    let flag = irp.read_input::<u8>()?;
    Ok(flag != 0)
}
