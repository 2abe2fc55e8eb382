//! A PE32+ driver image, read and checked as Windows' loader does before it maps one.
//!
//! The format is the one of "PE Format" in Microsoft's documentation; the checks are those that make
//! `ZwLoadDriver` fail, and [`ImageError::status`] names what it fails with.

mod contents;

use std::rc::Rc;

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageOptionalHeader as _, PeFile64};

use super::{
    ImageError, LoadConfig, dwarf,
    exports::{self, Exports},
    headers,
};

/// The granularity in which the processor protects memory, bytes.
const PAGE_SIZE: u32 = 0x1000;

/// The most bytes of address space that an image takes.
const LARGEST: u32 = 0x1000_0000;

/// What a section's pages allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// `IMAGE_SCN_MEM_READ`.
    pub read: bool,
    /// `IMAGE_SCN_MEM_WRITE`.
    pub write: bool,
    /// `IMAGE_SCN_MEM_EXECUTE`.
    pub execute: bool,
}

/// A section of the mapped image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The name, at most 8 characters.
    pub name: String,
    /// Where it starts, relative to the image's base. A multiple of the page size.
    pub rva: u32,
    /// Its size in memory, bytes, not rounded.
    pub size: u32,
    /// What its pages allow.
    pub protection: Protection,
    /// `IMAGE_SCN_MEM_DISCARDABLE`: Windows frees it when `DriverEntry` has returned.
    pub discardable: bool,
}

impl Section {
    /// Whether `rva` lies in this section.
    #[must_use]
    pub const fn contains(&self, rva: u32) -> bool {
        rva >= self.rva && rva - self.rva < self.size
    }
}

/// How an import names what it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportName {
    /// By name.
    Name(String),
    /// By ordinal.
    Ordinal(u16),
}

impl std::fmt::Display for ImportName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ordinal(ordinal) => write!(f, "#{ordinal}"),
        }
    }
}

/// An imported function or variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The module it comes from, as written in the image (`ntoskrnl.exe`).
    pub module: String,
    /// Its name or ordinal.
    pub name: ImportName,
    /// The RVA of the 8-byte import-address-table slot that the loader fills.
    pub slot: u32,
}

/// The CodeView record: which PDB belongs to the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PdbReference {
    /// The path or name that the linker recorded.
    pub path: String,
    /// The PDB's signature.
    pub guid: [u8; 16],
    /// The PDB's age.
    pub age: u32,
}

/// A driver image that Windows would load.
#[derive(Debug, Clone)]
pub struct Image {
    name: Rc<str>,
    size: u32,
    memory: Vec<u8>,
    preferred_base: u64,
    entry: u32,
    headers_size: u32,
    sections: Vec<Section>,
    imports: Vec<Import>,
    exports: Exports,
    /// RVAs of the 8-byte values that move with the image, ascending.
    relocations: Vec<u32>,
    /// RVA and size of the exception directory (`.pdata`).
    exceptions: std::ops::Range<usize>,
    load_config: LoadConfig,
    pdb: Option<PdbReference>,
    dwarf: dwarf::Sections,
}

impl Image {
    /// Reads and checks the image `bytes`, called `name` in messages.
    ///
    /// # Errors
    /// When Windows would refuse to load it as a driver: see [`ImageError`].
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, ImageError> {
        let malformed = |what: String| ImageError::Malformed {
            image: name.to_owned(),
            what,
        };
        headers::check(name, bytes)?;
        let file = PeFile64::parse(bytes).map_err(|error| malformed(error.to_string()))?;
        check_headers(name, &file, bytes)?;

        let optional = &file.nt_headers().optional_header;
        let headers_size = optional.size_of_headers();
        let sections = contents::sections(&file).map_err(malformed)?;
        let memory = contents::lay_out(&file, bytes).map_err(malformed)?;
        let entry = optional.address_of_entry_point();
        if !sections
            .iter()
            .any(|section| section.protection.execute && section.contains(entry))
        {
            return Err(ImageError::Entry {
                image: name.to_owned(),
                entry,
            });
        }
        Ok(Self {
            name: name.into(),
            size: optional.size_of_image(),
            preferred_base: optional.image_base(),
            entry,
            headers_size,
            imports: contents::imports(&file).map_err(malformed)?,
            exports: exports::read(&file).map_err(malformed)?,
            relocations: contents::relocations(&file, memory.len()).map_err(malformed)?,
            exceptions: contents::exceptions(&file, memory.len()).map_err(malformed)?,
            pdb: contents::pdb(&file).map_err(malformed)?,
            load_config: LoadConfig::read(
                super::load_config::directory(&file, memory.len()),
                &memory,
                optional.image_base(),
            ),
            dwarf: dwarf::Sections::read(&file),
            sections,
            memory,
        })
    }

    /// The name given to [`Image::parse`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, to be kept.
    pub(crate) fn shared_name(&self) -> Rc<str> {
        self.name.clone()
    }

