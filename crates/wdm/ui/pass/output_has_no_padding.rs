//@ check-pass
//! Every byte of an answer is written on purpose: a type with padding is no output.
#![no_std]

use wdm::{Irp, Result};
use zerocopy::{Immutable, IntoBytes};

/// One byte, and three that nobody writes.
pub struct Padded {
    pub kind: u8,
    pub value: u32,
}

/// No byte that nobody writes.
#[derive(Immutable, IntoBytes)]
#[repr(C)]
pub struct Packed {
    pub kind: u32,
    pub value: u32,
}

pub fn answer(irp: &mut Irp<'_>, padded: &Padded, packed: &Packed) -> Result<()> {
    let _ = (padded, packed);
    irp.write_output(packed)
    //
}
