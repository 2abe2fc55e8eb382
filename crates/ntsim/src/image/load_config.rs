//! The load configuration directory: what the loader sets up in an image for the checks that the compiler has put into it.
//!
//! The layout is that of `IMAGE_LOAD_CONFIG_DIRECTORY64` in "PE Format" in Microsoft's documentation.

use object::pe;
use object::read::pe::PeFile64;

/// Offsets in the directory. `Size` says how far it goes: older linkers make a shorter one.
mod offset {
    pub(super) const SIZE: usize = 0x00;
    pub(super) const SECURITY_COOKIE: usize = 0x58;
    pub(super) const GUARD_CHECK: usize = 0x70;
    pub(super) const GUARD_DISPATCH: usize = 0x78;
    pub(super) const GUARD_TABLE: usize = 0x80;
    pub(super) const GUARD_COUNT: usize = 0x88;
    pub(super) const GUARD_FLAGS: usize = 0x90;
}

/// `IMAGE_GUARD_CF_FUNCTION_TABLE_PRESENT`.
const TABLE_PRESENT: u32 = 0x400;
/// The bits of `GuardFlags` that say how many bytes an entry of the table has beyond its address.
const ENTRY_EXTRA_SHIFT: u32 = 28;

/// What the load configuration says. Places are RVAs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadConfig {
    /// The stack cookie (`/GS`).
    pub cookie: Option<u32>,
    /// The pointer to the routine that checks the target of an indirect call.
    pub guard_check: Option<u32>,
    /// The pointer to the routine that checks the target and jumps to it.
    pub guard_dispatch: Option<u32>,
    /// The functions that may be called indirectly, ascending; none when the image does not say.
    pub guarded_targets: Option<Vec<u32>>,
}

/// Where the directory lies.
pub(super) fn directory(file: &PeFile64<'_>, size: usize) -> Option<u32> {
    let (rva, _) = file
        .data_directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG)?
        .address_range();
    (rva != 0 && (rva as usize) < size).then_some(rva)
}

impl LoadConfig {
    /// Reads the directory at `directory` in `memory`, the image as it lies at its preferred `base`.
    pub(super) fn read(directory: Option<u32>, memory: &[u8], base: u64) -> Self {
        let Some(directory) = directory else {
            return Self::default();
        };
        let start = directory as usize;
        let length = word(memory, start + offset::SIZE).map_or(0, |size| (size & 0xFFFF_FFFF) as usize);
        let field = |at: usize| {
            (at + 8 <= length.next_multiple_of(8))
                .then(|| word(memory, start + at))
                .flatten()
        };
        let place = |at: usize, bytes: usize| {
            let rva = field(at).filter(|&va| va != 0)?.checked_sub(base)?;
            let rva = u32::try_from(rva).ok()?;
            (rva as usize + bytes <= memory.len()).then_some(rva)
        };
        Self {
            cookie: place(offset::SECURITY_COOKIE, 8),
            guard_check: place(offset::GUARD_CHECK, 8),
            guard_dispatch: place(offset::GUARD_DISPATCH, 8),
            guarded_targets: guarded_targets(
                memory,
                place(offset::GUARD_TABLE, 4),
                field(offset::GUARD_COUNT),
                field(offset::GUARD_FLAGS),
            ),
        }
    }
}

fn guarded_targets(memory: &[u8], table: Option<u32>, count: Option<u64>, flags: Option<u64>) -> Option<Vec<u32>> {
    let flags = (flags? & 0xFFFF_FFFF) as u32;
    if flags & TABLE_PRESENT == 0 {
        return None;
    }
    let entry = 4 + (flags >> ENTRY_EXTRA_SHIFT) as usize;
    let bytes = memory.get(table? as usize..)?;
    let count = usize::try_from(count?).ok()?;
    let entries = bytes.chunks_exact(entry).take(count);
    let mut targets: Vec<u32> = entries
        .map(|entry| u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]))
        .collect();
    targets.sort_unstable();
    Some(targets)
}

fn word(memory: &[u8], at: usize) -> Option<u64> {
    let bytes = memory.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}
