//! What the PnP manager assigns to a device, and how it tells its driver.

use std::fmt;

use ntlayout::{
    cm_full_resource_descriptor as full, cm_partial_resource_descriptor as partial,
    cm_partial_resource_list as partial_list, cm_resource_list as list,
};

/// `PCIBus` of `INTERFACE_TYPE`.
const INTERFACE_TYPE_PCI: u32 = 5;
/// `CmResourceTypePort`.
const TYPE_PORT: u8 = 1;
/// `CM_RESOURCE_PORT_IO | CM_RESOURCE_PORT_POSITIVE_DECODE`.
const PORT_IO: u16 = 0x21;
/// `CmResourceTypeInterrupt`.
const TYPE_INTERRUPT: u8 = 2;
/// `CmResourceTypeMemory`.
const TYPE_MEMORY: u8 = 3;
/// `CmResourceShareDeviceExclusive`.
const SHARE_DEVICE_EXCLUSIVE: u8 = 1;
/// `CmResourceShareShared`.
const SHARE_SHARED: u8 = 3;
/// `CM_RESOURCE_INTERRUPT_LEVEL_SENSITIVE`.
const INTERRUPT_LEVEL_SENSITIVE: u16 = 0;
/// `CM_RESOURCE_INTERRUPT_LATCHED`.
const INTERRUPT_LATCHED: u16 = 1;
/// `CM_RESOURCE_INTERRUPT_MESSAGE`.
const INTERRUPT_MESSAGE: u16 = 2;
/// `CM_RESOURCE_INTERRUPT_MESSAGE_TOKEN`: the vector of messages as the bus sees them.
const INTERRUPT_MESSAGE_TOKEN: u32 = 0xFFFF_FFFE;
/// `CM_RESOURCE_MEMORY_READ_WRITE`.
const MEMORY_READ_WRITE: u16 = 0;
/// `CmResourceTypeMemoryLarge`: 4 GiB and more.
const TYPE_MEMORY_LARGE: u8 = 7;
/// `CM_RESOURCE_MEMORY_LARGE_40`, `_48` and `_64`, each with how many low bits of a length its descriptor leaves out.
const MEMORY_LARGE: [(u16, u32); 3] = [(0x0200, 8), (0x0400, 16), (0x0800, 32)];

/// A range of physical memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryRange {
    /// Its first address.
    pub start: u64,
    /// Its length, bytes.
    pub length: u64,
}

impl MemoryRange {
    /// Whether `address` lies in it.
    #[must_use]
    pub const fn contains(&self, address: u64) -> bool {
        address >= self.start && address - self.start < self.length
    }

    /// Whether an address lies in both.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.start) || other.contains(self.start)
    }
}

/// How a device interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum InterruptMode {
    /// By its pin, which drives a line that it may share with others.
    #[default]
    Line,
    /// By messages (MSI), when it can send them.
    Message,
}

/// The interrupt that a device was assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// A line, level-triggered and shared.
    Line {
        /// The interrupt controller's input.
        line: u32,
        /// The interrupt vector that the system gave it.
        vector: u32,
    },
    /// Messages, each with a vector of its own.
    Messages {
        /// The vector of message 0. Those of the others follow.
        vector: u32,
        /// How many messages there are.
        count: u16,
    },
}

impl Interrupt {
    /// The vector; that of message 0 when there are several.
    #[must_use]
    pub const fn vector(&self) -> u32 {
        match self {
            Self::Line { vector, .. } | Self::Messages { vector, .. } => *vector,
        }
    }

    /// The IRQL that its service routine runs at: on x64 the upper half of the vector.
    #[must_use]
    pub const fn irql(&self) -> u8 {
        (self.vector() >> 4 & 0xF) as u8
    }

    /// Whether `vector` is one of its own.
    #[must_use]
    pub const fn has_vector(&self, vector: u32) -> bool {
        match self {
            Self::Line { vector: own, .. } => vector == *own,
            Self::Messages { vector: first, count } => vector >= *first && vector - *first < *count as u32,
        }
    }
}

/// A range of I/O ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The number of the BAR that it is behind.
    pub bar: usize,
    /// The first port.
    pub start: u16,
    /// How many ports.
    pub length: u16,
}

impl PortRange {
    /// Whether `port` lies in it.
    #[must_use]
    pub const fn contains(&self, port: u16) -> bool {
        port >= self.start && port - self.start < self.length
    }

    /// Whether a port lies in both.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.start) || other.contains(self.start)
    }
}

/// A range behind a BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    Memory(MemoryRange),
    Ports(PortRange),
}

/// What a device was assigned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources {
    /// A range of memory for each memory BAR.
    pub memory: Vec<MemoryRange>,
    /// A range of ports for each port BAR.
    pub ports: Vec<PortRange>,
    /// The interrupt its pin is wired to.
    pub interrupt: Option<Interrupt>,
    /// The processors that take it, one bit each; none for all.
    pub affinity: Option<u64>,
}

