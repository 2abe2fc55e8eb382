//! A PE32+ driver image, read and checked as Windows' loader does before it maps one.
//!
//! The format is the one of "PE Format" in Microsoft's documentation; the checks are those that make
//! `ZwLoadDriver` fail, and [`ImageError::status`] names what it fails with.

use std::rc::Rc;

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageOptionalHeader as _, ImageThunkData as _, PeFile64};
use thiserror::Error;

use super::{
    dwarf,
    exports::{self, Exports},
    headers,
};

/// The granularity in which the processor protects memory, bytes.
const PAGE_SIZE: u32 = 0x1000;

/// The most bytes of address space that an image takes.
const LARGEST: u32 = 0x1000_0000;

/// `STATUS_INVALID_IMAGE_FORMAT`.
const STATUS_INVALID_IMAGE_FORMAT: u32 = 0xC000_007B;
/// `STATUS_IMAGE_CHECKSUM_MISMATCH`.
const STATUS_IMAGE_CHECKSUM_MISMATCH: u32 = 0xC000_0221;
/// `STATUS_IMAGE_MACHINE_TYPE_MISMATCH`.
const STATUS_IMAGE_MACHINE_TYPE_MISMATCH: u32 = 0x4000_000E;

/// Why an image cannot be loaded as a driver.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImageError {
    /// The bytes are no Windows image at all.
    #[error("{image}: not a Windows image: {what}")]
    NotAnImage {
        /// The image's name.
        image: String,
        /// What it is instead.
        what: String,
    },
    /// The bytes are no well-formed PE32+ file.
    #[error("{image}: not a well-formed PE32+ image: {what}")]
    Malformed {
        /// The image's name.
        image: String,
        /// What is wrong, and where.
        what: String,
    },
    /// The image is for another processor.
    #[error(
        "{image}: built for {} (machine {machine:#06x}), but this machine has x86-64 processors (0x8664): build it for x64",
        headers::machine_name(*machine)
    )]
    Machine {
        /// The image's name.
        image: String,
        /// `IMAGE_FILE_HEADER::Machine`.
        machine: u16,
    },
    /// The image is not a kernel-mode one.
    #[error(
        "{image}: {} (subsystem {subsystem}), but a driver is native (1): link it with /SUBSYSTEM:NATIVE",
        headers::subsystem_name(*subsystem, *library)
    )]
    Subsystem {
        /// The image's name.
        image: String,
        /// `IMAGE_OPTIONAL_HEADER64::Subsystem`.
        subsystem: u16,
        /// It is a DLL.
        library: bool,
    },
    /// The checksum field was never filled in. Windows requires it of every driver.
    #[error(
        "{image}: its checksum field is 0, and Windows loads no driver without a checksum: link it with /DRIVER or /RELEASE, or sign it \
         (the file's checksum is {actual:#010x})"
    )]
    NoChecksum {
        /// The image's name.
        image: String,
        /// The sum over the file.
        actual: u32,
    },
    /// The checksum field does not match the file. Windows requires it of every driver.
    #[error(
        "{image}: damaged, or changed after it was linked: its checksum field says {stated:#010x}, but the file's is {actual:#010x}"
    )]
    Checksum {
        /// The image's name.
        image: String,
        /// `IMAGE_OPTIONAL_HEADER64::CheckSum`.
        stated: u32,
        /// The sum over the file.
        actual: u32,
    },
    /// A section or file alignment that the memory manager cannot map page by page.
    #[error("{image}: section alignment {section:#x}, file alignment {file:#x}; sections must be aligned to pages")]
    Alignment {
        /// The image's name.
        image: String,
        /// `SectionAlignment`, bytes.
        section: u32,
        /// `FileAlignment`, bytes.
        file: u32,
    },
    /// The image has no entry point, or one outside its code.
    #[error("{image}: entry point {entry:#x} lies in no executable section")]
    Entry {
        /// The image's name.
        image: String,
        /// The entry point's RVA.
        entry: u32,
    },
    /// The image cannot be moved, but kernel-mode images are always moved.
    #[error("{image}: relocations are stripped")]
    NotRelocatable {
        /// The image's name.
        image: String,
    },
}

impl ImageError {
    /// The `NTSTATUS` with which Windows refuses such an image.
    #[must_use]
    pub const fn status(&self) -> u32 {
        match self {
            Self::Checksum { .. } | Self::NoChecksum { .. } => STATUS_IMAGE_CHECKSUM_MISMATCH,
            Self::Machine { .. } => STATUS_IMAGE_MACHINE_TYPE_MISMATCH,
            Self::NotAnImage { .. }
            | Self::Malformed { .. }
            | Self::Subsystem { .. }
            | Self::Alignment { .. }
            | Self::Entry { .. }
            | Self::NotRelocatable { .. } => STATUS_INVALID_IMAGE_FORMAT,
        }
    }
}

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
        let sections = sections(&file).map_err(malformed)?;
        let memory = lay_out(&file, bytes).map_err(malformed)?;
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
            imports: imports(&file).map_err(malformed)?,
            exports: exports::read(&file).map_err(malformed)?,
            relocations: relocations(&file, memory.len()).map_err(malformed)?,
            exceptions: exceptions(&file, memory.len()).map_err(malformed)?,
            pdb: pdb(&file).map_err(malformed)?,
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

