//! A device's place on the PCI bus: its configuration space, its assigned resources, and whether it is there at all.

mod access;

use self::access::COMMAND_INTERRUPT_DISABLE;
use super::Slot;
use super::device::{BusContext, BusMaster, Device, DeviceFault, PciIdentity, Width};
use super::power::DevicePower;
use super::profile::Absent;
use super::ram::Mastering;
use super::resources::{Interrupt, Range, Resources};

/// Bytes of a conventional PCI function's configuration space.
const CONFIG_SIZE: usize = 256;
/// `PCI_ENABLE_IO_SPACE` of the command register.
const COMMAND_IO_SPACE: u16 = 0x0001;
/// The lowest bit of a BAR says that it is one of ports.
const BASE_ADDRESS_IO: u32 = 1;
/// `PCI_ENABLE_MEMORY_SPACE` of the command register.
const COMMAND_MEMORY_SPACE: u16 = 0x0002;
/// `PCI_ENABLE_BUS_MASTER` of the command register.
const COMMAND_BUS_MASTER: u16 = 0x0004;

/// The first 64 bytes of configuration space, by offset (PCI Local Bus Specification 3.0, section 6.1).
mod offset {
    pub const VENDOR_ID: usize = 0x00;
    pub const DEVICE_ID: usize = 0x02;
    pub const COMMAND: usize = 0x04;
    pub const REVISION_AND_CLASS: usize = 0x08;
    pub const BASE_ADDRESS: usize = 0x10;
    pub const SUBSYSTEM_VENDOR_ID: usize = 0x2C;
    pub const SUBSYSTEM_ID: usize = 0x2E;
    pub const INTERRUPT_LINE: usize = 0x3C;
    pub const INTERRUPT_PIN: usize = 0x3D;
}

/// A function's configuration space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSpace([u8; CONFIG_SIZE]);

impl ConfigSpace {
    fn new(identity: PciIdentity, resources: &Resources) -> Self {
        let mut config = Self([0; CONFIG_SIZE]);
        config.put(offset::VENDOR_ID, &identity.vendor.to_le_bytes());
        config.put(offset::DEVICE_ID, &identity.device.to_le_bytes());
        let class = identity.class << 8 | u32::from(identity.revision);
        config.put(offset::REVISION_AND_CLASS, &class.to_le_bytes());
        config.put(offset::SUBSYSTEM_VENDOR_ID, &identity.subsystem_vendor.to_le_bytes());
        config.put(offset::SUBSYSTEM_ID, &identity.subsystem.to_le_bytes());
        if matches!(resources.interrupt, Some(Interrupt::Line { .. })) {
            config.put(offset::INTERRUPT_PIN, &[1]);
        }
        config.assign(resources);
        config
    }

    /// That of `device`, when it was assigned `resources`.
    fn of(device: &dyn Device, resources: &Resources) -> Self {
        let mut config = Self::new(device.identity(), resources).with_messages(device.message_capability());
        config.assign_messages(resources);
        config
    }

    /// Writes what the device was assigned where it looks for it.
    fn assign(&mut self, resources: &Resources) {
        for (bar, range) in resources.ranges() {
            let address = match range {
                Range::Memory(range) => u32::try_from(range.start).expect("the PCI window lies below 4 GiB"),
                Range::Ports(range) => u32::from(range.start) | BASE_ADDRESS_IO,
            };
            self.put(offset::BASE_ADDRESS + 4 * bar, &address.to_le_bytes());
        }
        if let Some(Interrupt::Line { line, .. }) = resources.interrupt {
            let line = u8::try_from(line).expect("a controller input");
            self.put(offset::INTERRUPT_LINE, &[line]);
        }
        self.assign_messages(resources);
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; CONFIG_SIZE] {
        &self.0
    }

    fn command(&self) -> u16 {
        u16::from_le_bytes([self.0[offset::COMMAND], self.0[offset::COMMAND + 1]])
    }