impl Resources {
    /// The ranges in the order of their BARs, each with its BAR's number.
    pub(super) fn ranges(&self) -> Vec<(usize, Range)> {
        let mut memory = self.memory.iter();
        let count = self.memory.len() + self.ports.len();
        (0..count)
            .filter_map(|bar| {
                let ports = self.ports.iter().find(|range| range.bar == bar);
                let range = match ports {
                    Some(&ports) => Range::Ports(ports),
                    None => Range::Memory(*memory.next()?),
                };
                Some((bar, range))
            })
            .collect()
    }

    /// The `CM_RESOURCE_LIST` of `IRP_MN_START_DEVICE`'s `AllocatedResources`: as the bus sees them.
    #[must_use]
    pub fn raw_list(&self) -> Vec<u8> {
        self.list(|bytes, at, interrupt| match *interrupt {
            Interrupt::Line { line, .. } => {
                bytes.put(at + partial::INTERRUPT_LEVEL, line.to_le_bytes());
                bytes.put(at + partial::INTERRUPT_VECTOR, line.to_le_bytes());
                bytes.put(at + partial::INTERRUPT_AFFINITY, u64::MAX.to_le_bytes());
            }
            Interrupt::Messages { count, .. } => {
                bytes.put(at + partial::MESSAGE_COUNT, count.to_le_bytes());
                bytes.put(at + partial::MESSAGE_VECTOR, INTERRUPT_MESSAGE_TOKEN.to_le_bytes());
                bytes.put(at + partial::INTERRUPT_AFFINITY, u64::MAX.to_le_bytes());
            }
        })
    }

    /// The `CM_RESOURCE_LIST` of `AllocatedResourcesTranslated`: as the processors see them, `processors` being the mask of
    /// those that take interrupts where the resources leave it open.
    #[must_use]
    pub fn translated_list(&self, processors: u64) -> Vec<u8> {
        let processors = self.affinity.unwrap_or(processors);
        self.list(|bytes, at, interrupt| {
            bytes.put(at + partial::INTERRUPT_LEVEL, u32::from(interrupt.irql()).to_le_bytes());
            bytes.put(at + partial::INTERRUPT_VECTOR, interrupt.vector().to_le_bytes());
            bytes.put(at + partial::INTERRUPT_AFFINITY, processors.to_le_bytes());
        })
    }

    /// `describe` fills in the union of an interrupt's descriptor.
    fn list(&self, describe: impl Fn(&mut Bytes, usize, &Interrupt)) -> Vec<u8> {
        let count = self.memory.len() + self.ports.len() + usize::from(self.interrupt.is_some());
        let first = list::LIST + full::PARTIAL_RESOURCE_LIST + partial_list::PARTIAL_DESCRIPTORS;
        let mut bytes = Bytes(vec![0; first + count * partial::SIZE]);
        let resource_list = list::LIST + full::PARTIAL_RESOURCE_LIST;
        bytes.put(list::COUNT, 1u32.to_le_bytes());
        bytes.put(list::LIST + full::INTERFACE_TYPE, INTERFACE_TYPE_PCI.to_le_bytes());
        bytes.put(resource_list + partial_list::VERSION, 1u16.to_le_bytes());
        bytes.put(resource_list + partial_list::REVISION, 1u16.to_le_bytes());
        let count = u32::try_from(count).expect("at most six BARs and an interrupt");
        bytes.put(resource_list + partial_list::COUNT, count.to_le_bytes());

        let mut at = first;
        for (_, range) in self.ranges() {
            let (kind, flags, start, length) = match range {
                Range::Memory(range) => describe_memory(range),
                Range::Ports(range) => (TYPE_PORT, PORT_IO, range.start.into(), range.length.into()),
            };
            bytes.put(at + partial::TYPE, [kind]);
            bytes.put(at + partial::SHARE_DISPOSITION, [SHARE_DEVICE_EXCLUSIVE]);
            bytes.put(at + partial::FLAGS, flags.to_le_bytes());
            // Ports are described by the same fields.
            bytes.put(at + partial::MEMORY_START, start.to_le_bytes());
            bytes.put(at + partial::MEMORY_LENGTH, length.to_le_bytes());
            at += partial::SIZE;
        }
        if let Some(interrupt) = &self.interrupt {
            let (share, flags) = match interrupt {
                Interrupt::Line { .. } => (SHARE_SHARED, INTERRUPT_LEVEL_SENSITIVE),
                Interrupt::Messages { .. } => (SHARE_DEVICE_EXCLUSIVE, INTERRUPT_LATCHED | INTERRUPT_MESSAGE),
            };
            bytes.put(at + partial::TYPE, [TYPE_INTERRUPT]);
            bytes.put(at + partial::SHARE_DISPOSITION, [share]);
            bytes.put(at + partial::FLAGS, flags.to_le_bytes());
            describe(&mut bytes, at, interrupt);
        }
        bytes.0
    }
}

