//! The PCI bus: device models, where they lie in physical memory, and the interrupt lines they drive.

mod device;
pub mod iommu;
mod pci;
mod ports;
mod power;
mod profile;
mod ram;
mod resources;

use std::{any::Any, collections::BTreeSet};

#[cfg(test)]
pub(crate) use device::testing;
pub use device::{BarRequest, BusContext, BusMaster, Device, DeviceFault, Dice, PciIdentity, Width};
pub use iommu::Iommu;
pub use pci::{ConfigSpace, PciFunction};
pub use power::DevicePower;
pub use profile::{Absent, BusProfile};
pub use ram::{Ram, Translated};
pub use resources::{Interrupt, InterruptMode, MemoryRange, PortRange, Resources};

use ram::Master;
use resources::Range;

/// Where devices' registers lie in physical memory: the upper end of the hole that PC firmware leaves below 4 GiB, up to the I/O APIC's.
pub const WINDOW: MemoryRange = MemoryRange {
    start: 0xFE00_0000,
    length: 0xC0_0000,
};
/// The interrupt lines that the bus' INTx pins are wired to, by device number.
const LINES: [Line; 4] = [
    Line {
        number: 16,
        vector: 0x91,
    },
    Line {
        number: 17,
        vector: 0xA1,
    },
    Line {
        number: 18,
        vector: 0x81,
    },
    Line {
        number: 19,
        vector: 0xB1,
    },
];
/// The first of the vectors that are given to interrupt messages.
const FIRST_MESSAGE_VECTOR: u32 = 0x60;
/// The first vector behind them: those of the lines.
const MESSAGE_VECTORS_END: u32 = 0x80;
/// The first device number given out; those below belong to the chipset.
const FIRST_DEVICE: u8 = 3;

/// A line-based interrupt input, and the vector that the system gave it. A vector's upper half is its IRQL.
#[derive(Clone, Copy)]
struct Line {
    number: u32,
    vector: u32,
}

/// Names a device on the bus: its device number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u8);

/// What is left to choose when a device is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Placement {
    /// How it interrupts. A device without the MSI capability uses its pin all the same.
    pub interrupts: InterruptMode,
    /// The device whose interrupt line its pin is wired to; none for a line of its own, as long as there are any.
    pub shares_line_of: Option<Slot>,
}

/// The bus and everything plugged into it.
#[derive(Debug, Default)]
pub struct Bus {
    functions: Vec<PciFunction>,
    absent: Absent,
    /// The vectors of the interrupt messages that have reached the processors and that none has taken yet. As in a local APIC's
    /// interrupt request register, a message that comes while the same one is pending coalesces with it.
    pending: BTreeSet<u32>,
    iommu: Iommu,
    /// What was last written to the port that selects a register of configuration space.
    configuration_address: u32,
}

impl Bus {
    /// A bus that nothing is plugged into.
    #[must_use]
    pub fn new(absent: Absent) -> Self {
        Self {
            absent,
            ..Self::default()
        }
    }

    /// Plugs `device` in and assigns it memory and an interrupt line, as firmware does.
    ///
    /// # Panics
    /// When the address space below the I/O APIC is full.
    pub fn plug(&mut self, device: Box<dyn Device>) -> Slot {
        self.plug_with(device, Placement::default())
    }

    /// Plugs `device` in and assigns it memory and an interrupt.
    ///
    /// # Panics
    /// When the address space below the I/O APIC is full, or there are no vectors left.
    pub fn plug_with(&mut self, device: Box<dyn Device>, placement: Placement) -> Slot {
        let slot = Slot(FIRST_DEVICE + u8::try_from(self.functions.len()).expect("at most 29 devices"));
        let memory = self.room_for(&*device);
        let ports = self.ports_for(&*device);
        let interrupt = self.assign_interrupt(&*device, placement);
        let resources = Resources {
            memory,
            ports,
            interrupt,
            affinity: None,
        };
        self.functions
            .push(PciFunction::new(device, slot, resources, self.absent));
        slot
    }

    fn assign_interrupt(&self, device: &dyn Device, placement: Placement) -> Option<Interrupt> {
        let count = device.message_capability();
        if placement.interrupts == InterruptMode::Message && count != 0 {
            return Some(self.assign_messages(count));
        }
        let wired_like = placement.shares_line_of.map_or(self.functions.len(), index_of);
        let Line { number, vector } = LINES[wired_like % LINES.len()];
        device
            .has_interrupt_pin()
            .then_some(Interrupt::Line { line: number, vector })
    }

