//! A routine that fails does so with an error: a status that says success or pending is none.
#![no_std]

use wdm::{Result, Status};

pub fn start() -> Result<()> {
    Err(Status::SUCCESS) //~ E0308
}
