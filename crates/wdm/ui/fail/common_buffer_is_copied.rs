//! What a device writes at any time is copied: there is no reference to it.
#![no_std]

use wdm::{CommonBuffer, Result};

pub fn first(buffer: &CommonBuffer) -> Result<u8> {
    let mut byte = [0];
    byte[0] = buffer[0]; //~ E0608
    Ok(byte[0])
}