fn sections(file: &PeFile64<'_>) -> Result<Vec<Section>, String> {
    let alignment = file.nt_headers().optional_header.section_alignment();
    let size_of_image = file.nt_headers().optional_header.size_of_image();
    let mut next = file.nt_headers().optional_header.size_of_headers();
    file.section_table()
        .iter()
        .map(|header| {
            let raw = header.raw_name();
            let name = String::from_utf8_lossy(raw).into_owned();
            let rva = header.virtual_address.get(LE);
            let virtual_size = header.virtual_size.get(LE);
            let size = if virtual_size == 0 {
                header.size_of_raw_data.get(LE)
            } else {
                virtual_size
            };
            let end = rva
                .checked_add(size)
                .filter(|&end| end <= size_of_image)
                .ok_or_else(|| format!("section {name} at {rva:#x} runs past SizeOfImage {size_of_image:#x}"))?;
            if rva % alignment != 0 || rva < next {
                return Err(format!(
                    "section {name} at {rva:#x} is misaligned or overlaps its predecessor"
                ));
            }
            next = end;
            let characteristics = header.characteristics.get(LE);
            let has = |flag| characteristics & flag == flag;
            Ok(Section {
                name,
                rva,
                size,
                protection: Protection {
                    read: has(pe::IMAGE_SCN_MEM_READ),
                    write: has(pe::IMAGE_SCN_MEM_WRITE),
                    execute: has(pe::IMAGE_SCN_MEM_EXECUTE),
                },
                discardable: has(pe::IMAGE_SCN_MEM_DISCARDABLE),
            })
        })
        .collect()
}

/// Copies headers and sections to where they lie in memory.
fn lay_out(file: &PeFile64<'_>, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let optional = &file.nt_headers().optional_header;
    let size = optional.size_of_image();
    if size == 0 || size % PAGE_SIZE != 0 {
        return Err(format!("SizeOfImage {size:#x} is no multiple of the page size"));
    }
    if size > LARGEST {
        return Err(format!("SizeOfImage {size:#x} is more than a driver has"));
    }
    let mut memory = vec![0; size as usize];
    let headers = optional.size_of_headers() as usize;
    if headers > bytes.len() || headers > memory.len() {
        return Err(format!("SizeOfHeaders {headers:#x} runs past the end of the file"));
    }
    memory[..headers].copy_from_slice(&bytes[..headers]);
    for header in file.section_table().iter() {
        let name = String::from_utf8_lossy(header.raw_name());
        let raw_end = u64::from(header.pointer_to_raw_data.get(LE)) + u64::from(header.size_of_raw_data.get(LE));
        if raw_end > bytes.len() as u64 {
            return Err(format!(
                "section {name} ends at {raw_end:#x} in a file of {:#x} bytes",
                bytes.len()
            ));
        }
        let data = header
            .pe_data(bytes)
            .map_err(|error| format!("section {name}: {error}"))?;
        let start = header.virtual_address.get(LE) as usize;
        // `sections` has checked where the section ends; the file's copy of it may be padded beyond that.
        let length = data.len().min(memory.len() - start);
        memory[start..start + length].copy_from_slice(&data[..length]);
    }
    Ok(memory)
}

/// Bytes of a slot of the import address table.
const SLOT: u32 = 8;

fn imports(file: &PeFile64<'_>) -> Result<Vec<Import>, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fail = |error: object::read::Error| format!("import table: {error}");
    let size = file.nt_headers().optional_header.size_of_image();
    let mut imports = Vec::new();
    let Some(table) = file.import_table().map_err(fail)? else {
        return Ok(imports);
    };
    let mut descriptors = table.descriptors().map_err(fail)?;
    while let Some(descriptor) = descriptors.next().map_err(fail)? {
        let module = text(table.name(descriptor.name.get(LE)).map_err(fail)?);
        let first_slot = descriptor.first_thunk.get(LE);
        let names = match descriptor.original_first_thunk.get(LE) {
            0 => first_slot,
            lookup => lookup,
        };
        let mut thunks = table.thunks(names).map_err(fail)?;
        let mut slot = first_slot;
        while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>().map_err(fail)? {
            let name = if thunk.is_ordinal() {
                ImportName::Ordinal(thunk.ordinal())
            } else {
                ImportName::Name(text(table.hint_name(thunk.address()).map_err(fail)?.1))
            };
            if slot > size - SLOT {
                return Err(format!("import table: the slot at {slot:#x} lies outside of the image"));
            }
            imports.push(Import {
                module: module.clone(),
                name,
                slot,
            });
            slot += SLOT;
        }
    }
    Ok(imports)
}