    /// `SizeOfImage`: the bytes of address space that the mapped image takes, a multiple of the page size.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// The entry point's RVA.
    #[must_use]
    pub const fn entry(&self) -> u32 {
        self.entry
    }

    /// The address the image was linked for.
    #[must_use]
    pub const fn preferred_base(&self) -> u64 {
        self.preferred_base
    }

    /// The bytes at the image's start that hold its headers; read-only when mapped.
    #[must_use]
    pub const fn headers_size(&self) -> u32 {
        self.headers_size
    }

    /// The sections, by ascending RVA.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section that holds `rva`.
    #[must_use]
    pub fn section_at(&self, rva: u32) -> Option<&Section> {
        self.sections.iter().find(|section| section.contains(rva))
    }

    /// Everything the image imports, in the order of its import table.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// Where the function or variable lies that the image exports under this name or ordinal, relative to its base.
    #[must_use]
    pub fn export(&self, name: &ImportName) -> Option<u32> {
        self.exports.find(name)
    }

    /// The PDB that belongs to the image, when it names one.
    #[must_use]
    pub const fn pdb(&self) -> Option<&PdbReference> {
        self.pdb.as_ref()
    }

    /// Its DWARF sections.
    pub(super) fn dwarf(&self) -> &dwarf::Sections {
        &self.dwarf
    }

    /// The image as mapped at its preferred base, before any relocation.
    #[must_use]
    pub fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// The image as it lies in memory when mapped at `base`: [`Image::size`] bytes, base relocations applied, the
    /// import address table still unbound.
    #[must_use]
    pub fn memory_at(&self, base: u64) -> Vec<u8> {
        let delta = base.wrapping_sub(self.preferred_base);
        let mut memory = self.memory.clone();
        for &rva in &self.relocations {
            let rva = rva as usize;
            let slot = &mut memory[rva..rva + 8];
            let mut pointer = [0; 8];
            pointer.copy_from_slice(slot);
            let moved = u64::from_le_bytes(pointer).wrapping_add(delta);
            slot.copy_from_slice(&moved.to_le_bytes());
        }
        memory
    }

    /// The RVAs of the 8-byte values that move with the image, ascending.
    #[must_use]
    pub fn relocations(&self) -> &[u32] {
        &self.relocations
    }

    /// The exception directory: `RUNTIME_FUNCTION` entries, sorted by the linker.
    #[must_use]
    pub fn exception_directory(&self) -> &[u8] {
        &self.memory[self.exceptions.clone()]
    }

    /// The load configuration; empty when the image has none.
    #[must_use]
    pub const fn load_config(&self) -> &LoadConfig {
        &self.load_config
    }

    /// The RVA of the exception directory.
    ///
    /// # Panics
    /// Never: the directory lies in the image.
    #[must_use]
    pub fn exception_directory_rva(&self) -> u32 {
        u32::try_from(self.exceptions.start).expect("an image is smaller than 4 GiB")
    }
}

fn check_headers(name: &str, file: &PeFile64<'_>, bytes: &[u8]) -> Result<(), ImageError> {
    let image = || name.to_owned();
    let header = &file.nt_headers().file_header;
    let optional = &file.nt_headers().optional_header;

    let (section, file_alignment) = (optional.section_alignment(), optional.file_alignment());
    if section < PAGE_SIZE
        || !section.is_power_of_two()
        || !file_alignment.is_power_of_two()
        || !(512..=0x1_0000).contains(&file_alignment)
        || file_alignment > section
    {
        return Err(ImageError::Alignment {
            image: image(),
            section,
            file: file_alignment,
        });
    }
    if header.characteristics.get(LE) & pe::IMAGE_FILE_RELOCS_STRIPPED != pe::FileFlags::default() {
        return Err(ImageError::NotRelocatable { image: image() });
    }
    let field = file.dos_header().nt_headers_offset() as usize + CHECKSUM_FIELD;
    let (stated, actual) = (optional.check_sum(), checksum(bytes, field));
    if stated == 0 && actual != 0 {
        return Err(ImageError::NoChecksum { image: image(), actual });
    }
    if stated != actual {
        return Err(ImageError::Checksum {
            image: image(),
            stated,
            actual,
        });
    }
    Ok(())
}

/// Offset of `OptionalHeader.CheckSum` in `IMAGE_NT_HEADERS64`.
pub(super) const CHECKSUM_FIELD: usize = 4 + 20 + 64;

/// The image checksum of the PE format: the one's-complement sum of the file's 16-bit words, the field itself taken as
/// zero, plus the file's length.
pub(super) fn checksum(bytes: &[u8], field: usize) -> u32 {
    let mut sum = 0u32;
    for (index, pair) in bytes.chunks(2).enumerate() {
        if (field..field + 4).contains(&(index * 2)) {
            continue;
        }
        sum += u32::from(pair[0]) | u32::from(pair.get(1).copied().unwrap_or(0)) << 8;
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    ((sum & 0xFFFF) + (sum >> 16)).wrapping_add(length)
}

#[cfg(test)]
mod tests;
