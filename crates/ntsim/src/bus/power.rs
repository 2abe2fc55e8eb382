//! Device power states.

use std::fmt;

/// `DEVICE_POWER_STATE`: how much power a device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DevicePower {
    /// `PowerDeviceD0`: it works.
    D0,
    /// `PowerDeviceD1`
    D1,
    /// `PowerDeviceD2`
    D2,
    /// `PowerDeviceD3`: it is off, or as good as off.
    D3,
}

impl DevicePower {
    /// The header's value; 0 is `PowerDeviceUnspecified`.
    #[must_use]
    pub const fn value(self) -> u32 {
        match self {
            Self::D0 => 1,
            Self::D1 => 2,
            Self::D2 => 3,
            Self::D3 => 4,
        }
    }

    /// The state with the header's value, if there is one.
    #[must_use]
    pub const fn from_value(value: u32) -> Option<Self> {
        match value {
            1 => Some(Self::D0),
            2 => Some(Self::D1),
            3 => Some(Self::D2),
            4 => Some(Self::D3),
            _ => None,
        }
    }
}

impl fmt::Display for DevicePower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "D{}", self.value() - 1)
    }
}
