//@ check-pass
//! Resources are the device's while `start` runs: no other thread allocates, or opens a key, with them while it is stopped.
#![no_std]

use wdm::Resources;

fn to_another_thread(_: impl Send) {}

pub fn start(resources: &Resources<'_>) {
    to_another_thread(resources.interrupt().is_some());
}
