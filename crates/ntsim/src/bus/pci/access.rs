//! Configuration space as software accesses it: what it may change, and what that does to the device.

use super::{COMMAND_BUS_MASTER, CONFIG_SIZE, ConfigSpace, PciFunction, offset};
use crate::bus::resources::{Interrupt, Range, Resources};

/// `PCI_DISABLE_LEVEL_INTERRUPT` of the command register.
pub(super) const COMMAND_INTERRUPT_DISABLE: u16 = 0x0400;
/// What can be written of the command register: the I/O, memory, bus master, parity, SERR# and interrupt disable bits.
const COMMAND_WRITABLE: u16 = 0x0547;
/// The interrupt status bit of the status register.
const STATUS_INTERRUPT: u8 = 0x08;
/// The capabilities list bit of the status register.
const STATUS_CAPABILITIES: u8 = 0x10;

const STATUS: usize = 0x06;
const CACHE_LINE_SIZE: usize = 0x0C;
const LATENCY_TIMER: usize = 0x0D;
const CAPABILITIES_POINTER: usize = 0x34;
const BARS: std::ops::Range<usize> = offset::BASE_ADDRESS..offset::BASE_ADDRESS + 24;

/// The MSI capability (PCI Local Bus Specification 3.0, section 6.8.1), in its form for 64-bit addresses.
mod msi {
    /// Where it lies.
    pub const AT: usize = 0x40;
    pub const ID: u8 = 0x05;
    pub const CONTROL: usize = AT + 2;
    pub const ADDRESS: usize = AT + 4;
    pub const ADDRESS_END: usize = AT + 0x0C;
    pub const DATA: usize = AT + 0x0C;
    pub const DATA_END: usize = AT + 0x0E;
    /// The enable bit, and how many messages are enabled.
    pub const CONTROL_WRITABLE: u8 = 0x71;
    pub const ENABLE: u8 = 0x01;
    /// Addresses are 64 bits wide.
    pub const WIDE: u8 = 0x80;
    /// Where a local APIC takes messages.
    pub const APIC: u32 = 0xFEE0_0000;
}

impl ConfigSpace {
    /// The same, of a device that can send `messages` different interrupt messages.
    pub(super) fn with_messages(mut self, messages: u16) -> Self {
        if messages != 0 {
            self.0[STATUS] |= STATUS_CAPABILITIES;
            let at = u8::try_from(msi::AT).expect("the first quarter");
            self.put(CAPABILITIES_POINTER, &[at]);
            let capable = u8::try_from(messages.ilog2()).expect("at most 32 messages") << 1;
            self.put(msi::AT, &[msi::ID, 0, capable | msi::WIDE, 0]);
        }
        self
    }

    fn has_msi(&self) -> bool {
        self.0[msi::AT] == msi::ID
    }

    /// Writes the messages that the device was assigned into its capability, or switches it off.
    pub(super) fn assign_messages(&mut self, resources: &Resources) {
        if !self.has_msi() {
            return;
        }
        let control = self.0[msi::CONTROL] & !msi::CONTROL_WRITABLE;
        if let Some(Interrupt::Messages { vector, count }) = resources.interrupt {
            self.put(msi::ADDRESS, &msi::APIC.to_le_bytes());
            let vector = u16::try_from(vector & 0xFF).expect("a byte");
            self.put(msi::DATA, &vector.to_le_bytes());
            let enabled = u8::try_from(count.ilog2()).expect("at most 32 messages") << 4;
            self.put(msi::CONTROL, &[control | enabled | msi::ENABLE]);
        } else {
            self.put(msi::CONTROL, &[control]);
        }
    }

    fn sends_messages(&self) -> bool {
        self.has_msi() && self.0[msi::CONTROL] & msi::ENABLE != 0
    }

    /// The address in the BAR `bar`.
    fn base_address(&self, bar: usize) -> u64 {
        let at = offset::BASE_ADDRESS + 4 * bar;
        let bytes = self.0[at..at + 4].try_into().expect("four bytes");
        let value = u32::from_le_bytes(bytes);
        u64::from(if value & 1 == 1 { value & !0x3 } else { value & !0xF })
    }

