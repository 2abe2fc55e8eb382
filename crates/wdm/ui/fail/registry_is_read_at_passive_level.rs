//! The registry is read at PASSIVE_LEVEL: it may have to be brought in from the disk.
#![no_std]

use wdm::{
    HardwareKey, Irql, Resources, Result,
    irql::{Dispatch, Passive},
    unicode_string,
};

pub fn read(
    key: &HardwareKey,
    resources: &Resources<'_>,
    dispatch: &mut Irql<Dispatch>,
    passive: &mut Irql<Passive>,
) -> Result<u32> {
    let _ = (&dispatch, &passive);
    key.dword(unicode_string!("TimeoutMs"), resources, dispatch) //~ E0308
}