fn relocations(file: &PeFile64<'_>, size: usize) -> Result<Vec<u32>, String> {
    let fail = |error: object::read::Error| format!("base relocations: {error}");
    let mut rvas = Vec::new();
    let blocks = file
        .data_directories()
        .relocation_blocks(file.data(), &file.section_table())
        .map_err(fail)?;
    let Some(mut blocks) = blocks else {
        return Ok(rvas);
    };
    while let Some(block) = blocks.next().map_err(fail)? {
        for relocation in block {
            match relocation.typ {
                pe::IMAGE_REL_BASED_ABSOLUTE => {}
                pe::IMAGE_REL_BASED_DIR64 if relocation.virtual_address as usize + 8 <= size => {
                    rvas.push(relocation.virtual_address);
                }
                other => {
                    let rva = relocation.virtual_address;
                    return Err(format!("base relocation of type {other:?} at {rva:#x}"));
                }
            }
        }
    }
    rvas.sort_unstable();
    Ok(rvas)
}

fn exceptions(file: &PeFile64<'_>, size: usize) -> Result<std::ops::Range<usize>, String> {
    let Some(directory) = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION) else {
        return Ok(0..0);
    };
    let (rva, length) = directory.address_range();
    let (start, end) = (rva as usize, rva as usize + length as usize);
    if end > size {
        return Err(format!("exception directory at {rva:#x} runs past SizeOfImage"));
    }
    Ok(start..end)
}

