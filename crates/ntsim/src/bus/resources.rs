//! What the PnP manager assigns to a device, and how it tells its driver.

use std::fmt;

use ntlayout::{
    cm_full_resource_descriptor as full, cm_partial_resource_descriptor as partial,
    cm_partial_resource_list as partial_list, cm_resource_list as list,
};

/// `PCIBus` of `INTERFACE_TYPE`.
const INTERFACE_TYPE_PCI: u32 = 5;
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
/// `CM_RESOURCE_MEMORY_READ_WRITE`.
const MEMORY_READ_WRITE: u16 = 0;

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
}

/// A line-based interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupt {
    /// The interrupt controller's input.
    pub line: u32,
    /// The interrupt vector that the system gave it.
    pub vector: u32,
}

impl Interrupt {
    /// The IRQL that its service routine runs at: on x64 the upper half of the vector.
    #[must_use]
    pub const fn irql(&self) -> u8 {
        (self.vector >> 4 & 0xF) as u8
    }
}

/// What a device was assigned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources {
    /// A range of memory for each BAR.
    pub memory: Vec<MemoryRange>,
    /// The interrupt its pin is wired to.
    pub interrupt: Option<Interrupt>,
}

impl Resources {
    /// The `CM_RESOURCE_LIST` of `IRP_MN_START_DEVICE`'s `AllocatedResources`: as the bus sees them.
    #[must_use]
    pub fn raw_list(&self) -> Vec<u8> {
        self.list(|interrupt| (interrupt.line, interrupt.line), u64::MAX)
    }

    /// The `CM_RESOURCE_LIST` of `AllocatedResourcesTranslated`: as the processors see them, `processors` being the mask of
    /// those that take interrupts.
    #[must_use]
    pub fn translated_list(&self, processors: u64) -> Vec<u8> {
        let translated = |interrupt: &Interrupt| (u32::from(interrupt.irql()), interrupt.vector);
        self.list(translated, processors)
    }

    /// `level_and_vector` says how an interrupt is described.
    fn list(&self, level_and_vector: impl Fn(&Interrupt) -> (u32, u32), affinity: u64) -> Vec<u8> {
        let count = self.memory.len() + usize::from(self.interrupt.is_some());
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
        for range in &self.memory {
            bytes.put(at + partial::TYPE, [TYPE_MEMORY]);
            bytes.put(at + partial::SHARE_DISPOSITION, [SHARE_DEVICE_EXCLUSIVE]);
            bytes.put(at + partial::FLAGS, MEMORY_READ_WRITE.to_le_bytes());
            bytes.put(at + partial::MEMORY_START, range.start.to_le_bytes());
            let length = u32::try_from(range.length).expect("larger ranges are described otherwise");
            bytes.put(at + partial::MEMORY_LENGTH, length.to_le_bytes());
            at += partial::SIZE;
        }
        if let Some(interrupt) = &self.interrupt {
            let (level, vector) = level_and_vector(interrupt);
            bytes.put(at + partial::TYPE, [TYPE_INTERRUPT]);
            bytes.put(at + partial::SHARE_DISPOSITION, [SHARE_SHARED]);
            bytes.put(at + partial::FLAGS, INTERRUPT_LEVEL_SENSITIVE.to_le_bytes());
            bytes.put(at + partial::INTERRUPT_LEVEL, level.to_le_bytes());
            bytes.put(at + partial::INTERRUPT_VECTOR, vector.to_le_bytes());
            bytes.put(at + partial::INTERRUPT_AFFINITY, affinity.to_le_bytes());
        }
        bytes.0
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for range in &self.memory {
            write!(f, "memory {:#x}..{:#x}, ", range.start, range.start + range.length)?;
        }
        match &self.interrupt {
            Some(interrupt) => write!(
                f,
                "interrupt line {}, vector {:#x}, DIRQL {}",
                interrupt.line,
                interrupt.vector,
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
            interrupt: Some(Interrupt { line: 16, vector: 0x91 }),
        }
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
}
