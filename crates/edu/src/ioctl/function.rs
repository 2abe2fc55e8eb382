//! The numbers of all requests, in one place so that none is given twice and none ever moves.

use super::control_code::{Access, ControlCode, FILE_DEVICE_UNKNOWN, Method};

/// Function codes. Codes below 0x800 are Microsoft's.
///
/// A number is taken once it stands here, whether or not this version of the driver serves the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Function {
    /// What driver and device are these?
    QueryInfo = 0x800,
    /// The liveness check.
    Liveness = 0x801,
    /// Compute a factorial.
    Factorial = 0x802,
    /// Make the device raise an interrupt.
    RaiseInterrupt = 0x803,
    /// Wait for an interrupt cause.
    WaitInterrupt = 0x804,
    /// Send data through the device's buffer and back by DMA.
    DmaEcho = 0x805,
    /// Read the driver's counters.
    QueryStatistics = 0x806,
    /// Clear the driver's counters.
    ResetStatistics = 0x807,
}

impl Function {
    /// The control code of this function, which is always one of [`FILE_DEVICE_UNKNOWN`].
    #[must_use]
    pub const fn control_code(self, method: Method, access: Access) -> ControlCode {
        ControlCode::new(FILE_DEVICE_UNKNOWN, self as u16, method, access)
    }
}
