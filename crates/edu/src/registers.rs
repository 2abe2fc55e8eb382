//! BAR 0: register offsets (in bytes from its start) and what the registers' bits mean.
//!
//! Below 0x80 every access is 4 bytes wide; from 0x80 on it is 4 or 8.

use bitflags::bitflags;

/// Size of BAR 0, in bytes.
pub const BAR_SIZE: usize = 1 << 20;

/// Read: see [`Identification`].
pub const IDENTIFICATION: usize = 0x00;

/// Read and write: reads back the bitwise inverse of what was written last.
pub const LIVENESS: usize = 0x04;

/// Write n to start a computation; once [`Status::COMPUTING`] reads 0 again it reads n! modulo 2³² (until then: n).
///
/// Writes are ignored while a computation runs.
pub const FACTORIAL: usize = 0x08;

/// Read and write: see [`Status`].
pub const STATUS: usize = 0x20;

/// Read: the interrupt causes raised and not acknowledged yet. See [`InterruptStatus`].
pub const INTERRUPT_STATUS: usize = 0x24;

/// Write: ORs the value into [`INTERRUPT_STATUS`] and raises the interrupt; 0 raises nothing.
pub const INTERRUPT_RAISE: usize = 0x60;

/// Write: clears those bits of [`INTERRUPT_STATUS`]; the line drops when none is left.
pub const INTERRUPT_ACKNOWLEDGE: usize = 0x64;

/// Read and write: where the transfer reads from. Writes to the DMA registers are ignored while a transfer runs.
pub const DMA_SOURCE: usize = 0x80;

/// Read and write: where the transfer writes to.
pub const DMA_DESTINATION: usize = 0x88;

/// Read and write: the transfer's length, in bytes.
pub const DMA_COUNT: usize = 0x90;

/// Read and write: see [`DmaCommand`].
pub const DMA_COMMAND: usize = 0x98;

/// What every register of a device reads that is no longer there: PCI answers with all ones.
///
/// A device that is present never reads so: neither [`STATUS`] nor [`IDENTIFICATION`] has all of its bits. For
/// [`INTERRUPT_STATUS`] it takes a program that raises all 32 causes.
pub const ABSENT: u32 = u32::MAX;

/// Whether a register that reads so may be that of an absent device: all ones ([`ABSENT`]), or 0, which QEMU answers where nobody else does.
///
/// A device that is present has either value in some registers too. Its [`IDENTIFICATION`] tells: that has neither.
#[must_use]
pub const fn may_be_absent(value: u32) -> bool {
    value == 0 || value == ABSENT
}

bitflags! {
    /// The [`STATUS`] register.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Status: u32 {
        /// Read-only: a factorial is being computed.
        const COMPUTING = 0x01;
        /// Raise [`InterruptStatus::FACTORIAL`] when a factorial is finished.
        const INTERRUPT_ON_FACTORIAL = 0x80;
    }
}

bitflags! {
    /// The interrupt causes: what [`INTERRUPT_STATUS`] reads and what [`INTERRUPT_ACKNOWLEDGE`] and [`INTERRUPT_RAISE`] take.
    ///
    /// Every bit can be raised by software through [`INTERRUPT_RAISE`], the two below included: a cause says "go and look",
    /// not "it is finished".
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct InterruptStatus: u32 {
        /// A factorial is finished.
        const FACTORIAL = 0x0000_0001;
        /// A DMA transfer is finished.
        const DMA = 0x0000_0100;
        // The bits without a name are causes too.
        const _ = !0;
    }
}

impl InterruptStatus {
    /// The causes that only software raises: all but the factorial's and the DMA engine's.
    pub const RAISED_BY_SOFTWARE: Self = Self::FACTORIAL.union(Self::DMA).complement();
}

bitflags! {
    /// The [`DMA_COMMAND`] register.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct DmaCommand: u32 {
        /// Write to start; reads 1 while the transfer runs.
        const START = 0x01;
        /// Clear: from memory to the device. Set: from the device to memory.
        const TO_MEMORY = 0x02;
        /// Raise [`InterruptStatus::DMA`] when the transfer is finished.
        const INTERRUPT = 0x04;
    }
}

/// The [`IDENTIFICATION`] register: `0xRRrr00ED` with major revision `RR` and minor revision `rr`.
///
/// ```
/// use edu::registers::{ABSENT, Identification};
///
/// let identification = Identification::decode(0x0100_00ED).expect("the signature is there");
/// assert_eq!((identification.major(), identification.minor()), (1, 0));
/// assert_eq!(Identification::decode(ABSENT), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identification(u32);

impl Identification {
    /// The lower half of the register on every edu device.
    pub const SIGNATURE: u16 = 0x00ED;

    /// Reads the register's value; `None` when the lower half is not [`SIGNATURE`](Self::SIGNATURE): that is no edu device.
    #[must_use]
    pub const fn decode(register: u32) -> Option<Self> {
        if register & 0xFFFF == Self::SIGNATURE as u32 {
            Some(Self(register))
        } else {
            None
        }
    }

    /// The value that a device of this revision has in its register.
    #[must_use]
    pub const fn new(major: u8, minor: u8) -> Self {
        Self(u32::from_be_bytes([
            major,
            minor,
            0x00,
            Self::SIGNATURE.to_le_bytes()[0],
        ]))
    }

    /// The register's value.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Major revision.
    #[must_use]
    pub const fn major(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// Minor revision.
    #[must_use]
    pub const fn minor(self) -> u8 {
        self.0.to_be_bytes()[1]
    }
}

#[cfg(test)]
mod tests {
    use super::{ABSENT, BAR_SIZE, DMA_COMMAND, Identification, InterruptStatus, Status, may_be_absent};

    #[test]
    fn identification_takes_revisions_apart_and_puts_them_together() {
        let identification = Identification::new(0xAB, 0x12);
        assert_eq!(identification.bits(), 0xAB12_00ED);
        assert_eq!(Identification::decode(0xAB12_00ED), Some(identification));
        assert_eq!((identification.major(), identification.minor()), (0xAB, 0x12));
    }

    #[test]
    fn identification_without_the_whole_signature_is_refused() {
        for register in [0, ABSENT, 0x0100_00EC, 0x0100_01ED, 0xED00_0001] {
            assert_eq!(Identification::decode(register), None, "{register:#010x}");
        }
    }

    #[test]
    fn no_interrupt_cause_is_lost_on_the_way_through_the_flags() {
        assert_eq!(
            InterruptStatus::from_bits(0x8000_1101).map(|causes| causes.bits()),
            Some(0x8000_1101)
        );
        assert_eq!(InterruptStatus::RAISED_BY_SOFTWARE.bits(), 0xFFFF_FEFE);
    }

    #[test]
    fn an_identification_is_never_that_of_an_absent_device() {
        assert!(may_be_absent(0) && may_be_absent(ABSENT));
        for register in [0, u32::MAX, 0x0100_00ED, 0xFFFF_00ED, 0x0000_00ED] {
            assert!(!(may_be_absent(register) && Identification::decode(register).is_some()));
        }
    }

    #[test]
    fn a_present_device_never_reads_all_ones_as_status() {
        assert_eq!(Status::from_bits(ABSENT), None);
    }

    #[test]
    fn registers_lie_inside_the_bar() {
        assert!(DMA_COMMAND + size_of::<u64>() <= BAR_SIZE);
    }
}
