//! QEMU's `edu` device, revision 0x10, as QEMU 7.2 behaves.
//!
//! It computes factorials in a thread of its own and copies between memory and an internal buffer after 100 ms. Its order of
//! events is kept: the result is stored, then the COMPUTING bit falls, and only then the interrupt is raised. A driver that
//! starts the next factorial between the last two sees the interrupt of the one before while the next is computed.

mod access;
mod dma;
mod profile;

use crate::bus::{BarRequest, BusContext, BusMaster, Device, DeviceFault, PciIdentity, Width};
use access::Taken;
pub(super) use access::pieces;
use dma::Dma;
pub use dma::DmaRegisters;
pub(super) use dma::{START as DMA_START, Transfer, end as transfer_end};
use profile::between;
pub(super) use profile::computation_time;
pub use profile::{EduProfile, Mistakes, Reset};

/// Register offsets.
pub(super) mod register {
    pub const IDENTIFICATION: u64 = 0x00;
    pub const LIVENESS: u64 = 0x04;
    pub const FACTORIAL: u64 = 0x08;
    pub const STATUS: u64 = 0x20;
    pub const INTERRUPT_STATUS: u64 = 0x24;
    pub const INTERRUPT_RAISE: u64 = 0x60;
    pub const INTERRUPT_ACKNOWLEDGE: u64 = 0x64;
    pub const DMA_SOURCE: u64 = 0x80;
    pub const DMA_DESTINATION: u64 = 0x88;
    pub const DMA_COUNT: u64 = 0x90;
    pub const DMA_COMMAND: u64 = 0x98;
}

/// From here on registers are 64 bits wide.
const WIDE_REGISTERS: u64 = 0x80;
const IDENTIFICATION: u32 = 0x0100_00ED;

pub(super) const STATUS_COMPUTING: u32 = 0x01;
pub(super) const STATUS_INTERRUPT: u32 = 0x80;

pub(super) const INTERRUPT_FACTORIAL: u32 = 0x001;
const INTERRUPT_DMA: u32 = 0x100;

pub(super) const IDENTITY: PciIdentity = PciIdentity {
    vendor: 0x1234,
    device: 0x11E8,
    revision: 0x10,
    class: 0x00_FF00,
    // QEMU gives every device without a subsystem of its own these.
    subsystem_vendor: 0x1AF4,
    subsystem: 0x1100,
};

pub(super) const BARS: [BarRequest; 1] = [BarRequest { size: 0x10_0000 }];

/// Faults to inject. Each takes effect on what the device does next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EduFaults {
    /// How many of the next factorial interrupts are lost: the bit is not set and the line not raised.
    pub lose_factorial_interrupts: u32,
    /// How much later a finished factorial interrupts, nanoseconds: the COMPUTING bit has fallen long since.
    pub interrupt_delay: u64,
    /// How many of the next writes that raise an interrupt are lost.
    pub lose_raised_interrupts: u32,
    /// How much longer every factorial takes, nanoseconds.
    pub extra_latency: u64,
    /// A computation that ends while this is set does not end: COMPUTING stays until it is cleared.
    pub stuck: bool,
    /// How many of the next DMA interrupts are lost: the bit is not set and the line not raised, though the transfer is made.
    pub lose_dma_interrupts: u32,
    /// How much longer a transfer takes that is started now, nanoseconds.
    pub extra_dma_latency: u64,
    /// A transfer that ends while this is set does not end: nothing is moved, and the command reads as running until it is cleared.
    pub dma_stuck: bool,
    /// The device no longer answers: it reads as ones and ignores writes, though it is still plugged in.
    pub dead: bool,
}

/// What the factorial thread is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Idle,
    /// COMPUTING is set; the result comes at the time given.
    Computing {
        until: u64,
    },
    /// The result is stored, COMPUTING still set.
    Stored {
        until: u64,
    },
    /// COMPUTING has fallen. The thread may still raise the interrupt, and begins nothing new before.
    Finished {
        until: u64,
        interrupt: bool,
    },
}