    /// Which bits of the byte at `at` software can change. `sizes`: the bytes of each BAR.
    fn writable(&self, at: usize, sizes: &[u64]) -> u8 {
        match at {
            offset::COMMAND => (COMMAND_WRITABLE & 0xFF) as u8,
            0x05 => (COMMAND_WRITABLE >> 8) as u8,
            CACHE_LINE_SIZE | LATENCY_TIMER | offset::INTERRUPT_LINE => 0xFF,
            at if BARS.contains(&at) => {
                let (bar, byte) = ((at - BARS.start) / 4, (at - BARS.start) % 4);
                let size = sizes.get(bar).copied().unwrap_or(0);
                // The size is a power of two: the bits below it, where the type is, are fixed.
                let mask = size.checked_sub(1).map_or(0, |below| !below & 0xFFFF_FFFF);
                (mask >> (8 * byte) & 0xFF) as u8
            }
            _ if !self.has_msi() => 0,
            msi::CONTROL => msi::CONTROL_WRITABLE,
            // Messages are written to whole words.
            msi::ADDRESS => 0xFC,
            at if (msi::ADDRESS..msi::ADDRESS_END).contains(&at) || (msi::DATA..msi::DATA_END).contains(&at) => 0xFF,
            _ => 0,
        }
    }
}

impl PciFunction {
    /// Reads configuration space from `offset` on, and says how many bytes were there. A device that is gone reads as ones.
    pub fn read_config(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(CONFIG_SIZE.saturating_sub(offset));
        if !self.present {
            buffer[..count].fill(0xFF);
            return count;
        }
        buffer[..count].copy_from_slice(&self.config.bytes()[offset..offset + count]);
        let waits = self.power_is_on() && self.device.line_asserted();
        if waits && (offset..offset + count).contains(&STATUS) {
            buffer[STATUS - offset] |= STATUS_INTERRUPT;
        }
        count
    }

    /// Writes configuration space from `offset` on, and says how many bytes of it there are. What is read-only stays.
    pub fn write_config(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let count = bytes.len().min(CONFIG_SIZE.saturating_sub(offset));
        if !self.present {
            return count;
        }
        // What it has sent so far was sent under the old settings.
        self.post();
        let sizes: Vec<u64> = self.device.bars().iter().map(|bar| bar.size).collect();
        for (at, &byte) in (offset..).zip(&bytes[..count]) {
            let writable = self.config.writable(at, &sizes);
            let old = self.config.bytes()[at];
            self.config.put(at, &[old & !writable | byte & writable]);
        }
        if self.config.has_msi() {
            self.device.set_message_signalled(self.config.sends_messages());
        }
        count
    }

    /// Whether its BARs hold the addresses that it was assigned.
    pub(super) fn lies_where_assigned(&self) -> bool {
        self.resources.ranges().into_iter().all(|(bar, range)| {
            let start = match range {
                Range::Memory(range) => range.start,
                Range::Ports(range) => range.start.into(),
            };
            self.config.base_address(bar) == start
        })
    }

    /// Whether it may assert its interrupt pin.
    pub(super) fn pin_enabled(&self) -> bool {
        self.config.command() & COMMAND_INTERRUPT_DISABLE == 0
    }

    /// Whether it is bus master.
    #[must_use]
    pub fn is_bus_master(&self) -> bool {
        self.config.command() & COMMAND_BUS_MASTER != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bus::{Bus, InterruptMode, Placement, Width, testing::with_context},
        devices::{Edu, EduProfile},
    };

    fn function(bus: &mut Bus, interrupts: InterruptMode) -> &mut PciFunction {
        let placement = Placement {
            interrupts,
            ..Placement::default()
        };
        let slot = bus.plug_with(Box::new(Edu::new(EduProfile::default())), placement);
        let function = bus.function_mut(slot);
        function.set_enabled(true);
        function
    }

