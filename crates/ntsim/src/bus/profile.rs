//! What machines' buses, and the drivers of those, differ in.

use super::{Width, device::Dice};

/// What a read of device memory gives where no device answers: its device is gone, has no power, or was told not to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Absent {
    /// All ones, as PCI hardware gives after a master abort.
    #[default]
    Ones,
    /// All zeroes, as QEMU gives.
    Zeroes,
    /// Anything, and something else each time, as an undriven bus may give.
    Garbage,
}

impl Absent {
    /// What a read of this width gives.
    pub fn value(self, width: Width, dice: &mut dyn Dice) -> u64 {
        match self {
            Self::Ones => width.ones(),
            Self::Zeroes => 0,
            Self::Garbage => dice.below(u64::MAX) & width.ones(),
        }
    }
}

/// A bus and its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusProfile {
    /// What memory reads as where no device answers.
    pub absent: Absent,
    /// The bus driver can take the power from a slot, and does so when its device is removed, by surprise as well. Where it cannot, a device that is
    /// surprise-removed while it is there works until `IRP_MN_REMOVE_DEVICE`.
    pub cuts_power: bool,
    /// Percent of the PnP and power IRPs that the bus driver marks pending and completes from another thread.
    pub pends: u8,
    /// How long it then takes at most, nanoseconds.
    pub longest_delay: u64,
}

impl Default for BusProfile {
    fn default() -> Self {
        Self {
            absent: Absent::Ones,
            cuts_power: false,
            pends: 25,
            longest_delay: 20_000,
        }
    }
}

impl BusProfile {
    /// A driver that pends every PnP and power IRP, often for longer than edu's DMA takes.
    pub const SLOW: Self = Self {
        absent: Absent::Ones,
        cuts_power: false,
        pends: 100,
        longest_delay: 300_000_000,
    };
}
