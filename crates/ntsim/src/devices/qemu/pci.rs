//! The device's configuration space, through the PC's ports for it (PCI Local Bus Specification 3.0, section 3.2.2.3.2).

use super::qtest::{Failed, Qtest};
use crate::bus::Width;

/// The device's number on bus 0.
pub(super) const SLOT: u8 = 4;
/// The input of the I/O APIC that its pin is wired to: on a q35, pin A of devices 4, 8, 12, … drives PIRQE.
pub(super) const INTERRUPT_INPUT: u32 = 20;

/// Selects a register of configuration space, and reads or writes it.
const ADDRESS_PORT: u16 = 0xCF8;
const DATA_PORT: u16 = 0xCFC;
const ADDRESS_ENABLE: u32 = 0x8000_0000;

/// The registers that are used here.
pub(super) mod register {
    pub(in super::super) const IDENTITY: u8 = 0x00;
    pub(in super::super) const COMMAND: u8 = 0x04;
    pub(in super::super) const BASE_ADDRESS: u8 = 0x10;
    /// The device's only capability is MSI, with 64-bit addresses.
    pub(in super::super) const MESSAGE_CONTROL: u8 = 0x42;
    pub(in super::super) const MESSAGE_ADDRESS: u8 = 0x44;
    pub(in super::super) const MESSAGE_UPPER_ADDRESS: u8 = 0x48;
    pub(in super::super) const MESSAGE_DATA: u8 = 0x4C;
}

/// Reads from `offset` on; a register does not lie across a multiple of 4.
pub(super) fn read(qtest: &mut Qtest, offset: u8, width: Width) -> Result<u64, Failed> {
    let port = select(qtest, offset)?;
    qtest.read_port(port, width)
}

/// Writes from `offset` on; a register does not lie across a multiple of 4.
pub(super) fn write(qtest: &mut Qtest, offset: u8, width: Width, value: u64) -> Result<(), Failed> {
    let port = select(qtest, offset)?;
    qtest.write_port(port, width, value)
}

/// Selects the register at `offset`; the port that it is behind.
fn select(qtest: &mut Qtest, offset: u8) -> Result<u16, Failed> {
    let address = ADDRESS_ENABLE | u32::from(SLOT) << 11 | u32::from(offset & !3);
    qtest.write_port(ADDRESS_PORT, Width::Dword, address.into())?;
    Ok(DATA_PORT + u16::from(offset & 3))
}
