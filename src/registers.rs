//! The device's registers. Any IRQL.
//!
//! A device that was taken out reads all ones, in QEMU 0, and on other machines it may read anything. That can happen between any two reads. So
//! nothing is believed that the device would not answer, as the driver has programmed it, before the identification is read: it tells whether the
//! device is there. What the device does answer, chance has once in a thousand million reads or less, and the watchdogs look again.

use core::sync::atomic::{AtomicU32, Ordering};

use edu::{
    dma::BUFFER_ADDRESS,
    engine::Activity,
    registers::{
        DMA_COMMAND, DMA_COUNT, DMA_DESTINATION, DMA_SOURCE, DmaCommand, FACTORIAL, IDENTIFICATION,
        INTERRUPT_ACKNOWLEDGE, INTERRUPT_RAISE, INTERRUPT_STATUS, Identification, InterruptStatus, LIVENESS, STATUS,
        Status as EduStatus, may_be_absent,
    },
    transfer::{Direction, Piece},
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{DeviceInit, DeviceMemory, Error, Irql, LogicalAddress, MemoryResource, MmioRegion, Result, irql::Passive};

use crate::device::EduDevice;

/// The registers lie in the first page of the device's memory; behind it is its DMA buffer, which the processor does not touch.
const SIZE: usize = 0x1000;

/// The device's registers: there while it is started and in D0. Whoever looks at another time finds none.
#[pin_data]
pub struct RegisterFile {
    #[pin]
    memory: DeviceMemory<SIZE>,
    /// What the identification register read when the device was started.
    identification: AtomicU32,
}

impl RegisterFile {
    /// Not mapped.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            memory <- DeviceMemory::new(device),
            identification: AtomicU32::new(0),
        }? Error)
    }

    /// Maps them, until the device is stopped.
    pub fn map(&self, resource: &MemoryResource<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        self.memory.map(resource, irql)
    }

    /// Takes the device for the one that it is, if it is an edu device: from now on it must be the same.
    pub fn identify(&self) -> Result<()> {
        let identification = self.with(|registers| registers.memory.read32::<IDENTIFICATION>());
        let identification = identification.ok_or(Error::INVALID_DEVICE_STATE)?;
        Identification::decode(identification).ok_or(Error::DEVICE_HARDWARE_ERROR)?;
        self.identification.store(identification, Ordering::Relaxed);
        Ok(())
    }

    /// What the identification register read when the device was started.
    pub fn identification(&self) -> u32 {
        self.identification.load(Ordering::Relaxed)
    }

    /// Calls `f` with the registers, if there are any.
    pub fn with<R>(&self, f: impl FnOnce(&Registers<'_>) -> R) -> Option<R> {
        self.memory.with(|memory| {
            f(&Registers {
                memory,
                identification: self.identification(),
            })
        })
    }
}

/// The registers, while they may be touched.
pub struct Registers<'a> {
    memory: &'a MmioRegion<SIZE>,
    /// What the device's identification is.
    identification: u32,
}

