//! `IOCTL_EDU_WAIT_INTERRUPT`: wait until the device interrupts.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Access, ControlCode, Function, Method, Request};

/// Method: buffered, for 4 bytes of input and 24 bytes of answer.
///
/// Access: read. It tells what the device does, and makes it do nothing.
pub const IOCTL_EDU_WAIT_INTERRUPT: ControlCode = Function::WaitInterrupt.control_code(Method::Buffered, Access::READ);

/// The request of [`IOCTL_EDU_WAIT_INTERRUPT`].
///
/// It pends until an interrupt comes with one of the causes asked for, whoever raised it. What came before the request was made does not
/// count. One interrupt completes every wait that it matches. It can be cancelled (`CancelIoEx`).
#[derive(Clone, Copy, Debug)]
pub struct WaitInterrupt;

impl Request for WaitInterrupt {
    const CODE: ControlCode = IOCTL_EDU_WAIT_INTERRUPT;
    type Input = WaitInput;
    type Output = WaitOutput;
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WaitInput {
    /// The [causes](crate::registers::InterruptStatus) of which one is enough; the device's own may be among them. The driver answers 0
    /// with `STATUS_INVALID_PARAMETER`: nothing would ever end that wait.
    pub mask: u32,
}

impl WaitInput {
    /// Whether there is a cause to wait for.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.mask != 0
    }
}

/// What has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WaitOutput {
    /// The causes that have arrived since the request was made, of those in its [mask](WaitInput::mask); never 0. There can be more
    /// than one interrupt behind them.
    pub causes: u32,
    /// 0. Fills the gap before the next field, so that no byte of the answer is left unwritten.
    pub reserved: u32,
    /// The number of the last interrupt that had one of these causes. The driver numbers the device's interrupts from 1; the number
    /// never goes back while the driver is loaded for the device, and [`ResetStatistics`](super::ResetStatistics) leaves it alone.
    pub sequence: u64,
    /// When the last interrupt came, in units of 100 ns since the system was started (`KeQueryInterruptTime`): the one with the number
    /// [`sequence`](Self::sequence), unless others without any of these causes have followed before the request was completed.
    pub interrupt_time: u64,
}

const _: () = assert!(size_of::<WaitInput>() == 4 && size_of::<WaitOutput>() == 24);

#[cfg(test)]
mod tests {
    use super::{WaitInput, WaitOutput};

    #[test]
    fn only_an_empty_mask_is_refused() {
        assert!(!WaitInput { mask: 0 }.is_valid());
        for mask in [0x1, 0x100, 0x8000_0000, u32::MAX] {
            assert!(WaitInput { mask }.is_valid(), "{mask:#x}");
        }
    }

    #[test]
    fn fields_lie_where_programs_in_other_languages_expect_them() {
        let offsets = [
            core::mem::offset_of!(WaitOutput, causes),
            core::mem::offset_of!(WaitOutput, sequence),
            core::mem::offset_of!(WaitOutput, interrupt_time),
        ];
        assert_eq!(offsets, [0, 8, 16]);
    }
}
