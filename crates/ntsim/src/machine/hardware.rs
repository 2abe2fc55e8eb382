//! The bus as the processors' memory hook and the scheduler reach it.

use std::{cell::RefCell, rc::Rc};

use crate::{
    bus::{Bus, BusContext, DeviceFault, Dice, Ram, Width},
    cpu::Hardware,
    kernel::stream,
    mm::Pa,
    sched::{Random, VirtualTime},
};

impl Dice for Random {
    fn below(&mut self, bound: u64) -> u64 {
        Self::below(self, bound)
    }
}

/// The bus with what its devices need from the machine.
pub struct Port {
    bus: Rc<RefCell<Bus>>,
    dice: Random,
}

impl Port {
    /// A port to `bus` for the run with `seed`.
    #[must_use]
    pub fn new(bus: Rc<RefCell<Bus>>, seed: u64) -> Self {
        Self {
            bus,
            dice: Random::new(seed, stream::DEVICES),
        }
    }

    fn with<T>(&mut self, now: VirtualTime, work: impl FnOnce(&mut Bus, &mut BusContext<'_>) -> T) -> T {
        let mut cx = BusContext {
            now,
            dice: &mut self.dice,
        };
        work(&mut self.bus.borrow_mut(), &mut cx)
    }
}

fn width(bytes: u8) -> Result<Width, DeviceFault> {
    Width::from_bytes(bytes.into()).ok_or_else(|| DeviceFault::Misused {
        device: "bus",
        message: format!("an access of {bytes} bytes"),
    })
}

impl Hardware for Port {
    fn read(&mut self, address: Pa, bytes: u8, now: VirtualTime) -> Result<u64, DeviceFault> {
        let width = width(bytes)?;
        self.with(now, |bus, cx| bus.read(cx, address.0, width))
    }

    fn write(&mut self, address: Pa, bytes: u8, value: u64, now: VirtualTime) -> Result<(), DeviceFault> {
        let width = width(bytes)?;
        self.with(now, |bus, cx| bus.write(cx, address.0, width, value))
    }

    fn read_port(&mut self, port: u16, width: Width, now: VirtualTime) -> Result<Option<u64>, DeviceFault> {
        self.with(now, |bus, cx| bus.read_port(cx, port, width))
    }

    fn write_port(&mut self, port: u16, width: Width, value: u64, now: VirtualTime) -> Result<Option<()>, DeviceFault> {
        self.with(now, |bus, cx| bus.write_port(cx, port, width, value))
    }

    fn next_event(&self) -> Option<VirtualTime> {
        self.bus.borrow().next_event()
    }

    fn advance(&mut self, now: VirtualTime, ram: &mut dyn Ram) -> Result<(), DeviceFault> {
        self.with(now, |bus, cx| bus.advance(cx, ram))
    }

    fn line_asserted(&self, line: u32) -> bool {
        self.bus.borrow().line_asserted(line)
    }

    fn messages_pending(&self) -> Vec<u32> {
        self.bus.borrow_mut().messages_pending().iter().copied().collect()
    }

    fn take_message(&mut self, vector: u32) {
        self.bus.borrow_mut().take_message(vector);
    }

    fn windows(&self) -> Vec<(Pa, u64)> {
        let bus = self.bus.borrow();
        bus.windows().map(|range| (Pa(range.start), range.length)).collect()
    }
}
