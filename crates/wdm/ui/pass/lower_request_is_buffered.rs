//@ check-pass
//! Of a request that is not buffered the lower driver gets the addresses themselves.
#![no_std]

use wdm::{Irql, LowerDevice, LowerRequest, Result, irql::Passive};

pub struct Request<const CODE: u32>;

// SAFETY: the requests carry nothing.
unsafe impl<const CODE: u32> LowerRequest for Request<CODE> {
    const CODE: u32 = CODE;
    type Input = ();
    type Output = ();
}

pub fn ask(lower: &LowerDevice, irql: &mut Irql<Passive>) -> Result<usize> {
    lower.device_control::<Request<0x0022_2400>>(&(), &mut (), irql)
}