    /// A block of vectors, aligned to its size: the device replaces the lowest bits of its message by the message's number.
    fn assign_messages(&self, count: u16) -> Interrupt {
        let assigned = self
            .functions
            .iter()
            .filter_map(|function| match function.resources().interrupt {
                Some(Interrupt::Messages { vector, count }) => Some(vector + u32::from(count)),
                _ => None,
            });
        let free = assigned.max().unwrap_or(FIRST_MESSAGE_VECTOR);
        let vector = free.next_multiple_of(count.into());
        assert!(
            vector + u32::from(count) <= MESSAGE_VECTORS_END,
            "no interrupt vectors left"
        );
        Interrupt::Messages { vector, count }
    }

    /// Free ranges of memory for the BARs of `device`: the lowest that are nobody's.
    fn room_for(&self, device: &dyn Device) -> Vec<MemoryRange> {
        let mut taken: Vec<MemoryRange> = self.windows().collect();
        let bars = device.bars().iter().enumerate();
        let wanted: Vec<u64> = bars
            .filter(|&(bar, _)| !device.is_port_bar(bar))
            .map(|(_, request)| request.size)
            .collect();
        for &length in &wanted {
            // A memory BAR is aligned to its size, which is a power of two.
            let range = (0..WINDOW.length / length)
                .map(|index| WINDOW.start + index * length)
                .map(|start| MemoryRange { start, length })
                .find(|range| !taken.iter().any(|other| other.overlaps(range)))
                .expect("there is room in the PCI memory window");
            taken.push(range);
        }
        taken.split_off(taken.len() - wanted.len())
    }

    /// Resources for the device in `slot` that have nothing in common with those it has: another place in memory, another interrupt line.
    ///
    /// # Panics
    /// When no device was ever plugged in there, or the address space below the I/O APIC is full.
    #[must_use]
    pub fn other_resources(&self, slot: Slot) -> Resources {
        let function = self.function(slot);
        let current = function.resources();
        Resources {
            memory: self.room_for(function.device()),
            ports: self.ports_for(function.device()),
            interrupt: current.interrupt.map(|interrupt| match interrupt {
                Interrupt::Line { line: current, .. } => {
                    let index = LINES.iter().position(|line| line.number == current);
                    let Line { number, vector } = LINES[index.map_or(0, |index| index + 1) % LINES.len()];
                    Interrupt::Line { line: number, vector }
                }
                Interrupt::Messages { count, .. } => self.assign_messages(count),
            }),
            affinity: current.affinity,
        }
    }

    /// Gives the device in `slot` other resources: before it is started, or while it decodes nothing.
    ///
    /// # Panics
    /// When no device was ever plugged in there.
    pub fn assign(&mut self, slot: Slot, resources: Resources) {
        self.function_mut(slot).assign(resources);
    }

    /// The devices, by slot.
    #[must_use]
    pub fn functions(&self) -> &[PciFunction] {
        &self.functions
    }

    /// The device in `slot`.
    ///
    /// # Panics
    /// When no device was ever plugged in there.
    #[must_use]
    pub fn function(&self, slot: Slot) -> &PciFunction {
        &self.functions[index_of(slot)]
    }

    /// The device in `slot`.
    ///
    /// # Panics
    /// When no device was ever plugged in there.
    pub fn function_mut(&mut self, slot: Slot) -> &mut PciFunction {
        &mut self.functions[index_of(slot)]
    }

    /// The model in `slot`, when there is one, and it is a `D`: for scenarios that inject faults.
    pub fn device_mut<D: Device>(&mut self, slot: Slot) -> Option<&mut D> {
        let index = slot.0.checked_sub(FIRST_DEVICE)?;
        let device: &mut dyn Any = self.functions.get_mut(usize::from(index))?.device_mut();
        device.downcast_mut()
    }

