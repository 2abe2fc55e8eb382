//! The device's registers. Any IRQL.
//!
//! A device that was taken out reads all ones. That can happen between any two reads, so each value that goes to a program is checked for
//! it by itself.

use edu::{
    dma::BUFFER_ADDRESS,
    engine::Activity,
    registers::{
        ABSENT, DMA_COMMAND, DMA_COUNT, DMA_DESTINATION, DMA_SOURCE, DmaCommand, FACTORIAL, IDENTIFICATION,
        INTERRUPT_ACKNOWLEDGE, INTERRUPT_RAISE, INTERRUPT_STATUS, InterruptStatus, LIVENESS, STATUS,
        Status as EduStatus,
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
}

impl RegisterFile {
    /// Not mapped.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self { memory <- DeviceMemory::new(device) }? Error)
    }

    /// Maps them, until the device is stopped.
    pub fn map(&self, resource: &MemoryResource<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        self.memory.map(resource, irql)
    }

    /// Calls `f` with the registers, if there are any.
    pub fn with<R>(&self, f: impl FnOnce(&Registers<'_>) -> R) -> Option<R> {
        self.memory.with(|memory| f(&Registers(memory)))
    }
}

/// The registers, while they may be touched.
pub struct Registers<'a>(&'a MmioRegion<SIZE>);

impl Registers<'_> {
    /// Makes the device silent: it neither interrupts nor will when it has finished.
    pub fn silence(&self) {
        self.set_interrupt_on_factorial(false);
        self.acknowledge(InterruptStatus::all());
    }

    /// What the identification register reads; `STATUS_DEVICE_REMOVED` if nobody answers.
    pub fn identification(&self) -> Result<u32> {
        present(self.0.read32::<IDENTIFICATION>())
    }

    /// Writes `value` to the liveness register and reads it back: its bitwise inverse, if the device lives; `STATUS_DEVICE_REMOVED` if nobody answers.
    /// Two callers at a time would read each other's answer.
    pub fn check_liveness(&self, value: u32) -> Result<u32> {
        self.0.write32::<LIVENESS>(value);
        let answer = self.0.read32::<LIVENESS>();
        // All ones is the right answer to 0 only.
        if value == 0 { Ok(answer) } else { present(answer) }
    }

    /// Whether a factorial is being computed.
    pub fn factorial_activity(&self) -> Activity {
        let status = self.0.read32::<STATUS>();
        if status == ABSENT {
            Activity::Gone
        } else if EduStatus::from_bits_retain(status).contains(EduStatus::COMPUTING) {
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
        self.0.write32::<STATUS>(status.bits());
    }

    /// Starts the computation of n!.
    pub fn start_factorial(&self, n: u32) {
        self.0.write32::<FACTORIAL>(n);
    }

    /// The result of the last computation, modulo 2³²; `STATUS_DEVICE_REMOVED` if nobody answers: no factorial is all ones, since from 2! on they are even.
    /// While a computation runs this reads its n.
    pub fn factorial(&self) -> Result<u32> {
        present(self.0.read32::<FACTORIAL>())
    }

    /// Starts to move a piece between the device's buffer and `memory`; the device interrupts when it has.
    pub fn start_transfer(&self, piece: Piece, memory: LogicalAddress) {
        let device = BUFFER_ADDRESS.saturating_add(piece.device_offset as u64);
        let (source, destination, direction) = match piece.direction {
            Direction::ToDevice => (memory.get(), device, DmaCommand::empty()),
            Direction::ToMemory => (device, memory.get(), DmaCommand::TO_MEMORY),
        };
        let command = DmaCommand::START | DmaCommand::INTERRUPT | direction;
        self.0.write64::<DMA_SOURCE>(source);
        self.0.write64::<DMA_DESTINATION>(destination);
        self.0.write64::<DMA_COUNT>(piece.length as u64);
        self.0.write64::<DMA_COMMAND>(u64::from(command.bits()));
    }

    /// Whether a DMA transfer is under way.
    pub fn dma_activity(&self) -> Activity {
        let command = self.0.read32::<DMA_COMMAND>();
        if command == ABSENT {
            Activity::Gone
        } else if DmaCommand::from_bits_retain(command).contains(DmaCommand::START) {
            Activity::Busy
        } else {
            Activity::Idle
        }
    }

    /// The interrupt causes that are raised.
    pub fn interrupt_status(&self) -> InterruptStatus {
        InterruptStatus::from_bits_retain(self.0.read32::<INTERRUPT_STATUS>())
    }

    /// Raises interrupt causes; the device interrupts at once.
    pub fn raise(&self, causes: InterruptStatus) {
        self.0.write32::<INTERRUPT_RAISE>(causes.bits());
    }

    /// Clears interrupt causes; the device takes its interrupt back when none is left.
    pub fn acknowledge(&self, causes: InterruptStatus) {
        self.0.write32::<INTERRUPT_ACKNOWLEDGE>(causes.bits());
    }
}

/// What a register reads, unless nobody answers.
fn present(value: u32) -> Result<u32> {
    if value == ABSENT {
        Err(Error::DEVICE_REMOVED)
    } else {
        Ok(value)
    }
}
