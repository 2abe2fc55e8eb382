//! What all requests have in common: typed buffers, and the check of their lengths.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::ControlCode;

/// A request: its control code and what its buffers hold.
///
/// Driver and app are both generic over it: what one writes is what the other reads.
pub trait Request {
    /// The control code.
    const CODE: ControlCode;

    /// What the input buffer holds; `()` when there is none.
    type Input: FromBytes + IntoBytes + Immutable + KnownLayout;

    /// What the output buffer holds after success; `()` when there is none.
    type Output: FromBytes + IntoBytes + Immutable + KnownLayout;

    /// Checks the lengths of a caller's buffers, in bytes: the input's must be the type's, the output's at least that.
    ///
    /// # Errors
    /// The first of the two that does not hold, input first.
    ///
    /// ```
    /// use edu::ioctl::{BufferError, Factorial, Request};
    ///
    /// assert_eq!(Factorial::check_lengths(4, 4), Ok(()));
    /// assert_eq!(Factorial::check_lengths(4, 64), Ok(()));
    /// assert_eq!(Factorial::check_lengths(5, 4), Err(BufferError::InputLength));
    /// assert_eq!(Factorial::check_lengths(4, 3), Err(BufferError::OutputTooShort));
    /// ```
    fn check_lengths(input: usize, output: usize) -> Result<(), BufferError> {
        if input != size_of::<Self::Input>() {
            Err(BufferError::InputLength)
        } else if output < size_of::<Self::Output>() {
            Err(BufferError::OutputTooShort)
        } else {
            Ok(())
        }
    }
}

/// What is wrong with a caller's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferError {
    /// The input has another length than the request's: the driver answers `STATUS_INVALID_PARAMETER`.
    InputLength,
    /// The output does not fit: the driver answers `STATUS_BUFFER_TOO_SMALL`.
    OutputTooShort,
}

impl fmt::Display for BufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InputLength => "the input buffer's length is not the request's",
            Self::OutputTooShort => "the output buffer is too short for the answer",
        })
    }
}

impl core::error::Error for BufferError {}

#[cfg(test)]
mod tests {
    use super::{BufferError, Request};
    use crate::ioctl::{
        Factorial, Liveness, QueryInfo, QueryStatistics, RaiseInterrupt, ResetStatistics, WaitInterrupt,
    };

    fn check_all<R: Request>() {
        let (input, output) = (size_of::<R::Input>(), size_of::<R::Output>());
        assert_eq!(R::check_lengths(input, output), Ok(()));
        assert_eq!(R::check_lengths(input, usize::MAX), Ok(()));
        assert_eq!(R::check_lengths(input + 1, output), Err(BufferError::InputLength));
        if let Some(shorter) = output.checked_sub(1) {
            assert_eq!(R::check_lengths(input, shorter), Err(BufferError::OutputTooShort));
            assert_eq!(R::check_lengths(input, 0), Err(BufferError::OutputTooShort));
        }
        if let Some(shorter) = input.checked_sub(1) {
            assert_eq!(R::check_lengths(shorter, output), Err(BufferError::InputLength));
        }
        assert_eq!(
            R::check_lengths(input + 1, 0),
            Err(BufferError::InputLength),
            "input is looked at first"
        );
    }

    #[test]
    fn lengths_are_checked_for_every_request() {
        check_all::<QueryInfo>();
        check_all::<Liveness>();
        check_all::<Factorial>();
        check_all::<RaiseInterrupt>();
        check_all::<WaitInterrupt>();
        check_all::<QueryStatistics>();
        check_all::<ResetStatistics>();
    }
}
