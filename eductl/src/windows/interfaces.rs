//! The device interfaces that are enabled now.

use std::ptr;

use edu::interface::GUID_DEVINTERFACE_EDU;
use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    CM_GET_DEVICE_INTERFACE_LIST_PRESENT, CM_Get_Device_Interface_List_SizeW, CM_Get_Device_Interface_ListW,
    CR_BUFFER_SMALL, CR_SUCCESS,
};
use windows_sys::core::GUID;

use super::OpenError;
use crate::discovery::InterfacePath;

static INTERFACE_CLASS: GUID = GUID {
    data1: GUID_DEVINTERFACE_EDU.data1,
    data2: GUID_DEVINTERFACE_EDU.data2,
    data3: GUID_DEVINTERFACE_EDU.data3,
    data4: GUID_DEVINTERFACE_EDU.data4,
};

/// Lists the enabled interfaces of the edu class.
///
/// # Errors
/// [`OpenError::List`].
pub(super) fn present() -> Result<Vec<InterfacePath>, OpenError> {
    loop {
        let mut length = 0;
        // SAFETY: both pointers are to live variables; a null device id asks for the interfaces of all devices.
        let result = unsafe {
            CM_Get_Device_Interface_List_SizeW(
                &raw mut length,
                &raw const INTERFACE_CLASS,
                ptr::null(),
                CM_GET_DEVICE_INTERFACE_LIST_PRESENT,
            )
        };
        if result != CR_SUCCESS {
            return Err(OpenError::List(result));
        }

        let mut list = vec![0_u16; length as usize];
        // SAFETY: `list` has room for `length` characters, which is what the call is told; the rest is as above.
        let result = unsafe {
            CM_Get_Device_Interface_ListW(
                &raw const INTERFACE_CLASS,
                ptr::null(),
                list.as_mut_ptr(),
                length,
                CM_GET_DEVICE_INTERFACE_LIST_PRESENT,
            )
        };
        match result {
            CR_SUCCESS => return Ok(InterfacePath::split_list(&list)),
            // A device has come in between the two calls.
            CR_BUFFER_SMALL => {}
            failure => return Err(OpenError::List(failure)),
        }
    }
}
