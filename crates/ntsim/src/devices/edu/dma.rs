//! The device's DMA engine: it copies between memory and the internal buffer, one command at a time.

use std::ops::Range;

use super::{EduFaults, EduProfile, Mistakes, misused, register};
use crate::bus::{BusMaster, DeviceFault};

pub(in crate::devices) const START: u64 = 0x1;
const TO_MEMORY: u64 = 0x2;
const INTERRUPT: u64 = 0x4;
/// How long a transfer takes, whatever its size, nanoseconds.
const LATENCY: u64 = 100_000_000;
/// The device counts time in milliseconds: what the clock is beyond one when a transfer starts, the transfer is shorter.
const TICK: u64 = 1_000_000;
/// The internal buffer's address, as DMA addresses it.
const BUFFER_BASE: u64 = 0x4_0000;
/// The internal buffer's size. A transfer must end before its last byte: QEMU 7.2 aborts at one that reaches it.
const BUFFER_SIZE: usize = 4096;

/// The engine's registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DmaRegisters {
    /// The source address.
    pub source: u64,
    /// The destination address.
    pub destination: u64,
    /// The number of bytes.
    pub count: u64,
    /// The command.
    pub command: u64,
}

/// When a transfer ends that starts at `now`.
pub(in crate::devices) const fn end(now: u64) -> u64 {
    now - now % TICK + LATENCY
}

/// What a transfer moves.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::devices) struct Transfer {
    /// From the buffer to memory, rather than into the buffer.
    pub to_memory: bool,
    /// The part of the buffer.
    pub buffer: Range<usize>,
    /// The memory's address.
    pub address: u64,
}

impl Transfer {
    /// The transfer that the registers describe, by a device that drives the address bits `mask`.
    ///
    /// # Errors
    /// When QEMU aborts at it; or when the address is none that the device can drive, unless that is forgiven.
    pub(in crate::devices) fn of(registers: &DmaRegisters, mask: u64, mistakes: Mistakes) -> Result<Self, DeviceFault> {
        let to_memory = registers.command & TO_MEMORY != 0;
        let (inside, outside) = if to_memory {
            (registers.source, registers.destination)
        } else {
            (registers.destination, registers.source)
        };
        Ok(Self {
            to_memory,
            buffer: buffer_range(inside, registers.count)?,
            address: driven(outside, mask, mistakes)?,
        })
    }
}

/// The engine.
#[derive(Debug)]
pub(super) struct Dma {
    registers: DmaRegisters,
    done_at: u64,
    buffer: Vec<u8>,
}

impl Default for Dma {
    fn default() -> Self {
        Self {
            registers: DmaRegisters::default(),
            done_at: 0,
            buffer: vec![0; BUFFER_SIZE],
        }
    }
}

impl Dma {
    const fn running(&self) -> bool {
        self.registers.command & START != 0
    }

    /// A register's value; none when `offset` is not one of the engine's.
    pub(super) const fn read(&self, offset: u64) -> Option<u64> {
        match offset {
            register::DMA_SOURCE => Some(self.registers.source),
            register::DMA_DESTINATION => Some(self.registers.destination),
            register::DMA_COUNT => Some(self.registers.count),
            register::DMA_COMMAND => Some(self.registers.command),
            _ => None,
        }
    }

    /// Writes a register, which does nothing while a transfer runs.
    pub(super) const fn write(&mut self, offset: u64, value: u64, now: u64, faults: &EduFaults) {
        if self.running() {
            return;
        }
        match offset {
            register::DMA_SOURCE => self.registers.source = value,
            register::DMA_DESTINATION => self.registers.destination = value,
            register::DMA_COUNT => self.registers.count = value,
            register::DMA_COMMAND if value & START != 0 => {
                self.registers.command = value;
                self.done_at = end(now) + faults.extra_dma_latency;
            }
            _ => {}
        }
    }

    /// When the transfer that runs is done.
    pub(super) const fn due(&self, faults: &EduFaults) -> Option<u64> {
        if self.running() && !faults.dma_stuck {
            Some(self.done_at)
        } else {
            None
        }
    }

    /// Makes the transfer; says whether it ends with an interrupt.
    pub(super) fn finish(&mut self, profile: &EduProfile, memory: &mut dyn BusMaster) -> Result<bool, DeviceFault> {
        let transfer = Transfer::of(&self.registers, profile.dma_mask, profile.mistakes)?;
        let buffer = &mut self.buffer[transfer.buffer];
        let moved = if transfer.to_memory {
            memory.write(transfer.address, buffer)
        } else {
            memory.read(transfer.address, buffer)
        };
        moved.map_err(|fault| DeviceFault::Dma { device: "edu", fault })?;
        self.registers.command &= !START;
        Ok(self.registers.command & INTERRUPT != 0)
    }
}

/// The address that the device drives when it is told `address`. When that is another one, it accesses other memory.
fn driven(address: u64, mask: u64, mistakes: Mistakes) -> Result<u64, DeviceFault> {
    let driven = address & mask;
    if driven == address || mistakes == Mistakes::Forgive {
        return Ok(driven);
    }
    Err(misused(format!(
        "DMA at {address:#x}, of which the device drives {mask:#x} only: that is other memory, at {driven:#x}"
    )))
}

