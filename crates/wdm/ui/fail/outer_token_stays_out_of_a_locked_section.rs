//! While a lock is held, the token of before says something untrue, and does not get into the locked section.
#![no_std]

use wdm::{Irql, SpinLock, irql::Dispatch};

pub fn nested(first: &SpinLock<u32>, second: &SpinLock<u32>, outer: &mut Irql<Dispatch>) {
    first.with(outer, |_, _| second.with(outer, |_, value| *value += 1)); //~ E0277
}