    /// Every range of physical memory that belongs to a device.
    pub fn windows(&self) -> impl Iterator<Item = MemoryRange> + '_ {
        self.functions
            .iter()
            .flat_map(|function| function.resources().memory.iter().copied())
    }

    /// Whose registers lie at `address`: the slot, the BAR's number and the offset in it.
    #[must_use]
    pub fn decode(&self, address: u64) -> Option<(Slot, usize, u64)> {
        self.functions.iter().find_map(|function| {
            function
                .resources()
                .ranges()
                .into_iter()
                .find_map(|(bar, range)| match range {
                    Range::Memory(range) if range.contains(address) => {
                        Some((function.slot(), bar, address - range.start))
                    }
                    _ => None,
                })
        })
    }

    /// A processor reads `width` at the physical `address`. Where nothing decodes it, the read gives what is [`Absent`].
    ///
    /// # Errors
    /// When the device does not allow such an access.
    pub fn read(&mut self, cx: &mut BusContext<'_>, address: u64, width: Width) -> Result<u64, DeviceFault> {
        match self.decode(address) {
            Some((slot, bar, offset)) => self.function_mut(slot).read(cx, bar, offset, width),
            None => Ok(self.absent.value(width, cx.dice)),
        }
    }

    /// A processor writes the low `width` of `value` at the physical `address`. Nothing happens where nothing decodes it.
    ///
    /// # Errors
    /// When the device does not allow such an access.
    pub fn write(
        &mut self,
        cx: &mut BusContext<'_>,
        address: u64,
        width: Width,
        value: u64,
    ) -> Result<(), DeviceFault> {
        match self.decode(address) {
            Some((slot, bar, offset)) => self.function_mut(slot).write(cx, bar, offset, width, value),
            None => Ok(()),
        }
    }

    /// When the next device does something of its own accord, in nanoseconds of virtual time.
    #[must_use]
    pub fn next_event(&self) -> Option<u64> {
        self.functions.iter().filter_map(PciFunction::next_event).min()
    }

    /// Lets every device do what is due at `cx.now`. `ram` is the memory that they reach through the [`Iommu`].
    ///
    /// # Errors
    /// When a device finds that it was misused, or may not access the memory that it was told to.
    pub fn advance(&mut self, cx: &mut BusContext<'_>, ram: &mut dyn Ram) -> Result<(), DeviceFault> {
        let iommu = &self.iommu;
        self.functions.iter_mut().try_for_each(|function| {
            let mut master = Master {
                slot: function.slot(),
                mastering: function.mastering(),
                iommu,
                ram: &mut *ram,
            };
            function.advance(cx, &mut master)
        })
    }

    /// What devices can reach of memory.
    pub const fn iommu_mut(&mut self) -> &mut Iommu {
        &mut self.iommu
    }

    /// Whether any device asserts the interrupt line `number`.
    #[must_use]
    pub fn line_asserted(&self, number: u32) -> bool {
        self.asserting(number).next().is_some()
    }

    /// The devices that assert the interrupt line `number`.
    pub fn asserting(&self, number: u32) -> impl Iterator<Item = &PciFunction> {
        self.functions.iter().filter(move |function| {
            let wired = function.resources().interrupt;
            matches!(wired, Some(Interrupt::Line { line, .. }) if line == number) && function.line_asserted()
        })
    }

    /// The vectors of the interrupt messages that are pending.
    pub fn messages_pending(&mut self) -> &BTreeSet<u32> {
        for function in &mut self.functions {
            self.pending.extend(function.take_posted());
        }
        &self.pending
    }

    /// A processor takes the message with `vector`: from now on the same message is pending anew when it is sent.
    pub fn take_message(&mut self, vector: u32) {
        self.pending.remove(&vector);
    }

    /// The device that the interrupt vector `vector` was assigned to.
    #[must_use]
    pub fn owner_of_message(&self, vector: u32) -> Option<&PciFunction> {
        self.functions.iter().find(|function| {
            let assigned = function.resources().interrupt;
            assigned.is_some_and(|interrupt| {
                matches!(interrupt, Interrupt::Messages { .. }) && interrupt.has_vector(vector)
            })
        })
    }
}

