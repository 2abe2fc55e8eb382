//! The system looks for memory that the device can reach: that may take a while.
#![no_std]

use wdm::{
    CommonBuffer, DeviceDescription, Irql, LogicalAddress, Result,
    irql::{Dispatch, Passive},
};

pub fn allocate(
    buffer: &CommonBuffer,
    device: DeviceDescription,
    dispatch: &mut Irql<Dispatch>,
    passive: &mut Irql<Passive>,
) -> Result<LogicalAddress> {
    buffer.allocate(device, 4096, dispatch) //~ E0308
}