fn pdb(file: &PeFile64<'_>) -> Result<Option<PdbReference>, String> {
    use object::Object as _;
    let info = file.pdb_info().map_err(|error| format!("debug directory: {error}"))?;
    Ok(info.map(|info| PdbReference {
        path: String::from_utf8_lossy(info.path()).into_owned(),
        guid: info.guid(),
        age: info.age(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::synthetic::{ImageBuilder, seal};

    #[test]
    fn a_driver_is_read_as_it_was_linked() {
        let image = Image::parse("t.sys", &ImageBuilder::new(&[0xC3]).build()).unwrap();
        assert_eq!(image.entry(), 0x1000);
        assert_eq!(image.preferred_base(), 0x1_4000_0000);
        assert_eq!(image.memory()[0x1000], 0xC3);
        let text = image.section_at(0x1000).unwrap();
        assert_eq!(text.name, ".text");
        assert_eq!(
            text.protection,
            Protection {
                read: true,
                write: false,
                execute: true
            }
        );
    }

    #[test]
    fn relocations_move_pointers_by_the_distance_from_the_preferred_base() {
        let bytes = ImageBuilder::new(&[0xC3]).pointer_to(0x1000).build();
        let image = Image::parse("t.sys", &bytes).unwrap();
        let base = 0xFFFF_F800_1234_0000;
        let memory = image.memory_at(base);
        let [rva] = image.relocations() else {
            panic!("one relocation expected");
        };
        let rva = *rva as usize;
        assert_eq!(memory[rva..rva + 8], (base + 0x1000).to_le_bytes());
        let unmoved = image.memory_at(image.preferred_base());
        assert_eq!(unmoved, image.memory());
    }

    #[test]
    fn imports_name_their_module_and_slot() {
        let bytes = ImageBuilder::new(&[0xC3])
            .import("ntoskrnl.exe", "IoCreateDevice")
            .import("ntoskrnl.exe", "IoDeleteDevice")
            .build();
        let image = Image::parse("t.sys", &bytes).unwrap();
        let names: Vec<_> = image.imports().iter().map(|i| i.name.to_string()).collect();
        assert_eq!(names, ["IoCreateDevice", "IoDeleteDevice"]);
        assert_eq!(image.imports()[1].slot, image.imports()[0].slot + 8);
        assert_eq!(image.imports()[0].module, "ntoskrnl.exe");
    }

    #[test]
    fn one_changed_byte_breaks_the_checksum() {
        let mut bytes = ImageBuilder::new(&[0xC3]).build();
        *bytes.last_mut().unwrap() ^= 1;
        let error = Image::parse("t.sys", &bytes).unwrap_err();
        assert!(matches!(error, ImageError::Checksum { .. }), "{error}");
        assert_eq!(error.status(), 0xC000_0221);
    }

    #[test]
    fn foreign_machines_and_subsystems_are_refused() {
        for (machine, name) in [
            (0xAA64, "ARM64"),
            (0x014C, "32-bit x86 (i386)"),
            (0x1234, "another processor"),
        ] {
            let bytes = ImageBuilder::new(&[0xC3]).machine(machine).build();
            let error = Image::parse("t.sys", &bytes).unwrap_err();
            assert!(matches!(error, ImageError::Machine { .. }), "{error}");
            assert!(error.to_string().contains(name), "{error}");
        }
        let bytes = ImageBuilder::new(&[0xC3]).subsystem(3).build();
        let error = Image::parse("t.sys", &bytes).unwrap_err();
        assert!(matches!(error, ImageError::Subsystem { subsystem: 3, .. }), "{error}");
    }

    #[test]
    fn a_32_bit_image_is_named_as_such_though_its_headers_are_of_another_format() {
        let mut bytes = ImageBuilder::new(&[0xC3]).machine(0x014C).build();
        let headers = u32::from_le_bytes(bytes[0x3C..0x40].try_into().unwrap()) as usize;
        // `IMAGE_NT_OPTIONAL_HDR32_MAGIC`.
        bytes[headers + 24..headers + 26].copy_from_slice(&0x010B_u16.to_le_bytes());
        seal(&mut bytes);
        let error = Image::parse("t.sys", &bytes).unwrap_err();
        assert!(matches!(error, ImageError::Machine { machine: 0x014C, .. }), "{error}");
    }

    #[test]
    fn user_mode_images_are_named_as_such() {
        for (subsystem, name) in [
            (2, "a Windows program"),
            (3, "a console program"),
            (10, "an EFI program"),
        ] {
            let bytes = ImageBuilder::new(&[0xC3]).subsystem(subsystem).build();
            let error = Image::parse("t.sys", &bytes).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let error = ImageError::Subsystem {
            image: "t.dll".to_owned(),
            subsystem: 2,
            library: true,
        };
        assert!(error.to_string().contains("a user-mode DLL"), "{error}");
    }

    #[test]
    fn what_is_no_image_is_said_to_be_none() {
        let cases: [(&[u8], &str); 5] = [
            (b"", "the file is empty"),
            (b"\x7FELF\x02\x01", "an ELF file"),
            (b"#!/bin/sh\n", "does not begin with MZ"),
            (&[b'M'; 3], "does not begin with MZ"),
            (b"Microsoft C/C++ MSF 7.00\r\n", "a PDB"),
        ];
        for (bytes, what) in cases {
            let error = Image::parse("t.sys", bytes).unwrap_err();
            assert!(matches!(error, ImageError::NotAnImage { .. }), "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
        let mut dos = ImageBuilder::new(&[0xC3]).build();
        let headers = u32::from_le_bytes(dos[0x3C..0x40].try_into().unwrap()) as usize;
        dos[headers] = b'N';
        let error = Image::parse("t.sys", &dos).unwrap_err();
        assert!(error.to_string().contains("DOS program"), "{error}");
    }

    #[test]
    fn a_checksum_that_was_never_written_is_told_from_a_damaged_file() {
        let mut bytes = ImageBuilder::new(&[0xC3]).build();
        let headers = u32::from_le_bytes(bytes[0x3C..0x40].try_into().unwrap()) as usize;
        bytes[headers + CHECKSUM_FIELD..][..4].fill(0);
        let error = Image::parse("t.sys", &bytes).unwrap_err();
        assert!(matches!(error, ImageError::NoChecksum { .. }), "{error}");
        assert_eq!(error.status(), STATUS_IMAGE_CHECKSUM_MISMATCH);
    }

    #[test]
    fn headers_that_reach_into_a_section_are_refused() {
        let mut bytes = ImageBuilder::new(&[0xC3]).build();
        let headers = u32::from_le_bytes(bytes[0x3C..0x40].try_into().unwrap()) as usize;
        // `SizeOfHeaders`.
        bytes[headers + 24 + 60..][..4].copy_from_slice(&0x1200_u32.to_le_bytes());
        bytes.resize(0x2000, 0);
        seal(&mut bytes);
        let error = Image::parse("t.sys", &bytes).unwrap_err();
        assert!(matches!(error, ImageError::Malformed { .. }), "{error}");
    }

    #[test]
    fn an_entry_point_outside_the_code_is_refused() {
        let bytes = ImageBuilder::new(&[0xC3]).entry(0x1800).build();
        let error = Image::parse("t.sys", &bytes).unwrap_err();
        assert!(matches!(error, ImageError::Entry { entry: 0x1800, .. }), "{error}");
    }

    #[test]
    fn a_truncated_file_is_an_error_not_a_panic() {
        let bytes = ImageBuilder::new(&[0xC3]).pointer_to(0x1000).build();
        for length in 0..bytes.len() {
            let mut bytes = bytes[..length].to_vec();
            seal(&mut bytes);
            assert!(Image::parse("t.sys", &bytes).is_err(), "{length} bytes");
        }
    }
}
