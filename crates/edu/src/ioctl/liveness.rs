//! `IOCTL_EDU_LIVENESS`: does the device answer?

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Access, ControlCode, Function, Method, Request};

/// Method: buffered, for 4 bytes each way.
///
/// Access: read and write. It writes a register of the device.
pub const IOCTL_EDU_LIVENESS: ControlCode =
    Function::Liveness.control_code(Method::Buffered, Access::READ.union(Access::WRITE));

/// The request of [`IOCTL_EDU_LIVENESS`].
#[derive(Clone, Copy, Debug)]
pub struct Liveness;

impl Request for Liveness {
    const CODE: ControlCode = IOCTL_EDU_LIVENESS;
    type Input = LivenessInput;
    type Output = LivenessOutput;
}

/// What to write to the [`LIVENESS`](crate::registers::LIVENESS) register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LivenessInput {
    /// Any value.
    pub value: u32,
}

/// What the register read after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LivenessOutput {
    /// The device's answer as it was read: the driver passes no judgement. See [`expected`](LivenessInput::expected).
    pub answer: u32,
}

impl LivenessInput {
    /// What a device that is alive answers: the bitwise inverse.
    #[must_use]
    pub const fn expected(self) -> LivenessOutput {
        LivenessOutput { answer: !self.value }
    }
}

const _: () = assert!(size_of::<LivenessInput>() == 4 && size_of::<LivenessOutput>() == 4);