/// The device.
#[derive(Debug)]
pub struct Edu {
    profile: EduProfile,
    faults: EduFaults,
    liveness: u32,
    factorial: u32,
    /// The bits of the status register.
    status: u32,
    engine: Engine,
    interrupt_status: u32,
    /// The level of its interrupt pin. It changes when a cause is raised or acknowledged, not with what is pending.
    line: bool,
    dma: Dma,
    message_signalled: bool,
    /// How often message 0, the only one it has, was sent and not yet taken.
    messages: usize,
}

impl Edu {
    /// A device after power-on.
    #[must_use]
    pub fn new(profile: EduProfile) -> Self {
        Self {
            profile,
            faults: EduFaults::default(),
            liveness: 0,
            factorial: 0,
            status: 0,
            engine: Engine::Idle,
            interrupt_status: 0,
            line: false,
            dma: Dma::default(),
            message_signalled: false,
            messages: 0,
        }
    }

    /// The faults in force; change them at will.
    pub const fn faults_mut(&mut self) -> &mut EduFaults {
        &mut self.faults
    }

    /// Raises `bits` as a spurious interrupt, nobody having asked for it.
    pub fn raise(&mut self, bits: u32) {
        self.interrupt_status |= bits;
        if self.interrupt_status == 0 {
            return;
        }
        if self.message_signalled {
            self.messages += 1;
        } else {
            self.line = true;
        }
    }

    fn acknowledge(&mut self, bits: u32) {
        self.interrupt_status &= !bits;
        if self.interrupt_status == 0 {
            self.line = false;
        }
    }

    /// What the register at `offset` holds.
    fn read_register(&self, offset: u64, width: Width) -> u64 {
        match offset {
            register::IDENTIFICATION => IDENTIFICATION.into(),
            register::LIVENESS => self.liveness.into(),
            register::FACTORIAL => self.factorial.into(),
            register::STATUS => self.status.into(),
            register::INTERRUPT_STATUS => self.interrupt_status.into(),
            _ => self.dma.read(offset).unwrap_or(width.ones()),
        }
    }

    fn write_register(&mut self, cx: &mut BusContext<'_>, offset: u64, value: u64) {
        // Narrow registers take 4 bytes only, so nothing of the value is lost.
        let narrow = (value & 0xFFFF_FFFF) as u32;
        match offset {
            register::LIVENESS => self.liveness = !narrow,
            register::FACTORIAL => self.start_factorial(cx, narrow),
            register::STATUS => {
                self.status = self.status & !STATUS_INTERRUPT | narrow & STATUS_INTERRUPT;
            }
            register::INTERRUPT_RAISE => match self.faults.lose_raised_interrupts.checked_sub(1) {
                Some(left) => self.faults.lose_raised_interrupts = left,
                None => self.raise(narrow),
            },
            register::INTERRUPT_ACKNOWLEDGE => self.acknowledge(narrow),
            WIDE_REGISTERS.. => self.dma.write(offset, value, cx.now, &self.faults),
            _ => {}
        }
    }

    fn start_factorial(&mut self, cx: &mut BusContext<'_>, value: u32) {
        if self.status & STATUS_COMPUTING != 0 {
            return;
        }
        self.factorial = value;
        self.status |= STATUS_COMPUTING;
        // A thread that is still about to raise the last interrupt begins when it has.
        if self.engine == Engine::Idle {
            self.engine = self.compute_from(cx.now, cx);
        }
    }

    fn compute_from(&self, start: u64, cx: &mut BusContext<'_>) -> Engine {
        let time = computation_time(&self.profile, self.factorial, cx);
        Engine::Computing {
            until: start + time + self.faults.extra_latency,
        }
    }

    /// The factorial thread's next step, due at `now`.
    fn step(&mut self, now: u64, cx: &mut BusContext<'_>) {
        self.engine = match self.engine {
            Engine::Idle => Engine::Idle,
            Engine::Computing { .. } => {
                self.factorial = factorial(self.factorial);
                Engine::Stored {
                    until: now + between(&self.profile.step_latency, cx),
                }
            }
            Engine::Stored { .. } => {
                self.status &= !STATUS_COMPUTING;
                Engine::Finished {
                    until: now + between(&self.profile.step_latency, cx) + self.faults.interrupt_delay,
                    interrupt: self.status & STATUS_INTERRUPT != 0,
                }
            }
            Engine::Finished { interrupt, .. } => {
                if interrupt {
                    match self.faults.lose_factorial_interrupts.checked_sub(1) {
                        Some(left) => self.faults.lose_factorial_interrupts = left,
                        None => self.raise(INTERRUPT_FACTORIAL),
                    }
                }
                if self.status & STATUS_COMPUTING == 0 {
                    Engine::Idle
                } else {
                    self.compute_from(now, cx)
                }
            }
        };
    }