    fn read<const N: usize>(function: &PciFunction, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        assert_eq!(function.read_config(offset, &mut bytes), N);
        bytes
    }

    #[test]
    fn what_is_read_only_stays() {
        let mut bus = Bus::default();
        let function = function(&mut bus, InterruptMode::Line);
        let before: [u8; 4] = read(function, 0);
        assert_eq!(function.write_config(0, &[0; 4]), 4);
        assert_eq!(read(function, 0), before);
        assert_eq!(function.write_config(0xFE, &[1; 4]), 2, "the space ends");
        assert_eq!(function.read_config(0x100, &mut [0; 4]), 0);
    }

    #[test]
    fn a_bar_tells_its_size_and_a_device_that_was_moved_does_not_answer_where_it_was() {
        let mut bus = Bus::default();
        let function = function(&mut bus, InterruptMode::Line);
        let assigned: [u8; 4] = read(function, 0x10);
        function.write_config(0x10, &[0xFF; 4]);
        assert_eq!(u32::from_le_bytes(read(function, 0x10)), 0xFFF0_0000, "1 MiB");
        with_context(0, |cx| {
            assert_eq!(function.read(cx, 0, 0, Width::Dword), Ok(0xFFFF_FFFF));
            function.write_config(0x10, &assigned);
            assert_eq!(function.read(cx, 0, 0, Width::Dword), Ok(0x0100_00ED));
        });
        function.write_config(0x14, &[0xFF; 4]);
        assert_eq!(read(function, 0x14), [0; 4], "there is no second one");
    }

    #[test]
    fn the_command_register_switches_decoding_mastering_and_the_pin() {
        let mut bus = Bus::default();
        let function = function(&mut bus, InterruptMode::Line);
        let command = |function: &PciFunction| u16::from_le_bytes(read(function, 4));
        assert_eq!(command(function) & 0x6, 0x6);
        function.write_config(4, &0x0004_u16.to_le_bytes());
        with_context(0, |cx| {
            assert_eq!(function.read(cx, 0, 0, Width::Dword), Ok(0xFFFF_FFFF));
            assert!(function.is_bus_master());
            function.write_config(4, &0xFFFF_u16.to_le_bytes());
            assert_eq!(command(function), COMMAND_WRITABLE);
            function.write(cx, 0, 0x60, Width::Dword, 1).unwrap();
        });
        assert!(!function.line_asserted(), "it may not");
        assert_eq!(
            read::<1>(function, 6)[0] & STATUS_INTERRUPT,
            STATUS_INTERRUPT,
            "but says so"
        );
        function.write_config(4, &0x0002_u16.to_le_bytes());
        assert!(function.line_asserted());
        assert!(!function.is_bus_master());
    }

    #[test]
    fn the_message_capability_is_found_and_can_be_switched_off() {
        let mut bus = Bus::default();
        let function = function(&mut bus, InterruptMode::Message);
        assert_eq!(read::<1>(function, 6)[0] & STATUS_CAPABILITIES, STATUS_CAPABILITIES);
        let at = usize::from(read::<1>(function, CAPABILITIES_POINTER)[0]);
        let [id, next, control, _] = read(function, at);
        assert_eq!((id, next, control & msi::ENABLE), (msi::ID, 0, msi::ENABLE));
        assert_eq!(u32::from_le_bytes(read(function, at + 4)), msi::APIC);
        function.write_config(at + 2, &[0]);
        with_context(0, |cx| function.write(cx, 0, 0x60, Width::Dword, 1).unwrap());
        assert!(function.line_asserted(), "by its pin instead");
    }

    #[test]
    fn a_device_that_is_gone_reads_as_ones() {
        let mut bus = Bus::default();
        let function = function(&mut bus, InterruptMode::Line);
        function.unplug();
        assert_eq!(read(function, 0), [0xFF; 4]);
        assert_eq!(function.write_config(4, &[0; 2]), 2);
    }
}