fn index_of(slot: Slot) -> usize {
    usize::from(slot.0 - FIRST_DEVICE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{Edu, EduProfile};

    fn bus(devices: usize) -> Bus {
        let mut bus = Bus::default();
        for _ in 0..devices {
            bus.plug(Box::new(Edu::new(EduProfile::default())));
        }
        bus
    }

    fn lines(bus: &Bus) -> Vec<u32> {
        let line = |function: &PciFunction| match function.resources().interrupt {
            Some(Interrupt::Line { line, .. }) => line,
            other => panic!("no line: {other:?}"),
        };
        bus.functions().iter().map(line).collect()
    }

    fn message_edu(bus: &mut Bus) -> Slot {
        let placement = Placement {
            interrupts: InterruptMode::Message,
            ..Placement::default()
        };
        bus.plug_with(Box::new(Edu::new(EduProfile::default())), placement)
    }

    #[test]
    fn a_device_can_share_a_line() {
        let mut bus = bus(2);
        let placement = Placement {
            shares_line_of: Some(Slot(4)),
            ..Placement::default()
        };
        bus.plug_with(Box::new(Edu::new(EduProfile::default())), placement);
        assert_eq!(lines(&bus), [16, 17, 17]);
    }

    #[test]
    fn messages_have_vectors_of_their_own_and_coalesce_while_they_are_pending() {
        let mut bus = Bus::default();
        let (first, second) = (message_edu(&mut bus), message_edu(&mut bus));
        for slot in [first, second] {
            bus.function_mut(slot).set_enabled(true);
        }
        bus.device_mut::<Edu>(second).unwrap().raise(1);
        bus.device_mut::<Edu>(second).unwrap().raise(2);
        assert_eq!(bus.messages_pending(), &BTreeSet::from([0x61]));
        assert_eq!(bus.owner_of_message(0x61).map(PciFunction::slot), Some(second));
        bus.take_message(0x61);
        assert!(bus.messages_pending().is_empty(), "both were one");
        bus.device_mut::<Edu>(first).unwrap().raise(1);
        assert_eq!(bus.messages_pending(), &BTreeSet::from([0x60]));
        assert!((16..20).all(|line| !bus.line_asserted(line)));
    }

    #[test]
    fn a_message_that_was_sent_arrives_and_one_that_cannot_be_sent_is_lost() {
        let mut bus = Bus::default();
        let slot = message_edu(&mut bus);
        bus.device_mut::<Edu>(slot).unwrap().raise(1);
        assert!(bus.messages_pending().is_empty(), "it may not be bus master yet");
        bus.function_mut(slot).set_enabled(true);
        bus.device_mut::<Edu>(slot).unwrap().raise(1);
        bus.function_mut(slot).unplug();
        bus.device_mut::<Edu>(slot).unwrap().raise(1);
        assert_eq!(bus.messages_pending().len(), 1);
    }

    #[test]
    fn devices_lie_side_by_side_and_on_lines_of_their_own() {
        let bus = bus(2);
        let windows: Vec<_> = bus.windows().collect();
        assert_eq!(windows[0].start + windows[0].length, windows[1].start);
        assert_eq!(lines(&bus), [16, 17]);
        assert_eq!(bus.decode(windows[1].start + 8), Some((Slot(4), 0, 8)));
        assert_eq!(bus.decode(windows[1].start + windows[1].length), None);
    }

    #[test]
    fn undecoded_memory_reads_as_ones() {
        let mut bus = bus(1);
        testing::with_context(0, |cx| {
            let nobody = WINDOW.start + WINDOW.length - 4;
            assert_eq!(bus.read(cx, nobody, Width::Dword), Ok(0xFFFF_FFFF));
            assert_eq!(bus.write(cx, nobody, Width::Dword, 0), Ok(()));
        });
    }

    #[test]
    fn other_resources_are_nobodys() {
        let mut bus = bus(2);
        let slot = bus.functions()[0].slot();
        bus.function_mut(slot).set_enabled(true);
        let before = bus.function(slot).resources().clone();
        let other = bus.other_resources(slot);
        assert!(bus.windows().all(|taken| !taken.overlaps(&other.memory[0])));
        assert_ne!(other.interrupt, before.interrupt);

        bus.assign(slot, other.clone());
        testing::with_context(0, |cx| {
            let identification = bus.read(cx, other.memory[0].start, Width::Dword);
            assert_eq!(identification, Ok(0x0100_00ED));
            assert_eq!(bus.read(cx, before.memory[0].start, Width::Dword), Ok(0xFFFF_FFFF));
        });
        let address = u32::try_from(other.memory[0].start).unwrap();
        assert_eq!(bus.function(slot).config().bytes()[0x10..0x14], address.to_le_bytes());
        let free_again = bus.other_resources(slot);
        assert_eq!(free_again.memory, before.memory, "what it had before is free");
    }
}