    /// When the factorial thread's next step is due.
    const fn due(&self) -> Option<u64> {
        match self.engine {
            Engine::Idle => None,
            Engine::Computing { .. } if self.faults.stuck => None,
            Engine::Computing { until } | Engine::Stored { until } | Engine::Finished { until, .. } => Some(until),
        }
    }
}

impl Device for Edu {
    fn name(&self) -> &'static str {
        "edu"
    }

    fn identity(&self) -> PciIdentity {
        IDENTITY
    }

    fn bars(&self) -> &[BarRequest] {
        &BARS
    }

    fn has_interrupt_pin(&self) -> bool {
        true
    }

    fn read(&mut self, _: &mut BusContext<'_>, _: usize, offset: u64, width: Width) -> Result<u64, DeviceFault> {
        access::check(self.profile.mistakes, "read", offset, width)?;
        if self.faults.dead {
            return Ok(width.ones());
        }
        let pieces = pieces(offset, width).map(|(at, width)| {
            let value = match access::takes(at, width) {
                Taken::Whole => self.read_register(at, width) & width.ones(),
                Taken::Ones => width.ones(),
                Taken::Nothing => 0,
            };
            value << (8 * (at - offset))
        });
        Ok(pieces.fold(0, |whole, piece| whole | piece))
    }

    fn write(
        &mut self,
        cx: &mut BusContext<'_>,
        _: usize,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<(), DeviceFault> {
        access::check(self.profile.mistakes, "write", offset, width)?;
        if self.faults.dead {
            return Ok(());
        }
        for (at, width) in pieces(offset, width) {
            if access::takes(at, width) == Taken::Whole {
                self.write_register(cx, at, value >> (8 * (at - offset)) & width.ones());
            }
        }
        Ok(())
    }

    fn next_event(&self) -> Option<u64> {
        self.due().into_iter().chain(self.dma.due(&self.faults)).min()
    }

    fn advance(&mut self, cx: &mut BusContext<'_>, memory: &mut dyn BusMaster) -> Result<(), DeviceFault> {
        while let Some(due) = self.due().filter(|&due| due <= cx.now) {
            self.step(due, cx);
        }
        if self.dma.due(&self.faults).is_some_and(|due| due <= cx.now) && self.dma.finish(&self.profile, memory)? {
            match self.faults.lose_dma_interrupts.checked_sub(1) {
                Some(left) => self.faults.lose_dma_interrupts = left,
                None => self.raise(INTERRUPT_DMA),
            }
        }
        Ok(())
    }

    fn line_asserted(&self) -> bool {
        self.line
    }

    fn message_capability(&self) -> u16 {
        1
    }

    fn set_message_signalled(&mut self, enabled: bool) {
        self.message_signalled = enabled;
        // Messages take the place of the pin, which does not rise again when they are switched off.
        self.line &= !enabled;
    }

    fn take_messages(&mut self) -> Vec<u32> {
        vec![0; std::mem::take(&mut self.messages)]
    }

    fn reset(&mut self) {
        self.line = false;
        if self.profile.reset == Reset::Clears {
            *self = Self {
                faults: self.faults.clone(),
                message_signalled: self.message_signalled,
                ..Self::new(self.profile.clone())
            };
        }
    }
}

/// n! modulo 2^32.
fn factorial(n: u32) -> u32 {
    // 34! has 32 factors of two, and so has every factorial beyond it.
    if n >= 34 { 0 } else { (1..=n).fold(1, u32::wrapping_mul) }
}

fn misused(message: String) -> DeviceFault {
    DeviceFault::Misused { device: "edu", message }
}

#[cfg(test)]
mod tests;
