//! A PC in QEMU with an edu on its bus: the device's registers, its configuration space, its interrupts, and the memory that it reaches.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    channel::Trouble,
    error::QemuError,
    pci::{self, register as config},
    process::{Process, QemuOptions},
    qmp::Qmp,
    qtest::{Failed, Qtest},
};
use crate::{
    bus::Width,
    devices::edu::{self, DmaRegisters, register},
};

/// Where the device's registers are put in the PC's memory.
const REGISTERS: u64 = 0xFE00_0000;
/// Vendor and device, as the first register of configuration space has them.
const IDENTITY: u64 = 0x11E8_1234;
/// Memory decoding and bus mastering, of the command register.
const COMMAND_MEMORY_AND_MASTER: u64 = 0x0006;
/// The enable bit of the message control register.
const MESSAGES_ENABLED: u64 = 0x0001;

/// Where the device's interrupt messages are sent to: memory, in which they are seen. It is below all that DMA is given.
const MESSAGE_ADDRESS: u64 = 0x8000;
/// The message. Its upper half is always 0.
const MESSAGE: u64 = 0x4D53;

/// How long a factorial may take: the largest is a matter of seconds.
const LONGEST_COMPUTATION: Duration = Duration::from_mins(2);
/// Looks at a running factorial that are made at once. It takes a break before each further one, to leave the processor to QEMU.
const HASTY_LOOKS: u32 = 20;
const BREAK: Duration = Duration::from_micros(200);

/// A running QEMU: a PC without a program, in which time stands still, with an edu on its bus.
///
/// The device does what its registers are told. Of what it does by itself, a transfer waits for [`finish_transfer`](Self::finish_transfer),
/// which lets the PC's time pass; a factorial is computed at once, in real time, and [`write_and_compute`](Self::write_and_compute) waits
/// until it is done.
///
/// Once a method has returned an error, QEMU cannot be used any more.
#[derive(Debug)]
pub struct Qemu {
    process: Process,
    qtest: Qtest,
    qmp: Qmp,
}

impl Qemu {
    /// Starts QEMU, which lives no longer than the thread that calls this. The device decodes its registers, is bus master, and interrupts by its pin.
    ///
    /// # Errors
    /// When QEMU cannot be started, does not answer, or has no edu.
    pub fn start(options: &QemuOptions) -> Result<Self, QemuError> {
        let (mut process, qtest, qmp) = Process::start(options)?;
        let explain = |process: &mut Process, failed: Failed| process.explain(&failed.command, failed.trouble);
        let qmp = Qmp::new(qmp).map_err(|failed| explain(&mut process, failed))?;
        let mut qemu = Self {
            process,
            qtest: Qtest::new(qtest, pci::INTERRUPT_INPUT),
            qmp,
        };
        qemu.with_qtest(Qtest::intercept)?;
        let identity = qemu.read_config(config::IDENTITY, Width::Dword)?;
        if identity != IDENTITY {
            let failed = Failed::refused("read the identity of the edu", format!("{identity:#010x}"));
            return Err(explain(&mut qemu.process, failed));
        }
        qemu.configure()?;
        Ok(qemu)
    }

