//! Power states.

/// A device power state: how much power the device has.
///
/// See [Device Power States](https://learn.microsoft.com/windows-hardware/drivers/kernel/device-power-states).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DevicePowerState {
    /// It works.
    D0,
    /// It does not work; the bus says what it keeps.
    D1,
    /// As D1, with less power or a longer way back.
    D2,
    /// It has no power, or may have none: all its context is lost.
    D3,
}
