//! A neighbour on an interrupt line: a device that does nothing but assert it, with a driver of the model's own.
//!
//! Plugged in with [`Placement::shares_line_of`](crate::bus::Placement), it interrupts whoever shares its line, and none of them finds
//! anything at its own device.

use crate::{
    bugcheck::Outcome,
    bus::{self, Device, PciIdentity, Slot},
    ddi::{Contract, Registry},
    ke::{
        Irql,
        interrupt::{self, Interrupt, Routine, Source},
    },
    kernel::Kernel,
    mm::Va,
};

/// The driver's service routine.
const SERVICE: &str = "NoiseService";

/// Bytes of a KINTERRUPT, with the lock that follows it.
const INTERRUPT_SIZE: usize = 0x120;
const LOCK: usize = 0x80;

/// The device.
#[derive(Debug, Default)]
pub struct Noise {
    asserted: bool,
}

impl Noise {
    /// Asserts its line, until its driver has seen that.
    pub fn raise(&mut self) {
        self.asserted = true;
    }
}

impl Device for Noise {
    fn name(&self) -> &'static str {
        "noise"
    }

    fn identity(&self) -> PciIdentity {
        PciIdentity {
            vendor: 0x1234,
            device: 0x11E9,
            revision: 0x10,
            class: 0x00_FF00,
            subsystem_vendor: 0x1AF4,
            subsystem: 0x1100,
        }
    }

    fn has_interrupt_pin(&self) -> bool {
        true
    }

    fn line_asserted(&self) -> bool {
        self.asserted
    }

    fn reset(&mut self) {
        self.asserted = false;
    }
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.function(SERVICE, 2, Contract::ANY, |k, a| Ok(service(k, a.va(1))));
}

/// Its service routine: the interrupt is its own when the device says so, and then the line falls. `context` is the slot.
fn service(k: &Kernel, context: Va) -> bool {
    let slot = Slot((context.get() & 0xFF) as u8);
    let mut bus = k.bus().borrow_mut();
    let noise = bus.device_mut::<Noise>(slot);
    noise.is_some_and(|noise| std::mem::take(&mut noise.asserted))
}

/// Connects its driver to the line; it stays connected.
///
/// # Errors
/// When the machine has stopped.
///
/// # Panics
/// When there is no such device in `slot`.
pub fn connect(k: &Kernel, slot: Slot) -> Outcome<()> {
    let assigned = k.bus().borrow().function(slot).resources().interrupt;
    let Some(assigned @ bus::Interrupt::Line { line, .. }) = assigned else {
        panic!("the device in {slot:?} has no line");
    };
    let object = k.allocate_system(INTERRUPT_SIZE, "KINTERRUPT")?;
    let irql = Irql(assigned.irql());
    interrupt::connect(
        k,
        Interrupt {
            object,
            routine: Routine::Service(k.routine_address(SERVICE)),
            context: Va(slot.0.into()),
            source: Source::Line(line),
            irql,
            synchronize_irql: irql,
            spin_lock: object + LOCK,
            processors: u64::MAX,
        },
    );
    Ok(())
}