/// Type, flags, start and length of a range of memory, as its descriptor has them.
fn describe_memory(range: MemoryRange) -> (u8, u16, u64, u32) {
    if let Ok(length) = u32::try_from(range.length) {
        return (TYPE_MEMORY, MEMORY_READ_WRITE, range.start, length);
    }
    let fitting = MEMORY_LARGE.into_iter().find_map(|(flag, shift)| {
        let length = u32::try_from(range.length >> shift).ok()?;
        (u64::from(length) << shift == range.length).then_some((TYPE_MEMORY_LARGE, flag, range.start, length))
    });
    fitting.expect("the length of a BAR is a power of two")
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for range in &self.memory {
            write!(f, "memory {:#x}..{:#x}, ", range.start, range.start + range.length)?;
        }
        for range in &self.ports {
            let end = u32::from(range.start) + u32::from(range.length);
            write!(f, "ports {:#x}..{end:#x}, ", range.start)?;
        }
        match &self.interrupt {
            Some(interrupt @ Interrupt::Line { line, vector }) => {
                write!(
                    f,
                    "interrupt line {line}, vector {vector:#x}, DIRQL {}",
                    interrupt.irql()
                )
            }
            Some(interrupt @ Interrupt::Messages { vector, count: 1 }) => {
                write!(f, "interrupt message, vector {vector:#x}, DIRQL {}", interrupt.irql())
            }
            Some(interrupt @ Interrupt::Messages { vector, count }) => write!(
                f,
                "{count} interrupt messages, vectors from {vector:#x}, DIRQL {}",
                interrupt.irql()
            ),
            None => f.write_str("no interrupt"),
        }
    }
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn put<const N: usize>(&mut self, offset: usize, field: [u8; N]) {
        self.0[offset..offset + N].copy_from_slice(&field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources() -> Resources {
        Resources {
            memory: vec![MemoryRange {
                start: 0xFEA0_0000,
                length: 0x10_0000,
            }],
            ports: Vec::new(),
            interrupt: Some(Interrupt::Line { line: 16, vector: 0x91 }),
            affinity: None,
        }
    }

    #[test]
    fn ports_are_described_in_the_place_of_their_bar() {
        let mut resources = resources();
        let start = 0xC000;
        resources.ports.push(PortRange {
            bar: 0,
            start,
            length: 0x20,
        });
        let raw = resources.raw_list();
        assert_eq!(raw[16], 3, "descriptors");
        #[rustfmt::skip]
        let ports = [1, 1, 0x21, 0,  0, 0xC0, 0, 0, 0, 0, 0, 0,  0x20, 0, 0, 0,  0, 0, 0, 0];
        assert_eq!(raw[20..40], ports);
        assert_eq!(raw[40], 3, "the memory comes behind them");
    }

    /// A list of one bus with its 20-byte header, then 20 bytes per descriptor.
    #[test]
    fn the_translated_list_is_laid_out_as_the_wdk_has_it() {
        #[rustfmt::skip]
        let expected = [
            1, 0, 0, 0,  5, 0, 0, 0,  0, 0, 0, 0,  1, 0, 1, 0,  2, 0, 0, 0,
            3, 1, 0, 0,  0, 0, 0xA0, 0xFE, 0, 0, 0, 0,  0, 0, 0x10, 0,  0, 0, 0, 0,
            2, 3, 0, 0,  9, 0, 0, 0,  0x91, 0, 0, 0,  3, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(resources().translated_list(0b11), expected);
    }

    #[test]
    fn the_raw_list_names_the_line_instead_of_the_vector() {
        let raw = resources().raw_list();
        assert_eq!(raw[44..52], [16, 0, 0, 0, 16, 0, 0, 0]);
        assert_eq!(raw[..40], resources().translated_list(0b11)[..40]);
    }

    /// Latched, a message, for this device alone; the raw form counts the messages, the translated one is that of a line.
    #[test]
    fn messages_are_described_as_messages() {
        let resources = Resources {
            interrupt: Some(Interrupt::Messages { vector: 0x60, count: 2 }),
            ..resources()
        };
        #[rustfmt::skip]
        let raw = [
            2, 1, 3, 0,  0, 0, 2, 0,  0xFE, 0xFF, 0xFF, 0xFF,  0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
        ];
        assert_eq!(resources.raw_list()[40..], raw);
        #[rustfmt::skip]
        let translated = [
            2, 1, 3, 0,  6, 0, 0, 0,  0x60, 0, 0, 0,  3, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(resources.translated_list(0b11)[40..], translated);
    }
}
