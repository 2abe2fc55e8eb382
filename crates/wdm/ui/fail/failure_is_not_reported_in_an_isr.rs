//! That a device has failed is told at DISPATCH_LEVEL or below: an ISR leaves that to its DPC.
#![no_std]

use wdm::{
    DeviceFailure, Irql,
    irql::{Dirql, Dispatch},
};

pub fn report(failure: &DeviceFailure, dirql: &mut Irql<Dirql>, dispatch: &mut Irql<Dispatch>) {
    failure.report(dirql); //~ E0277
}
