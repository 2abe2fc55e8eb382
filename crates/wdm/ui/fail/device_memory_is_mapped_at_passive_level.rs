//! Device memory is mapped at PASSIVE_LEVEL: a DPC does not do it.
#![no_std]

use wdm::{
    DeviceMemory, Irql, MemoryResource, Result,
    irql::{Dispatch, Passive},
};

pub fn map(
    memory: &DeviceMemory<0x100>,
    resource: &MemoryResource<'_>,
    dispatch: &mut Irql<Dispatch>,
    passive: &mut Irql<Passive>,
) -> Result<()> {
    memory.map(resource, dispatch) //~ E0308
}
