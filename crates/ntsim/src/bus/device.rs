//! What a device model is to the machine.

use std::any::Any;
use std::fmt;

use thiserror::Error;

use super::iommu::DmaFault;

/// How wide an access is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// 1 byte.
    Byte,
    /// 2 bytes.
    Word,
    /// 4 bytes.
    Dword,
    /// 8 bytes.
    Qword,
}

impl Width {
    /// The width of `bytes` bytes, when an access can have it.
    #[must_use]
    pub const fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Dword),
            8 => Some(Self::Qword),
            _ => None,
        }
    }

    /// The width in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Dword => 4,
            Self::Qword => 8,
        }
    }

    /// A value of this width with every bit set: what a read gives that no device answers.
    #[must_use]
    pub const fn ones(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-byte", self.bytes())
    }
}

/// Something that ends the run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceFault {
    /// Something was done to the device that it does not allow: a real one would be damaged, hang or corrupt memory.
    #[error("{device}: {message}")]
    Misused {
        /// The device's name.
        device: &'static str,
        /// What happened.
        message: String,
    },
    /// The device accessed memory that it must not.
    #[error("{device}: {fault}")]
    Dma {
        /// The device's name.
        device: &'static str,
        /// The access.
        fault: DmaFault,
    },
    /// What the device is made of on the host has failed. Neither the driver nor the device has done anything wrong.
    #[error("{device}: {message}")]
    Host {
        /// The device's name.
        device: &'static str,
        /// What happened.
        message: String,
    },
}

/// What a device uses to reach memory by itself.
pub trait BusMaster {
    /// Reads memory from the logical address `address` on.
    ///
    /// # Errors
    /// When that is no memory that the device was given to read.
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), DmaFault>;

    /// Writes `bytes` to memory from the logical address `address` on.
    ///
    /// # Errors
    /// When that is no memory that the device was given to write.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DmaFault>;
}

/// Where a device takes what it leaves to chance: latencies, above all. The machine's seed decides.
pub trait Dice {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: u64) -> u64;
}

/// What a device may use while it is called.
pub struct BusContext<'c> {
    /// The virtual time, nanoseconds since power-on.
    pub now: u64,
    /// The device's dice.
    pub dice: &'c mut dyn Dice,
}

impl fmt::Debug for BusContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusContext")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// What a PCI device says of itself in its configuration space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciIdentity {
    /// Who made it.
    pub vendor: u16,
    /// What it is.
    pub device: u16,
    /// Which revision of it.
    pub revision: u8,
    /// Base class, subclass and programming interface: 0xBBSSPP.
    pub class: u32,
    /// The subsystem's vendor.
    pub subsystem_vendor: u16,
    /// The subsystem.
    pub subsystem: u16,
}

/// A range that a device wants in memory, or among the I/O ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarRequest {
    /// Bytes, a power of two.
    pub size: u64,
}

/// A device model. Everything it does is decided by its calls: it has no clock and no source of chance of its own.
///
/// Only a name and an identity are required. Without more, a device has no registers, does nothing by itself and never interrupts.
pub trait Device: Any + fmt::Debug {
    /// The name that messages and traces call it by.
    fn name(&self) -> &'static str;

    /// Who it is.
    fn identity(&self) -> PciIdentity;

    /// The ranges it wants, by BAR. None, unless it says so.
    fn bars(&self) -> &[BarRequest] {
        &[]
    }

    /// Whether the range behind BAR `bar` lies among the I/O ports. It lies in memory, unless the device says so.
    fn is_port_bar(&self, bar: usize) -> bool {
        let _ = bar;
        false
    }

    /// Whether it has an interrupt pin (INTA). It has none, unless it says so.
    fn has_interrupt_pin(&self) -> bool {
        false
    }

    /// A processor reads a register. Side effects happen now. Unless the device says otherwise it does not decode the address: all ones.
    ///
    /// # Errors
    /// When the device forbids such an access.
    fn read(&mut self, cx: &mut BusContext<'_>, bar: usize, offset: u64, width: Width) -> Result<u64, DeviceFault> {
        let _ = (cx, bar, offset);
        Ok(width.ones())
    }

    /// A processor writes a register. Unless the device says otherwise it does not decode the address: the write is lost.
    ///
    /// # Errors
    /// When the device forbids such an access.
    fn write(
        &mut self,
        cx: &mut BusContext<'_>,
        bar: usize,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<(), DeviceFault> {
        let _ = (cx, bar, offset, width, value);
        Ok(())
    }

    /// When it will next do something of its own accord, nanoseconds of virtual time. Never, unless it says so.
    fn next_event(&self) -> Option<u64> {
        None
    }

    /// Does what is due at `cx.now`. This is when a device reaches memory: never amid a processor's access to its registers.
    ///
    /// # Errors
    /// When it finds that it was misused, or may not access the memory that it was told to.
    fn advance(&mut self, cx: &mut BusContext<'_>, memory: &mut dyn BusMaster) -> Result<(), DeviceFault> {
        let _ = (cx, memory);
        Ok(())
    }

    /// Whether it asserts its interrupt pin.
    fn line_asserted(&self) -> bool {
        false
    }

    /// How many different interrupt messages it can send: a power of two up to 32, or 0 when it has no MSI capability, as is usual here.
    fn message_capability(&self) -> u16 {
        0
    }

    /// Makes it signal interrupts by messages (`true`) or by its pin. A device with an MSI capability has to follow.
    fn set_message_signalled(&mut self, enabled: bool) {
        let _ = enabled;
    }

    /// The interrupt messages that it has sent since the last call, by number, in order.
    fn take_messages(&mut self) -> Vec<u32> {
        Vec::new()
    }

    /// Returns its registers to their state after power-on. How it signals interrupts is up to its configuration space, and stays.
    fn reset(&mut self) {}
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Always the lowest number.
    struct Low;

    impl Dice for Low {
        fn below(&mut self, bound: u64) -> u64 {
            assert_ne!(bound, 0);
            0
        }
    }

    /// Calls `body` with a context at the time `now`, without chance.
    pub(crate) fn with_context<T>(now: u64, body: impl FnOnce(&mut BusContext<'_>) -> T) -> T {
        body(&mut BusContext { now, dice: &mut Low })
    }
}
