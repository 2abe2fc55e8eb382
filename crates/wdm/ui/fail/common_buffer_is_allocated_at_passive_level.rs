//! The system looks for memory that the device can reach: that may take a while.
#![no_std]

use wdm::{
    CommonBuffer, DeviceDescription, Irql, LogicalAddress, Resources, Result,
    irql::{Dispatch, Passive},
};

pub fn allocate(
    buffer: &CommonBuffer,
    resources: &Resources<'_>,
    device: DeviceDescription,
    dispatch: &mut Irql<Dispatch>,
    passive: &mut Irql<Passive>,
) -> Result<LogicalAddress> {
    buffer.allocate(resources, device, 4096, dispatch) //~ E0308
}
