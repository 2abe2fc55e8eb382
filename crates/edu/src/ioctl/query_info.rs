//! `IOCTL_EDU_QUERY_INFO`: what driver and device are these?

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Access, ControlCode, Function, Method, Request};

/// Method: buffered, for 16 bytes of answer.
///
/// Access: read. The request changes nothing, but whoever may not read the device need not know its revision either.
pub const IOCTL_EDU_QUERY_INFO: ControlCode = Function::QueryInfo.control_code(Method::Buffered, Access::READ);

/// The request of [`IOCTL_EDU_QUERY_INFO`].
#[derive(Clone, Copy, Debug)]
pub struct QueryInfo;

impl Request for QueryInfo {
    const CODE: ControlCode = IOCTL_EDU_QUERY_INFO;
    type Input = ();
    type Output = DeviceInfo;
}

/// The answer to [`IOCTL_EDU_QUERY_INFO`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DeviceInfo {
    /// The ABI that the driver speaks: its [`ABI_VERSION`](super::ABI_VERSION).
    pub abi_version: u32,
    /// The device's [`IDENTIFICATION`](crate::registers::IDENTIFICATION) register, as it was read.
    pub identification: u32,
    /// The driver's version as a Windows file version: its [`VERSION`](crate::VERSION).
    pub driver_version: [u16; 4],
}

const _: () = assert!(size_of::<DeviceInfo>() == 16);