impl Registers<'_> {
    /// Makes the device silent: it neither interrupts nor will when it has finished.
    pub fn silence(&self) {
        self.set_interrupt_on_factorial(false);
        self.acknowledge(InterruptStatus::all());
    }

    /// Whether the device is there: it says of itself what it said when it was started.
    pub fn is_present(&self) -> bool {
        self.memory.read32::<IDENTIFICATION>() == self.identification
    }

    /// Whether a register was read from the device, and not where nobody answers. `expected`: the value is one that the device gives; where it is not, the
    /// identification is read.
    fn has_answered(&self, expected: bool) -> bool {
        expected || self.is_present()
    }

    /// Writes `value` to the liveness register and reads it back: its bitwise inverse, if the device lives; `STATUS_DEVICE_REMOVED` if nobody answers.
    /// Two callers at a time would read each other's answer.
    pub fn check_liveness(&self, value: u32) -> Result<u32> {
        self.memory.write32::<LIVENESS>(value);
        let answer = self.memory.read32::<LIVENESS>();
        if self.has_answered(answer == !value && !may_be_absent(answer)) {
            Ok(answer)
        } else {
            Err(Error::DEVICE_REMOVED)
        }
    }

    /// Whether a factorial is being computed. One read while the driver uses the device, since its interrupt is enabled then.
    pub fn factorial_activity(&self) -> Activity {
        let status = EduStatus::from_bits_retain(self.memory.read32::<STATUS>());
        let in_use = status.difference(EduStatus::COMPUTING) == EduStatus::INTERRUPT_ON_FACTORIAL;
        self.activity(status.contains(EduStatus::COMPUTING), in_use)
    }

    fn activity(&self, busy: bool, expected: bool) -> Activity {
        if !self.has_answered(expected) {
            Activity::Gone
        } else if busy {
            Activity::Busy
        } else {
            Activity::Idle
        }
    }

    /// Sets whether the device interrupts when a factorial is finished.
    pub fn set_interrupt_on_factorial(&self, enable: bool) {
        let status = if enable {
            EduStatus::INTERRUPT_ON_FACTORIAL
        } else {
            EduStatus::empty()
        };
        self.memory.write32::<STATUS>(status.bits());
    }

    /// Starts the computation of n!.
    pub fn start_factorial(&self, n: u32) {
        self.memory.write32::<FACTORIAL>(n);
    }

    /// The result of the last computation, modulo 2³²; while one runs, its n. Any number can be right, so whether the device is there has to be asked
    /// afterwards.
    pub fn factorial(&self) -> u32 {
        self.memory.read32::<FACTORIAL>()
    }

    /// Starts to move a piece between the device's buffer and `memory`; the device interrupts when it has.
    pub fn start_transfer(&self, piece: Piece, memory: LogicalAddress) {
        let device = BUFFER_ADDRESS.saturating_add(piece.device_offset as u64);
        let (source, destination, direction) = match piece.direction {
            Direction::ToDevice => (memory.get(), device, DmaCommand::empty()),
            Direction::ToMemory => (device, memory.get(), DmaCommand::TO_MEMORY),
        };
        let command = DmaCommand::START | DmaCommand::INTERRUPT | direction;
        self.memory.write64::<DMA_SOURCE>(source);
        self.memory.write64::<DMA_DESTINATION>(destination);
        self.memory.write64::<DMA_COUNT>(piece.length as u64);
        self.memory.write64::<DMA_COMMAND>(u64::from(command.bits()));
    }

    /// Whether a DMA transfer is under way. One read, if the driver has started one since the device was powered up: the command stays there, but for
    /// the bit that says that it runs.
    pub fn dma_activity(&self) -> Activity {
        let command = DmaCommand::from_bits_retain(self.memory.read32::<DMA_COMMAND>());
        let is_drivers = command.difference(DmaCommand::START | DmaCommand::TO_MEMORY) == DmaCommand::INTERRUPT;
        self.activity(command.contains(DmaCommand::START), is_drivers)
    }

    /// The interrupt causes that are raised; none if nobody answers. One read if they are the causes with which the device ends its work.
    pub fn interrupt_status(&self) -> InterruptStatus {
        let causes = InterruptStatus::from_bits_retain(self.memory.read32::<INTERRUPT_STATUS>());
        if self.has_answered(!causes.intersects(InterruptStatus::RAISED_BY_SOFTWARE)) {
            causes
        } else {
            InterruptStatus::empty()
        }
    }

    /// Raises interrupt causes; the device interrupts at once.
    pub fn raise(&self, causes: InterruptStatus) {
        self.memory.write32::<INTERRUPT_RAISE>(causes.bits());
    }

    /// Clears interrupt causes; the device takes its interrupt back when none is left.
    pub fn acknowledge(&self, causes: InterruptStatus) {
        self.memory.write32::<INTERRUPT_ACKNOWLEDGE>(causes.bits());
    }
}
