//! -1 is no status, though it counts as an error: Driver Verifier reports a request that is completed with it.
#![no_std]

use wdm::Error;

pub const FAILED: Error = Error::from_raw(-1).unwrap(); //~ E0080
