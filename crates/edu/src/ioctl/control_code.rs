//! The layout of an I/O control code, as `CTL_CODE` in `devioctl.h` has it.

use core::fmt;

use bitflags::bitflags;

/// Device type of a device that belongs to none of the system's classes.
pub const FILE_DEVICE_UNKNOWN: u16 = 0x0022;

/// How the I/O manager passes the request's buffers (`METHOD_*`, bits 0 and 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// `METHOD_BUFFERED`: one system buffer holds first the input, then the output.
    Buffered = 0,
    /// `METHOD_IN_DIRECT`: input in a system buffer; the second buffer is locked for reading and described by an MDL.
    InDirect = 1,
    /// `METHOD_OUT_DIRECT`: input in a system buffer; the second buffer is locked for writing and described by an MDL.
    OutDirect = 2,
    /// `METHOD_NEITHER`: the driver gets the caller's addresses as they are.
    Neither = 3,
}

bitflags! {
    /// What the handle must have been opened for (`FILE_*_ACCESS`, bits 14 and 15); the I/O manager checks it.
    ///
    /// None of them is `FILE_ANY_ACCESS`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u8 {
        /// `FILE_READ_ACCESS`.
        const READ = 1;
        /// `FILE_WRITE_ACCESS`.
        const WRITE = 2;
    }
}

/// An I/O control code. Constants of this type can be matched against.
///
/// ```
/// use edu::ioctl::{ControlCode, IOCTL_EDU_FACTORIAL, IOCTL_EDU_LIVENESS};
///
/// let queued = match ControlCode::from_raw(0x0022_E008) {
///     IOCTL_EDU_FACTORIAL => true,
///     IOCTL_EDU_LIVENESS => false,
///     other => panic!("{other} is not served"),
/// };
/// assert!(queued);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ControlCode(u32);

impl ControlCode {
    /// Puts a code together, as `CTL_CODE` does.
    ///
    /// # Panics
    /// When `function` has more than 12 bits; in a constant that is a compile error.
    #[must_use]
    pub const fn new(device_type: u16, function: u16, method: Method, access: Access) -> Self {
        assert!(function < 1 << 12, "a function code has 12 bits");
        Self((device_type as u32) << 16 | (access.bits() as u32) << 14 | (function as u32) << 2 | method as u32)
    }

    /// The code as it came in a request.
    #[must_use]
    pub const fn from_raw(code: u32) -> Self {
        Self(code)
    }

    /// The code as `DeviceIoControl` takes it.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The device type.
    #[must_use]
    pub const fn device_type(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The function code: 12 bits, from 0x800 on for everyone but Microsoft.
    #[must_use]
    pub const fn function(self) -> u16 {
        (self.0 >> 2 & 0xFFF) as u16
    }

    /// How the buffers are passed.
    #[must_use]
    pub const fn method(self) -> Method {
        match self.0 & 3 {
            0 => Method::Buffered,
            1 => Method::InDirect,
            2 => Method::OutDirect,
            _ => Method::Neither,
        }
    }

    /// What the handle must have been opened for.
    #[must_use]
    pub const fn access(self) -> Access {
        Access::from_bits_truncate((self.0 >> 14 & 3) as u8)
    }
}

impl fmt::Debug for ControlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlCode")
            .field("device_type", &self.device_type())
            .field("function", &self.function())
            .field("method", &self.method())
            .field("access", &self.access())
            .finish()
    }
}

/// Shown as the number that a debugger shows.
impl fmt::Display for ControlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, ControlCode, FILE_DEVICE_UNKNOWN, Method};

    /// A code of Microsoft's own, from `winioctl.h`: `IOCTL_DISK_GET_DRIVE_LAYOUT`, device type 7, function 3, read access.
    #[test]
    fn agrees_with_a_code_of_the_system() {
        assert_eq!(
            ControlCode::new(7, 3, Method::Buffered, Access::READ).raw(),
            0x0007_400C
        );
    }

    #[test]
    fn takes_apart_what_it_put_together() {
        for method in [Method::Buffered, Method::InDirect, Method::OutDirect, Method::Neither] {
            for access in [Access::empty(), Access::READ, Access::WRITE, Access::all()] {
                for function in [0, 0x800, 0xFFF] {
                    let code = ControlCode::new(FILE_DEVICE_UNKNOWN, function, method, access);
                    assert_eq!(code.device_type(), FILE_DEVICE_UNKNOWN);
                    assert_eq!(code.function(), function);
                    assert_eq!(code.method(), method);
                    assert_eq!(code.access(), access);
                }
            }
        }
    }
}
