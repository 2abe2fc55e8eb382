//! `IOCTL_EDU_RAISE_INTERRUPT`: make the device interrupt.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Access, ControlCode, Function, Method, Request};
use crate::registers::InterruptStatus;

/// Method: buffered, for 4 bytes of input.
///
/// Access: read and write. It makes the device interrupt, and tells by its completion that the interrupt has come.
pub const IOCTL_EDU_RAISE_INTERRUPT: ControlCode =
    Function::RaiseInterrupt.control_code(Method::Buffered, Access::READ.union(Access::WRITE));

/// The request of [`IOCTL_EDU_RAISE_INTERRUPT`].
///
/// It pends until the driver has seen every cause that it raised, in the order in which the requests came. It can be cancelled
/// (`CancelIoEx`); if the device has been told by then, its interrupt comes all the same.
#[derive(Clone, Copy, Debug)]
pub struct RaiseInterrupt;

impl Request for RaiseInterrupt {
    const CODE: ControlCode = IOCTL_EDU_RAISE_INTERRUPT;
    type Input = RaiseInput;
    type Output = ();
}

/// What to write to the [`INTERRUPT_RAISE`](crate::registers::INTERRUPT_RAISE) register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RaiseInput {
    /// One or more of the causes that [can be raised](Self::RAISABLE); the driver answers any other value with
    /// `STATUS_INVALID_PARAMETER`.
    pub causes: u32,
}

impl RaiseInput {
    /// The one cause of software's own that no program may raise: with it all 32 could stand at the same time, and the driver could
    /// not tell that from a device that is [gone](crate::registers::ABSENT).
    pub const NEVER_RAISED: InterruptStatus = InterruptStatus::from_bits_retain(0x8000_0000);

    /// The causes that a program may raise: not those with which the device tells that it has finished something, and not
    /// [`NEVER_RAISED`](Self::NEVER_RAISED).
    pub const RAISABLE: InterruptStatus = InterruptStatus::RAISED_BY_SOFTWARE.difference(Self::NEVER_RAISED);

    /// Whether there is a cause in it, and none that may not be raised.
    ///
    /// ```
    /// use edu::ioctl::RaiseInput;
    ///
    /// assert!(RaiseInput { causes: 0x30 }.is_valid());
    /// assert!(!RaiseInput { causes: 0 }.is_valid());
    /// assert!(!RaiseInput { causes: 0x31 }.is_valid(), "0x1 is the factorial unit's");
    /// ```
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.causes != 0 && self.causes & !Self::RAISABLE.bits() == 0
    }
}

const _: () = assert!(size_of::<RaiseInput>() == 4);

#[cfg(test)]
mod tests {
    use super::RaiseInput;
    use crate::registers::{ABSENT, InterruptStatus};

    #[test]
    fn each_cause_alone_is_raisable_or_not() {
        for bit in 0..u32::BITS {
            let causes = 1 << bit;
            let refused = [0x1, 0x100, 0x8000_0000].contains(&causes);
            assert_eq!(RaiseInput { causes }.is_valid(), !refused, "{causes:#x}");
        }
    }

    #[test]
    fn nothing_and_everything_are_refused() {
        for causes in [0, u32::MAX, 0x8000_0002, 0x3, 0x101, 0x7FFF_FFFF] {
            assert!(!RaiseInput { causes }.is_valid(), "{causes:#x}");
        }
        assert!(RaiseInput { causes: 0x7FFF_FEFE }.is_valid(), "all that can be raised");
    }

    #[test]
    fn with_what_can_be_raised_the_status_is_never_that_of_an_absent_device() {
        let at_most = RaiseInput::RAISABLE | InterruptStatus::FACTORIAL | InterruptStatus::DMA;
        assert_ne!(at_most.bits(), ABSENT);
    }
}