    /// The process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    fn with_qtest<T>(&mut self, work: impl FnOnce(&mut Qtest) -> Result<T, Failed>) -> Result<T, QemuError> {
        let process = &mut self.process;
        work(&mut self.qtest).map_err(|failed| process.explain(&failed.command, failed.trouble))
    }

    fn with_qmp(&mut self, work: impl FnOnce(&mut Qmp) -> Result<(), Failed>) -> Result<(), QemuError> {
        let process = &mut self.process;
        work(&mut self.qmp).map_err(|failed| process.explain(&failed.command, failed.trouble))
    }

    /// Assigns the device its registers, and the place where its messages go.
    fn configure(&mut self) -> Result<(), QemuError> {
        for (offset, value) in [
            (config::BASE_ADDRESS, REGISTERS),
            (config::MESSAGE_ADDRESS, MESSAGE_ADDRESS),
            (config::MESSAGE_UPPER_ADDRESS, 0),
            (config::MESSAGE_DATA, MESSAGE),
        ] {
            self.write_config(offset, Width::Dword, value)?;
        }
        self.set_command(COMMAND_MEMORY_AND_MASTER)
    }

    /// Reads configuration space from `offset` on, not across a multiple of 4.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn read_config(&mut self, offset: u8, width: Width) -> Result<u64, QemuError> {
        self.with_qtest(|qtest| pci::read(qtest, offset, width))
    }

    /// Writes configuration space from `offset` on, not across a multiple of 4.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn write_config(&mut self, offset: u8, width: Width, value: u64) -> Result<(), QemuError> {
        self.with_qtest(|qtest| pci::write(qtest, offset, width, value))
    }

    /// Writes the command register.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn set_command(&mut self, command: u64) -> Result<(), QemuError> {
        self.write_config(config::COMMAND, Width::Word, command)
    }

    /// Has the device interrupt by messages, or by its pin.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn set_message_signalled(&mut self, enabled: bool) -> Result<(), QemuError> {
        let control = self.read_config(config::MESSAGE_CONTROL, Width::Word)? & !MESSAGES_ENABLED;
        let control = control | if enabled { MESSAGES_ENABLED } else { 0 };
        self.write_config(config::MESSAGE_CONTROL, Width::Word, control)
    }

    /// Reads the device's memory at `offset`.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn read(&mut self, offset: u64, width: Width) -> Result<u64, QemuError> {
        self.with_qtest(|qtest| qtest.read(REGISTERS + offset, width))
    }

    /// Writes the device's memory at `offset`. For a write that may start a factorial there is
    /// [`write_and_compute`](Self::write_and_compute).
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), QemuError> {
        self.with_qtest(|qtest| qtest.write(REGISTERS + offset, width, value))
    }

    /// Makes a write. If it starts a factorial, waits until its result is stored and its interrupt, if it has one, was raised.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer, or the factorial does not end.
    pub fn write_and_compute(&mut self, offset: u64, width: Width, value: u64) -> Result<(), QemuError> {
        if edu::pieces(offset, width).all(|piece| piece != (register::FACTORIAL, Width::Dword)) {
            return self.write(offset, width, value);
        }
        let interrupts = self.read_register(register::STATUS)? & edu::STATUS_INTERRUPT != 0;
        // When the cause is pending already, raising it once more is not seen: it is taken back until it is raised.
        let pending = interrupts && self.has_factorial_interrupt()?;
        let (level, edges) = (self.qtest.level(), self.qtest.edges().to_vec());
        if pending {
            let acknowledged = edu::INTERRUPT_FACTORIAL.into();
            self.write(register::INTERRUPT_ACKNOWLEDGE, Width::Dword, acknowledged)?;
        }
        self.write(offset, width, value)?;
        let computes = |qemu: &mut Self| Ok(qemu.read_register(register::STATUS)? & edu::STATUS_COMPUTING != 0);
        self.wait_while("compute a factorial", computes)?;
        if interrupts {
            self.wait_while("interrupt", |qemu| Ok(!qemu.has_factorial_interrupt()?))?;
        }
        if pending {
            self.qtest.keep_level_only(edges, level);
        }
        Ok(())
    }

    fn read_register(&mut self, offset: u64) -> Result<u32, QemuError> {
        Ok((self.read(offset, Width::Dword)? & 0xFFFF_FFFF) as u32)
    }

    fn has_factorial_interrupt(&mut self) -> Result<bool, QemuError> {
        Ok(self.read_register(register::INTERRUPT_STATUS)? & edu::INTERRUPT_FACTORIAL != 0)
    }

    /// Looks until `goes_on` no longer holds.
    fn wait_while(
        &mut self,
        told: &str,
        mut goes_on: impl FnMut(&mut Self) -> Result<bool, QemuError>,
    ) -> Result<(), QemuError> {
        let deadline = Instant::now() + LONGEST_COMPUTATION;
        let mut looks = 0;
        while goes_on(self)? {
            if Instant::now() >= deadline {
                return Err(self.process.explain(told, Trouble::Silent));
            }
            looks += 1;
            if looks > HASTY_LOOKS {
                thread::sleep(BREAK);
            }
        }
        Ok(())
    }

    /// The registers of the DMA engine.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn transfer_registers(&mut self) -> Result<DmaRegisters, QemuError> {
        Ok(DmaRegisters {
            source: self.read(register::DMA_SOURCE, Width::Qword)?,
            destination: self.read(register::DMA_DESTINATION, Width::Qword)?,
            count: self.read(register::DMA_COUNT, Width::Qword)?,
            command: self.read(register::DMA_COMMAND, Width::Qword)?,
        })
    }

    /// Whether a transfer runs.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn transfers(&mut self) -> Result<bool, QemuError> {
        Ok(self.read(register::DMA_COMMAND, Width::Dword)? & edu::DMA_START != 0)
    }

    /// Lets the PC's time pass until the transfer that runs is made.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer, or the transfer does not end.
    pub fn finish_transfer(&mut self) -> Result<(), QemuError> {
        self.with_qmp(Qmp::cont)?;
        self.wait_while("make a transfer", Self::transfers)?;
        self.with_qmp(Qmp::stop)
    }

    /// Reads the PC's memory.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn read_memory(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), QemuError> {
        if buffer.is_empty() {
            return Ok(());
        }
        self.with_qtest(|qtest| qtest.read_memory(address, buffer))
    }

    /// Writes the PC's memory.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), QemuError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.with_qtest(|qtest| qtest.write_memory(address, bytes))
    }

    /// Whether the device drives its interrupt line, as of QEMU's last answer.
    #[must_use]
    pub fn line(&self) -> bool {
        self.qtest.level()
    }

    /// The levels that the line has changed to since the last call.
    pub fn take_edges(&mut self) -> Vec<bool> {
        self.qtest.take_edges()
    }

    /// Whether the device has sent its interrupt message since the last call, once or several times.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn take_message(&mut self) -> Result<bool, QemuError> {
        let sent = self.with_qtest(|qtest| qtest.read(MESSAGE_ADDRESS, Width::Dword))? != 0;
        if sent {
            self.with_qtest(|qtest| qtest.write(MESSAGE_ADDRESS, Width::Dword, 0))?;
        }
        Ok(sent)
    }

    /// Resets the PC and assigns the device its resources anew. It interrupts by its pin.
    ///
    /// # Errors
    /// When QEMU has ended or does not answer.
    pub fn reset(&mut self) -> Result<(), QemuError> {
        self.with_qmp(Qmp::system_reset)?;
        self.configure()
    }
}
