//! `IOCTL_EDU_FACTORIAL`: compute a factorial.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Access, ControlCode, Function, Method, Request};
use crate::factorial::factorial_mod_2_32;

/// Method: buffered, for 4 bytes each way.
///
/// Access: read and write. It occupies the device's one factorial unit, which others have to wait for.
pub const IOCTL_EDU_FACTORIAL: ControlCode =
    Function::Factorial.control_code(Method::Buffered, Access::READ.union(Access::WRITE));

/// The request of [`IOCTL_EDU_FACTORIAL`].
///
/// It pends until the device has computed it, in the order in which the requests came. It can be cancelled (`CancelIoEx`).
#[derive(Clone, Copy, Debug)]
pub struct Factorial;

impl Request for Factorial {
    const CODE: ControlCode = IOCTL_EDU_FACTORIAL;
    type Input = FactorialInput;
    type Output = FactorialOutput;
}

/// What to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FactorialInput {
    /// Any value; the device takes a step for each factor, so a large one keeps it busy.
    pub n: u32,
}

/// What the device computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FactorialOutput {
    /// n! modulo 2³².
    pub result: u32,
}

impl FactorialInput {
    /// What a device without faults computes.
    #[must_use]
    pub const fn expected(self) -> FactorialOutput {
        FactorialOutput {
            result: factorial_mod_2_32(self.n),
        }
    }
}

const _: () = assert!(size_of::<FactorialInput>() == 4 && size_of::<FactorialOutput>() == 4);
