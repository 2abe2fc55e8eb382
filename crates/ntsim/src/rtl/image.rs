//! Images in memory: `RtlImageNtHeader`, `RtlImageDirectoryEntryToData`, `RtlPcToFileHeader`.

use super::counted::APC;
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

/// `IMAGE_DOS_SIGNATURE`.
const DOS_SIGNATURE: u16 = 0x5A4D;
/// `e_lfanew` of `IMAGE_DOS_HEADER`.
const E_LFANEW: u64 = 0x3C;
/// `IMAGE_NT_SIGNATURE`.
const NT_SIGNATURE: u32 = 0x4550;
/// The magic number of `IMAGE_OPTIONAL_HEADER64`, and where it is in `IMAGE_NT_HEADERS64`.
const OPTIONAL_HEADER: u64 = 24;
const PE32_PLUS: u16 = 0x20B;
/// Where `NumberOfRvaAndSizes` and the directories are in `IMAGE_NT_HEADERS64`.
const DIRECTORY_COUNT: u64 = OPTIONAL_HEADER + 108;
const DIRECTORIES: u64 = OPTIONAL_HEADER + 112;
/// Where `NumberOfSections` and `SizeOfOptionalHeader` are.
const SECTION_COUNT: u64 = 6;
const OPTIONAL_HEADER_SIZE: u64 = 20;
/// The size of a section's header, and fields in it.
const SECTION_SIZE: u64 = 40;
const SECTION_RVA: u64 = 12;
const SECTION_RAW_SIZE: u64 = 16;
const SECTION_RAW: u64 = 20;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("RtlImageNtHeader", 1, Contract::ANY, |k, a| {
        Ok(nt_header(k, a.va(0))?.unwrap_or(Va::NULL))
    });
    ddi.function("RtlImageDirectoryEntryToData", 4, APC, directory);
    ddi.function("RtlPcToFileHeader", 2, Contract::ANY, |k, a| {
        let base = k.watch().code.borrow().at(a.va(0)).map_or(Va::NULL, |code| code.base);
        k.write(a.va(1), base)?;
        Ok(base)
    });
}

/// Where the `IMAGE_NT_HEADERS` of the image at `base` are; none when it is no image.
fn nt_header(k: &Kernel, base: Va) -> Outcome<Option<Va>> {
    if base.is_null() || k.read::<u16>(base)? != DOS_SIGNATURE {
        return Ok(None);
    }
    let header = base + u64::from(k.read::<u32>(base + E_LFANEW)?);
    Ok((k.read::<u32>(header)? == NT_SIGNATURE).then_some(header))
}

/// `RtlImageDirectoryEntryToData(Base, MappedAsImage, DirectoryEntry, Size)`.
fn directory(k: &Kernel, a: &Args) -> Outcome<Va> {
    // A base with its lowest bit set is that of a data file.
    let base = Va(a.u64(0) & !3);
    let mapped = a.bool(1) && a.u64(0) & 1 == 0;
    let Some(header) = nt_header(k, base)? else {
        return Ok(Va::NULL);
    };
    let entry = u32::from(a.u16(2));
    if k.read::<u16>(header + OPTIONAL_HEADER)? != PE32_PLUS || entry >= k.read::<u32>(header + DIRECTORY_COUNT)? {
        return Ok(Va::NULL);
    }
    let at = header + DIRECTORIES + u64::from(entry) * 8;
    let (rva, size): (u32, u32) = (k.read(at)?, k.read(at + 4_u64)?);
    if rva == 0 {
        return Ok(Va::NULL);
    }
    k.write(a.va(3), size)?;
    if mapped {
        return Ok(base + u64::from(rva));
    }
    let sections: u16 = k.read(header + SECTION_COUNT)?;
    let optional_size: u16 = k.read(header + OPTIONAL_HEADER_SIZE)?;
    for index in 0..u64::from(sections) {
        let section = header + OPTIONAL_HEADER + u64::from(optional_size) + index * SECTION_SIZE;
        let start: u32 = k.read(section + SECTION_RVA)?;
        let length: u32 = k.read(section + SECTION_RAW_SIZE)?;
        if let Some(offset) = rva.checked_sub(start).filter(|&offset| offset < length) {
            let raw: u32 = k.read(section + SECTION_RAW)?;
            return Ok(base + u64::from(raw) + u64::from(offset));
        }
    }
    Ok(Va::NULL)
}
