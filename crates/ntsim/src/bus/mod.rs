//! The PCI bus: device models, where they lie in physical memory, and the interrupt lines they drive.

mod device;
mod pci;
mod resources;

use std::any::Any;

#[cfg(test)]
pub(crate) use device::testing;
pub use device::{BarRequest, BusContext, BusMaster, Device, DeviceFault, Dice, NoBusMaster, PciIdentity, Width};
pub use pci::{ConfigSpace, PciFunction};
pub use resources::{Interrupt, MemoryRange, Resources};

/// Where the first device's registers lie in physical memory: the hole that PC firmware leaves below 4 GiB.
const WINDOW_BASE: u64 = 0xFEA0_0000;
/// The physical address behind the last device's registers: the I/O APIC's.
const WINDOW_END: u64 = 0xFEC0_0000;
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
/// The first device number given out; those below belong to the chipset.
const FIRST_DEVICE: u8 = 3;

/// A line-based interrupt input, and the vector that the system gave it. A vector's upper half is its IRQL.
struct Line {
    number: u32,
    vector: u32,
}

/// Names a device on the bus: its device number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u8);

/// The bus and everything plugged into it.
#[derive(Debug, Default)]
pub struct Bus {
    functions: Vec<PciFunction>,
}

impl Bus {
    /// Plugs `device` in and assigns it memory and an interrupt line, as firmware does.
    ///
    /// # Panics
    /// When the address space below the I/O APIC is full.
    pub fn plug(&mut self, device: Box<dyn Device>) -> Slot {
        let slot = Slot(FIRST_DEVICE + u8::try_from(self.functions.len()).expect("at most 29 devices"));
        let line = &LINES[self.functions.len() % LINES.len()];
        let mut next = self
            .functions
            .iter()
            .flat_map(|function| &function.resources().memory)
            .map(|range| range.start + range.length)
            .max()
            .unwrap_or(WINDOW_BASE);
        let memory = device
            .bars()
            .iter()
            .map(|bar| {
                // A memory BAR is aligned to its size, which is a power of two.
                let start = next.next_multiple_of(bar.size);
                next = start + bar.size;
                assert!(next <= WINDOW_END, "no room for {slot:?} in the PCI memory window");
                MemoryRange {
                    start,
                    length: bar.size,
                }
            })
            .collect();
        let interrupt = device.has_interrupt_pin().then_some(Interrupt {
            line: line.number,
            vector: line.vector,
        });
        let resources = Resources { memory, interrupt };
        self.functions.push(PciFunction::new(device, slot, resources));
        slot
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
        &self.functions[usize::from(slot.0 - FIRST_DEVICE)]
    }

    /// The device in `slot`.
    ///
    /// # Panics
    /// When no device was ever plugged in there.
    pub fn function_mut(&mut self, slot: Slot) -> &mut PciFunction {
        &mut self.functions[usize::from(slot.0 - FIRST_DEVICE)]
    }

    /// The model in `slot`, when it is a `D`: for scenarios that inject faults.
    pub fn device_mut<D: Device>(&mut self, slot: Slot) -> Option<&mut D> {
        let device: &mut dyn Any = self.function_mut(slot).device_mut();
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
            let ranges = &function.resources().memory;
            let bar = ranges.iter().position(|range| range.contains(address))?;
            Some((function.slot(), bar, address - ranges[bar].start))
        })
    }

    /// A processor reads `width` at the physical `address`. Memory that nothing decodes reads as ones.
    ///
    /// # Errors
    /// When the device does not allow such an access.
    pub fn read(&mut self, cx: &mut BusContext<'_>, address: u64, width: Width) -> Result<u64, DeviceFault> {
        match self.decode(address) {
            Some((slot, bar, offset)) => self.function_mut(slot).read(cx, bar, offset, width),
            None => Ok(width.ones()),
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

    /// Lets every device do what is due at `cx.now`.
    ///
    /// # Errors
    /// When a device finds that it was misused.
    pub fn advance(&mut self, cx: &mut BusContext<'_>) -> Result<(), DeviceFault> {
        self.functions.iter_mut().try_for_each(|function| function.advance(cx))
    }

    /// Whether any device asserts the interrupt line `number`.
    #[must_use]
    pub fn line_asserted(&self, number: u32) -> bool {
        self.functions.iter().any(|function| {
            function
                .resources()
                .interrupt
                .is_some_and(|interrupt| interrupt.line == number)
                && function.line_asserted()
        })
    }
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

    #[test]
    fn devices_lie_side_by_side_and_on_lines_of_their_own() {
        let bus = bus(2);
        let windows: Vec<_> = bus.windows().collect();
        assert_eq!(windows[0].start + windows[0].length, windows[1].start);
        let lines = bus.functions().iter().map(|f| f.resources().interrupt.unwrap().line);
        assert_eq!(lines.collect::<Vec<_>>(), [16, 17]);
        assert_eq!(bus.decode(windows[1].start + 8), Some((Slot(4), 0, 8)));
        assert_eq!(bus.decode(windows[1].start + windows[1].length), None);
    }

    #[test]
    fn undecoded_memory_reads_as_ones() {
        let mut bus = bus(1);
        testing::with_context(0, |cx| {
            assert_eq!(bus.read(cx, 0xFE00_0000, Width::Dword), Ok(0xFFFF_FFFF));
            assert_eq!(bus.write(cx, 0xFE00_0000, Width::Dword, 0), Ok(()));
        });
    }
}