    fn put(&mut self, offset: usize, field: &[u8]) {
        self.0[offset..offset + field.len()].copy_from_slice(field);
    }
}

/// A device on the bus.
#[derive(Debug)]
pub struct PciFunction {
    device: Box<dyn Device>,
    slot: Slot,
    resources: Resources,
    config: ConfigSpace,
    present: bool,
    /// What its memory reads as when it does not answer.
    absent: Absent,
    power: DevicePower,
    /// The bus driver has cut it off: nothing it does matters any more.
    given_up: bool,
    reads: u64,
    writes: u64,
    accesses_asleep: u64,
    /// The vectors of the interrupt messages that have left it and not yet reached the processors.
    posted: Vec<u32>,
}

impl PciFunction {
    pub(super) fn new(mut device: Box<dyn Device>, slot: Slot, resources: Resources, absent: Absent) -> Self {
        device.set_message_signalled(matches!(resources.interrupt, Some(Interrupt::Messages { .. })));
        Self {
            config: ConfigSpace::of(&*device, &resources),
            device,
            slot,
            resources,
            present: true,
            absent,
            power: DevicePower::D0,
            given_up: false,
            reads: 0,
            writes: 0,
            accesses_asleep: 0,
            posted: Vec::new(),
        }
    }

    /// Where it is plugged in.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.device.name()
    }

    /// What it was assigned.
    #[must_use]
    pub const fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Its configuration space.
    #[must_use]
    pub const fn config(&self) -> &ConfigSpace {
        &self.config
    }

    /// The model.
    #[must_use]
    pub fn device(&self) -> &dyn Device {
        &*self.device
    }

    /// The model.
    pub fn device_mut(&mut self) -> &mut dyn Device {
        &mut *self.device
    }

    /// Its hardware ids, the most specific first, in the forms "Identifiers for PCI Devices" lists.
    #[must_use]
    pub fn hardware_ids(&self) -> Vec<String> {
        let id = self.device.identity();
        let device = format!("PCI\\VEN_{:04X}&DEV_{:04X}", id.vendor, id.device);
        let subsystem = format!("SUBSYS_{:04X}{:04X}", id.subsystem, id.subsystem_vendor);
        let (class, subclass) = (format!("{:06X}", id.class), format!("{:04X}", id.class >> 8));
        let revision = format!("REV_{:02X}", id.revision);
        vec![
            format!("{device}&{subsystem}&{revision}"),
            format!("{device}&{subsystem}"),
            format!("{device}&CC_{class}"),
            format!("{device}&CC_{subclass}"),
        ]
    }

    /// Its instance path: the first hardware id and where it is plugged in.
    #[must_use]
    pub fn instance_path(&self) -> String {
        // A PCI instance id ends with device and function number: the device number in the upper five bits.
        format!("{}\\3&11583659&0&{:02X}", self.hardware_ids()[0], self.slot.0 << 3)
    }

    /// Whether it is still plugged in.
    #[must_use]
    pub const fn present(&self) -> bool {
        self.present
    }

    /// Pulls it out: from now on it does not answer, loses writes, and neither interrupts nor reaches memory.
    pub fn unplug(&mut self) {
        self.post();
        self.present = false;
    }

    /// Makes it decode its memory ranges and reach memory, or not: what the bus driver does when it starts or stops it.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.post();
        let io = if self.resources.ports.is_empty() {
            0
        } else {
            COMMAND_IO_SPACE
        };
        let bits = io | COMMAND_MEMORY_SPACE | COMMAND_BUS_MASTER;
        let command = if enabled {
            // It may have forgotten what it was assigned.
            self.config.assign(&self.resources);
            self.choose_interrupt();
            let pin = if self.given_up { COMMAND_INTERRUPT_DISABLE } else { 0 };
            self.config.command() & !pin | bits
        } else {
            self.config.command() & !bits
        };
        self.config.put(offset::COMMAND, &command.to_le_bytes());
        self.given_up &= !enabled;
    }

    /// Cuts it off while it may be at work, as the bus driver does when it is removed: until it is [enabled](Self::set_enabled) again nothing
    /// that it does reaches memory or a processor.
    pub fn give_up(&mut self) {
        self.set_enabled(false);
        let command = self.config.command() | COMMAND_INTERRUPT_DISABLE;
        self.config.put(offset::COMMAND, &command.to_le_bytes());
        self.given_up = true;
    }

    /// What becomes of its accesses to memory.
    pub(super) fn mastering(&self) -> Mastering {
        if self.given_up {
            Mastering::Blocked
        } else if self.config.command() & COMMAND_BUS_MASTER == 0 {
            Mastering::Off
        } else {
            Mastering::On
        }
    }

    /// Gives it other resources, as firmware or the bus driver does while it is stopped.
    pub(super) fn assign(&mut self, resources: Resources) {
        self.config.assign(&resources);
        self.resources = resources;
    }

    /// The power it has.
    #[must_use]
    pub const fn power(&self) -> DevicePower {
        self.power
    }

    /// Whether it has the power to do anything.
    fn power_is_on(&self) -> bool {
        self.power == DevicePower::D0
    }

    /// Whether it is there and has the power to do anything.
    fn works(&self) -> bool {
        self.present && self.power == DevicePower::D0
    }

    /// Puts it into a power state. Whatever leaves D0 forgets its registers and what it was doing, and its configuration space is that after
    /// a reset: [`restore`](Self::restore) gives it back what it was assigned.
    pub fn set_power(&mut self, power: DevicePower) {
        if power == self.power {
            return;
        }
        self.post();
        self.device.reset();
        if self.power == DevicePower::D0 {
            self.config = ConfigSpace::of(&*self.device, &Resources::default());
        }
        self.power = power;
    }

    /// Writes back a configuration space that was [saved](Self::config) before it lost its power.
    pub fn restore(&mut self, saved: ConfigSpace) {
        self.config = saved;
        self.choose_interrupt();
    }

    /// Has it interrupt as it was assigned: by its pin or by messages.
    fn choose_interrupt(&mut self) {
        let messages = matches!(self.resources.interrupt, Some(Interrupt::Messages { .. }));
        self.device.set_message_signalled(messages);
    }

    fn count_access(&mut self) {
        if self.present && self.power != DevicePower::D0 {
            self.accesses_asleep += 1;
        }
    }

    fn is_port_bar(&self, bar: usize) -> bool {
        self.resources.ports.iter().any(|range| range.bar == bar)
    }

    /// Whether a processor reaches its registers.
    fn decodes(&self, bar: usize) -> bool {
        let space = if self.is_port_bar(bar) {
            COMMAND_IO_SPACE
        } else {
            COMMAND_MEMORY_SPACE
        };
        self.works() && self.config.command() & space != 0 && self.lies_where_assigned()
    }

    /// Reads a register.
    ///
    /// # Errors
    /// When the device does not allow such an access.
    pub fn read(&mut self, cx: &mut BusContext<'_>, bar: usize, offset: u64, width: Width) -> Result<u64, DeviceFault> {
        self.reads += 1;
        self.count_access();
        if !self.decodes(bar) {
            // Ports give ones everywhere.
            let absent = if self.is_port_bar(bar) {
                Absent::Ones
            } else {
                self.absent
            };
            return Ok(absent.value(width, cx.dice));
        }
        Ok(self.device.read(cx, bar, offset, width)? & width.ones())
    }

    /// Writes a register.
    ///
    /// # Errors
    /// When the device does not allow such an access.
    pub fn write(
        &mut self,
        cx: &mut BusContext<'_>,
        bar: usize,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<(), DeviceFault> {
        self.writes += 1;
        self.count_access();
        if !self.decodes(bar) {
            return Ok(());
        }
        self.device.write(cx, bar, offset, width, value & width.ones())
    }

    /// How often its registers were read and written, whether it answered or not.
    #[must_use]
    pub const fn accesses(&self) -> (u64, u64) {
        (self.reads, self.writes)
    }

    /// How often its registers were read or written while it was there, but not in D0: its driver's mistake each time.
    #[must_use]
    pub const fn accesses_asleep(&self) -> u64 {
        self.accesses_asleep
    }

    pub(super) fn next_event(&self) -> Option<u64> {
        if self.works() { self.device.next_event() } else { None }
    }

    pub(super) fn advance(&mut self, cx: &mut BusContext<'_>, memory: &mut dyn BusMaster) -> Result<(), DeviceFault> {
        if self.works() {
            self.device.advance(cx, memory)
        } else {
            Ok(())
        }
    }

    /// Sends the messages that the device wants to send. They are writes to memory: a device that may not be bus master loses them.
    fn post(&mut self) {
        let messages = self.device.take_messages();
        let sends = self.works() && self.config.command() & COMMAND_BUS_MASTER != 0;
        if let Some(Interrupt::Messages { vector, count }) = self.resources.interrupt
            && sends
        {
            let assigned = messages.into_iter().filter(|&message| message < count.into());
            self.posted.extend(assigned.map(|message| vector + message));
        }
    }

    /// The vectors of the interrupt messages that it has sent since the last call.
    pub(super) fn take_posted(&mut self) -> impl Iterator<Item = u32> + '_ {
        self.post();
        self.posted.drain(..)
    }

    /// Whether it asserts its interrupt line.
    #[must_use]
    pub fn line_asserted(&self) -> bool {
        self.works() && self.pin_enabled() && self.device.line_asserted()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Bus,
        device::{Dice, testing::with_context},
    };
    use super::*;
    use crate::devices::{Edu, EduProfile};

    const RAISE: u64 = 0x60;

    fn function(bus: &mut Bus) -> &mut PciFunction {
        let slot = bus.plug(Box::new(Edu::new(EduProfile::default())));
        bus.function_mut(slot)
    }

    #[test]
    fn a_stopped_device_does_not_decode() {
        let mut bus = Bus::default();
        let function = function(&mut bus);
        with_context(0, |cx| {
            assert_eq!(function.read(cx, 0, 0, Width::Dword), Ok(0xFFFF_FFFF));
            function.set_enabled(true);
            assert_eq!(function.read(cx, 0, 0, Width::Dword), Ok(0x0100_00ED));
            function.set_enabled(false);
            assert_eq!(function.read(cx, 0, 0, Width::Dword), Ok(0xFFFF_FFFF));
        });
    }

    #[test]
    fn an_unplugged_device_reads_as_ones_and_drops_its_line() {
        let mut bus = Bus::default();
        let function = function(&mut bus);
        function.set_enabled(true);
        with_context(0, |cx| {
            function.write(cx, 0, RAISE, Width::Dword, 1).unwrap();
            function.write(cx, 0, 0x08, Width::Dword, 5).unwrap();
            assert!(function.line_asserted());
            assert!(function.next_event().is_some());
            function.unplug();
            assert!(!function.line_asserted());
            assert_eq!(function.next_event(), None);
            assert_eq!(function.read(cx, 0, 0x24, Width::Dword), Ok(0xFFFF_FFFF));
            // Even an access that the device forbids meets nobody.
            assert_eq!(function.read(cx, 0, 0x24, Width::Byte), Ok(0xFF));
        });
    }

    #[test]
    fn a_device_that_was_cut_off_interrupts_nobody_until_it_is_enabled() {
        let mut bus = Bus::default();
        let function = function(&mut bus);
        function.set_enabled(true);
        with_context(0, |cx| function.write(cx, 0, RAISE, Width::Dword, 1).unwrap());
        function.set_enabled(false);
        assert!(function.line_asserted(), "a stop alone leaves its pin as it is");
        function.give_up();
        assert!(!function.line_asserted());
        function.set_enabled(true);
        assert!(function.line_asserted(), "nobody has acknowledged it");
    }

    #[test]
    fn on_some_machines_an_unplugged_device_reads_as_zeroes() {
        let mut bus = Bus::new(Absent::Zeroes);
        let function = function(&mut bus);
        with_context(0, |cx| {
            assert_eq!(function.read(cx, 0, 0, Width::Dword), Ok(0), "it does not decode yet");
            function.set_enabled(true);
            assert_eq!(function.read(cx, 0, 0, Width::Dword), Ok(0x0100_00ED));
            function.unplug();
            assert_eq!(function.read(cx, 0, 0, Width::Dword), Ok(0));
        });
        let mut vendor = [0; 2];
        function.read_config(0, &mut vendor);
        assert_eq!(vendor, [0xFF; 2], "configuration space gives ones everywhere");
    }

    #[test]
    fn on_some_an_unplugged_device_reads_as_something_else_each_time() {
        struct High(u64);
        impl Dice for High {
            fn below(&mut self, bound: u64) -> u64 {
                self.0 += 1;
                bound - self.0
            }
        }
        let mut bus = Bus::new(Absent::Garbage);
        let function = function(&mut bus);
        function.set_enabled(true);
        let cx = &mut BusContext {
            now: 0,
            dice: &mut High(0),
        };
        assert_eq!(function.read(cx, 0, 0, Width::Dword), Ok(0x0100_00ED));
        function.unplug();
        let values = [0; 3].map(|offset| function.read(cx, 0, offset, Width::Dword).unwrap());
        assert_eq!(values, [0xFFFF_FFFE, 0xFFFF_FFFD, 0xFFFF_FFFC]);
    }

    #[test]
    fn a_device_without_power_forgets_everything_but_who_it_is() {
        let mut bus = Bus::default();
        let function = function(&mut bus);
        function.set_enabled(true);
        let saved = function.config().clone();
        with_context(0, |cx| {
            function.write(cx, 0, 0x04, Width::Dword, 5).unwrap();
            function.write(cx, 0, RAISE, Width::Dword, 1).unwrap();
            function.set_power(DevicePower::D3);
            assert!(!function.line_asserted());
            assert_eq!(function.config().bytes()[..4], [0x34, 0x12, 0xE8, 0x11]);
            assert_eq!(function.config().bytes()[0x10..0x14], [0; 4], "its BAR");
            assert_eq!(function.accesses_asleep(), 0);
            assert_eq!(function.read(cx, 0, 0x04, Width::Dword), Ok(0xFFFF_FFFF));
            assert_eq!(function.write(cx, 0, 0x04, Width::Dword, 5), Ok(()));
            assert_eq!(function.accesses_asleep(), 2);

            function.set_power(DevicePower::D0);
            assert_eq!(
                function.read(cx, 0, 0x04, Width::Dword),
                Ok(0xFFFF_FFFF),
                "not configured yet"
            );
            function.restore(saved);
            assert_eq!(function.read(cx, 0, 0x04, Width::Dword), Ok(0), "it was reset");
            assert!(!function.line_asserted());
            assert_eq!(function.accesses_asleep(), 2);
        });
    }

    #[test]
    fn the_identity_is_where_drivers_and_setup_look_for_it() {
        let mut bus = Bus::default();
        let function = function(&mut bus);
        assert_eq!(function.config().bytes()[..4], [0x34, 0x12, 0xE8, 0x11]);
        assert_eq!(function.config().bytes()[8..12], [0x10, 0x00, 0xFF, 0x00]);
        assert_eq!(
            function.hardware_ids()[0],
            "PCI\\VEN_1234&DEV_11E8&SUBSYS_11001AF4&REV_10"
        );
        assert_eq!(function.hardware_ids()[3], "PCI\\VEN_1234&DEV_11E8&CC_00FF");
    }
}
