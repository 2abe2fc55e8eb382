//! A driver with an `unwrap` in it.
//!
//! `cargo xtask test` builds it with the release profile and expects the image checks to refuse it for that and nothing else.
//! Without it, a check that finds no panics in the shipped driver could be one that never finds any.

#![no_std]

// Brings the kernel's import libraries.
extern crate wdm as _;
// The panic handler.
extern crate wdk_panic as _;

use core::{ffi::c_void, ptr::NonNull};

/// Called by the system, if it ever were to load this.
///
/// # Panics
///
/// With a null driver object: that is the point of it.
// SAFETY: the linker is told this name; no other symbol of a driver has it.
#[unsafe(export_name = "DriverEntry")]
pub extern "system" fn driver_entry(driver: *mut c_void, _registry_path: *const c_void) -> i32 {
    let driver = NonNull::new(driver).unwrap();
    i32::from(driver.is_aligned())
}
