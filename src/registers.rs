//! The device's registers. Any IRQL.

use edu::registers::{
    FACTORIAL, IDENTIFICATION, INTERRUPT_ACKNOWLEDGE, INTERRUPT_STATUS, InterruptStatus, LIVENESS, STATUS,
    Status as EduStatus,
};
use wdm::{
    Irql, MemoryResource, MmioRegion, Result,
    irql::{AtMostDispatch, Passive},
};

/// The registers lie in the first page of the device's memory; behind it is its DMA buffer, which the processor does not touch.
const SIZE: usize = 0x1000;

/// The device's registers, mapped while the device is started.
pub struct Registers(MmioRegion<SIZE>);

impl Registers {
    /// Maps them.
    pub fn map(resource: &MemoryResource<'_>, irql: &mut Irql<Passive>) -> Result<Self> {
        MmioRegion::map(resource, irql).map(Self)
    }

    /// Gives the mapping back.
    pub fn unmap<L: AtMostDispatch>(self, irql: &mut Irql<L>) {
        self.0.unmap(irql);
    }

    /// What the identification register reads.
    pub fn identification(&self) -> u32 {
        self.0.read32::<IDENTIFICATION>()
    }

    /// Writes `value` to the liveness register and reads it back: its bitwise inverse, if the device lives. Two callers at a time would
    /// read each other's answer.
    pub fn check_liveness(&self, value: u32) -> u32 {
        self.0.write32::<LIVENESS>(value);
        self.0.read32::<LIVENESS>()
    }

    /// Whether a factorial is being computed. A device that is gone computes for ever.
    pub fn is_computing(&self) -> bool {
        EduStatus::from_bits_retain(self.0.read32::<STATUS>()).contains(EduStatus::COMPUTING)
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

    /// The result of the last computation, modulo 2³². While one runs this reads its n.
    pub fn factorial(&self) -> u32 {
        self.0.read32::<FACTORIAL>()
    }

    /// The interrupt causes that are raised.
    pub fn interrupt_status(&self) -> InterruptStatus {
        InterruptStatus::from_bits_retain(self.0.read32::<INTERRUPT_STATUS>())
    }

    /// Clears interrupt causes; the device takes its interrupt back when none is left.
    pub fn acknowledge(&self, causes: InterruptStatus) {
        self.0.write32::<INTERRUPT_ACKNOWLEDGE>(causes.bits());
    }
}
