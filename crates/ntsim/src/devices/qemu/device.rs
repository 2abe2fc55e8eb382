//! QEMU's edu as a device of the machine.

use super::{error::QemuError, pc::Qemu};
use crate::{
    bus::{BarRequest, BusContext, BusMaster, Device, DeviceFault, PciIdentity, Width},
    devices::edu::{self, EduProfile, Mistakes, Transfer, register},
};

/// A factorial that was started and is not yet computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Computation {
    n: u32,
    until: u64,
}

/// The edu of a QEMU process. Registers, interrupt and DMA are QEMU's; when what it does by itself is done is the machine's to say.
///
/// A factorial that is started at one time is handed to QEMU at the time at which it shall be done, and is waited for. In between the two
/// registers that tell of it read as if QEMU computed: STATUS has COMPUTING set, and FACTORIAL holds n.
#[derive(Debug)]
pub struct QemuEdu {
    qemu: Qemu,
    profile: EduProfile,
    computation: Option<Computation>,
    /// When the transfer that runs is done.
    transfer_end: Option<u64>,
    message_signalled: bool,
    /// How often message 0, the only one it has, was sent and not yet taken.
    messages: usize,
    /// What went wrong where it could not be reported.
    failure: Option<QemuError>,
}

impl QemuEdu {
    /// The edu of `qemu`.
    #[must_use]
    pub fn new(qemu: Qemu) -> Self {
        Self {
            qemu,
            profile: EduProfile::as_qemu(),
            computation: None,
            transfer_end: None,
            message_signalled: false,
            messages: 0,
            failure: None,
        }
    }

    /// The QEMU that it is in.
    pub const fn qemu_mut(&mut self) -> &mut Qemu {
        &mut self.qemu
    }

    /// Nothing, unless QEMU has failed where that could not be reported.
    fn check(&mut self) -> Result<(), DeviceFault> {
        self.failure.take().map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Reads what QEMU's memory core reads in one piece.
    fn read_piece(&mut self, offset: u64, width: Width) -> Result<u64, QemuError> {
        match (self.computation, offset, width) {
            (Some(Computation { n, .. }), register::FACTORIAL, Width::Dword) => Ok(n.into()),
            (Some(_), register::STATUS, Width::Dword) => {
                Ok(self.qemu.read(offset, width)? | u64::from(edu::STATUS_COMPUTING))
            }
            _ => self.qemu.read(offset, width),
        }
    }

    /// Writes what QEMU's memory core writes in one piece.
    fn write_piece(&mut self, cx: &mut BusContext<'_>, offset: u64, width: Width, value: u64) -> Result<(), QemuError> {
        if (offset, width) == (register::FACTORIAL, Width::Dword) {
            if self.computation.is_none() {
                let n = (value & 0xFFFF_FFFF) as u32;
                let until = cx.now + edu::computation_time(&self.profile, n, cx);
                self.computation = Some(Computation { n, until });
            }
            return Ok(());
        }
        self.qemu.write(offset, width, value)?;
        if offset == register::DMA_COMMAND && self.transfer_end.is_none() && self.qemu.transfers()? {
            self.transfer_end = Some(edu::transfer_end(cx.now));
        }
        self.note_message()
    }

    fn note_message(&mut self) -> Result<(), QemuError> {
        if self.message_signalled && self.qemu.take_message()? {
            self.messages += 1;
        }
        Ok(())
    }

    fn compute(&mut self, n: u32) -> Result<(), QemuError> {
        self.qemu
            .write_and_compute(register::FACTORIAL, Width::Dword, n.into())?;
        self.note_message()
    }

    /// Makes the transfer that is due. The memory that it is about is in QEMU for just that time.
    fn transfer(&mut self, memory: &mut dyn BusMaster) -> Result<(), DeviceFault> {
        let registers = self.qemu.transfer_registers()?;
        let transfer = Transfer::of(&registers, self.profile.dma_mask, Mistakes::Forgive)?;
        let refused = |fault| DeviceFault::Dma { device: NAME, fault };
        let mut bytes = vec![0; transfer.buffer.len()];
        if transfer.to_memory {
            self.qemu.finish_transfer()?;
            self.qemu.read_memory(transfer.address, &mut bytes)?;
            memory.write(transfer.address, &bytes).map_err(refused)?;
        } else {
            memory.read(transfer.address, &mut bytes).map_err(refused)?;
            self.qemu.write_memory(transfer.address, &bytes)?;
            self.qemu.finish_transfer()?;
        }
        Ok(self.note_message()?)
    }
}

const NAME: &str = "edu";

impl From<QemuError> for DeviceFault {
    fn from(error: QemuError) -> Self {
        Self::Host {
            device: NAME,
            message: error.to_string(),
        }
    }
}

impl Device for QemuEdu {
    fn name(&self) -> &'static str {
        NAME
    }

    fn identity(&self) -> PciIdentity {
        edu::IDENTITY
    }

    fn bars(&self) -> &[BarRequest] {
        &edu::BARS
    }

    fn has_interrupt_pin(&self) -> bool {
        true
    }

    fn read(&mut self, _: &mut BusContext<'_>, _: usize, offset: u64, width: Width) -> Result<u64, DeviceFault> {
        self.check()?;
        let mut value = 0;
        for (at, width) in edu::pieces(offset, width) {
            value |= self.read_piece(at, width)? << (8 * (at - offset));
        }
        Ok(value)
    }

    fn write(
        &mut self,
        cx: &mut BusContext<'_>,
        _: usize,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<(), DeviceFault> {
        self.check()?;
        for (at, width) in edu::pieces(offset, width) {
            let piece = value >> (8 * (at - offset)) & width.ones();
            self.write_piece(cx, at, width, piece)?;
        }
        Ok(())
    }

    fn next_event(&self) -> Option<u64> {
        let failed = self.failure.as_ref().map(|_| 0);
        let computed = self.computation.map(|computation| computation.until);
        failed.into_iter().chain(computed).chain(self.transfer_end).min()
    }

    fn advance(&mut self, cx: &mut BusContext<'_>, memory: &mut dyn BusMaster) -> Result<(), DeviceFault> {
        self.check()?;
        if let Some(Computation { n, .. }) = self.computation.take_if(|computation| computation.until <= cx.now) {
            self.compute(n)?;
        }
        if self.transfer_end.take_if(|end| *end <= cx.now).is_some() {
            self.transfer(memory)?;
        }
        Ok(())
    }

    fn line_asserted(&self) -> bool {
        self.qemu.line()
    }

    fn message_capability(&self) -> u16 {
        1
    }

    fn set_message_signalled(&mut self, enabled: bool) {
        if self.message_signalled != enabled {
            self.message_signalled = enabled;
            self.failure = self.qemu.set_message_signalled(enabled).err();
        }
    }

    fn take_messages(&mut self) -> Vec<u32> {
        vec![0; std::mem::take(&mut self.messages)]
    }

    /// What QEMU does: its edu keeps its registers, and goes on with what it does.
    fn reset(&mut self) {
        let again = self.message_signalled;
        let reset = self.qemu.reset().and_then(|()| {
            if again {
                self.qemu.set_message_signalled(true)?;
            }
            Ok(())
        });
        self.failure = reset.err();
    }
}