/// The part of the internal buffer that `count` bytes from the device address `start` take. QEMU 7.2 aborts at none, too.
fn buffer_range(start: u64, count: u64) -> Result<Range<usize>, DeviceFault> {
    let range = start
        .checked_sub(BUFFER_BASE)
        .and_then(|from| Some((from, from.checked_add(count)?)))
        .and_then(|(from, to)| Some((usize::try_from(from).ok()?, usize::try_from(to).ok()?)));
    match range {
        Some((from, to)) if from < to && to < BUFFER_SIZE => Ok(from..to),
        _ => {
            let end = BUFFER_BASE + BUFFER_SIZE as u64 - 1;
            Err(misused(format!(
                "DMA of {count} bytes at device address {start:#x}; QEMU 7.2 aborts at all but some within {BUFFER_BASE:#x}..{end:#x}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::iommu::DmaFault;

    /// 256 bytes of memory at address 0x100.
    struct Memory([u8; 256]);

    impl Memory {
        fn from(address: u64) -> usize {
            usize::try_from(address - 0x100).unwrap()
        }
    }

    impl BusMaster for Memory {
        fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), DmaFault> {
            let from = Self::from(address);
            buffer.copy_from_slice(&self.0[from..from + buffer.len()]);
            Ok(())
        }

        fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DmaFault> {
            let from = Self::from(address);
            self.0[from..from + bytes.len()].copy_from_slice(bytes);
            Ok(())
        }
    }

    fn memory() -> Memory {
        let mut memory = Memory([0; 256]);
        memory.0[..4].copy_from_slice(b"echo");
        memory
    }

    fn start(dma: &mut Dma, now: u64, source: u64, destination: u64, count: u64, command: u64) {
        let none = EduFaults::default();
        for (offset, value) in [(0x80, source), (0x88, destination), (0x90, count), (0x98, command)] {
            dma.write(offset, value, now, &none);
        }
    }

    fn due(dma: &Dma) -> Option<u64> {
        dma.due(&EduFaults::default())
    }

    #[test]
    fn an_echo_through_the_buffer_takes_up_to_100_ms_each_way() {
        let (mut dma, mut memory) = (Dma::default(), memory());
        start(&mut dma, 7, 0x100, 0x4_0000, 4, 0x5);
        assert_eq!((due(&dma), dma.read(0x98)), (Some(100_000_000), Some(5)));
        assert_eq!(dma.finish(&EduProfile::default(), &mut memory), Ok(true));
        assert_eq!((due(&dma), dma.read(0x98)), (None, Some(4)));
        start(&mut dma, 100_999_999, 0x4_0000, 0x180, 4, 0x3);
        assert_eq!(due(&dma), Some(200_000_000), "whole milliseconds");
        assert_eq!(
            dma.finish(&EduProfile::default(), &mut memory),
            Ok(false),
            "no interrupt was asked for"
        );
        assert_eq!(&memory.0[0x80..0x84], b"echo");
    }

    #[test]
    fn parts_of_the_buffer_have_addresses_of_their_own() {
        let (mut dma, mut memory) = (Dma::default(), memory());
        start(&mut dma, 0, 0x100, 0x4_0FF0, 4, 0x1);
        dma.finish(&EduProfile::default(), &mut memory).unwrap();
        start(&mut dma, 0, 0x4_0FF2, 0x1F0, 2, 0x3);
        dma.finish(&EduProfile::default(), &mut memory).unwrap();
        assert_eq!(&memory.0[0xF0..0xF4], b"ho\0\0");
    }

    #[test]
    fn registers_are_closed_during_a_transfer() {
        let mut dma = Dma::default();
        start(&mut dma, 0, 0x100, 0x4_0000, 4, 0x5);
        start(&mut dma, 5, 1, 2, 3, 0x1);
        let registers = [0x80, 0x88, 0x90, 0x98].map(|offset| dma.read(offset).unwrap());
        assert_eq!(registers, [0x100, 0x4_0000, 4, 0x5]);
        assert_eq!(due(&dma), Some(100_000_000));
    }

    #[test]
    fn a_command_that_starts_nothing_is_lost() {
        let mut dma = Dma::default();
        start(&mut dma, 0, 0x100, 0x4_0000, 4, 0x6);
        assert_eq!((due(&dma), dma.read(0x98)), (None, Some(0)));
    }

    #[test]
    fn ranges_that_abort_qemu_are_faults() {
        let range = |start, count| buffer_range(start, count).is_ok();
        assert!(range(0x4_0000, 4095));
        assert!(!range(0x4_0000, 4096));
        assert!(!range(0x4_0FFF, 1));
        assert!(!range(0x3_FFFF, 1));
        assert!(!range(0x4_0000, 0));
        assert!(!range(0x4_0000, u64::MAX));
        let mut dma = Dma::default();
        start(&mut dma, 0, 0x100, 0x4_0FFF, 1, 1);
        assert!(matches!(
            dma.finish(&EduProfile::default(), &mut memory()),
            Err(DeviceFault::Misused { .. })
        ));
    }

    #[test]
    fn an_address_that_the_device_cannot_drive_is_a_fault() {
        let mut dma = Dma::default();
        start(&mut dma, 0, 0x1000_0100, 0x4_0000, 4, 1);
        let fault = dma.finish(&EduProfile::default(), &mut memory()).unwrap_err();
        assert!(fault.to_string().contains("other memory, at 0x100"), "{fault}");
        let mut dma = Dma::default();
        start(&mut dma, 0, 0x4_0000, 1 << 32 | 0x100, 4, 3);
        assert!(dma.finish(&EduProfile::default(), &mut memory()).is_err());
        let mut memory = memory();
        assert_eq!(dma.finish(&EduProfile::as_qemu(), &mut memory), Ok(false));
        assert_eq!(memory.0[..4], [0; 4], "at 0x100");
    }
}
