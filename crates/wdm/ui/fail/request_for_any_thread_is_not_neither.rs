//@ error-in-other-file: a METHOD_NEITHER request is one of its thread
//@ error-in-other-file: erroneous constant encountered
//! Of a METHOD_NEITHER request the lower driver gets the addresses of its sender's, and nothing else.
#![no_std]

use wdm::{AnyThreadRequest, Irp};

pub struct Request<const CODE: u32>;

// SAFETY: the requests carry nothing.
unsafe impl<const CODE: u32> AnyThreadRequest for Request<CODE> {
    const CODE: u32 = CODE;
}

pub fn vouch(irp: &mut Irp<'_>) {
    irp.vouch::<Request<0x0022_2403>>(); //~ NOTE: encountered while instantiating
}
