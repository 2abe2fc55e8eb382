//! What a driver image must be, checked on the linked file.
//!
//! The build's own settings ask for all of it; the checks are there because a setting that is dropped, or a linker that
//! understands it otherwise, shows up in no test: Windows refuses the image, or memory integrity does, or a panic bug-checks
//! a machine years later.

mod checksum;
mod control_flow_guard;
mod exports;
mod header;
mod identity;
mod imports;
mod library;
mod panics;
#[cfg(test)]
mod sample;
mod sections;
mod symbols;
mod version;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use object::{
    LittleEndian as LE,
    pe::{IMAGE_DIRECTORY_ENTRY_DEBUG, ImageDataDirectory, ImageDebugDirectory, ImageNtHeaders64, ImageSectionHeader},
    read::pe::PeFile64,
};

pub use exports::KnownExports;
use symbols::Symbols;
pub use version::{Expected, check as check_version};

/// A way in which an image is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// What is wrong.
    pub what: String,
}

/// A property of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is for x86-64.
    Machine,
    /// It is for the kernel.
    Subsystem,
    /// Execution starts at `DriverEntry`.
    Entry,
    /// The loader's security features are asked for.
    Flags,
    /// Sections start on pages.
    Alignment,
    /// The checksum is right.
    Checksum,
    /// No section is both writable and executable.
    Protection,
    /// Import addresses are not where code is.
    ImportTable,
    /// Everything imported is exported by some Windows.
    Imports,
    /// The PDB belongs to the image.
    Symbols,
    /// Memory that code at raised IRQL needs is never paged out.
    Paging,
    /// Nothing is exported.
    Exports,
    /// Header and load configuration agree on Control Flow Guard.
    ControlFlowGuard,
    /// What Windows shows of the file is right.
    Version,
    /// Nothing in the image can panic.
    Panic,
    /// The image says nothing about the machine it was built on.
    Reproducible,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, what } = self;
        write!(formatter, "{what} [{check:?}]")
    }
}

/// What an image is checked against.
pub struct Expectation<'e> {
    /// The exports of Windows.
    pub known: &'e KnownExports,
    /// Whether the image was optimised: without that, panics that cannot be reached are still there.
    pub optimised: bool,
    /// Directories of the build machine, which the image must not name.
    pub build_directories: &'e [PathBuf],
    /// What the image says about itself, if it is one that ships.
    pub version: Option<Expected<'e>>,
}

/// Makes a driver of a library that was just linked, with an identity of its own.
///
/// # Errors
///
/// When the image is malformed, or the PDB is not the one that was linked with it.
pub fn finish(image: &mut [u8], pdb: &mut [u8]) -> Result<()> {
    library::clear_flag(image)?;
    identity::settle(image, pdb)
}

/// Checks the image at `path` and the PDB beside it.
///
/// # Errors
///
/// When one of the files cannot be read or parsed.
pub fn check(path: &Path, expectation: &Expectation<'_>) -> Result<Vec<Finding>> {
    let data = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let image = Image::parse(&data).with_context(|| format!("{} is no image", path.display()))?;
    let pdb = match symbols::pdb_name(&image)? {
        Some(name) => path.with_file_name(name),
        None => path.with_extension("pdb"),
    };
    let symbols = Symbols::read(&pdb).with_context(|| format!("cannot read {}", pdb.display()))?;
    findings(&image, &symbols, expectation).with_context(|| format!("cannot check {}", path.display()))
}

fn findings(image: &Image<'_>, symbols: &Symbols, expectation: &Expectation<'_>) -> Result<Vec<Finding>> {
    let mut findings = header::check(image, symbols)?;
    findings.extend(checksum::check(image));
    findings.extend(sections::check(image));
    findings.extend(control_flow_guard::check(image));
    findings.extend(imports::check(image, expectation.known)?);
    findings.extend(symbols::check(image, symbols)?);
    findings.extend(header::check_reproducible(image, expectation.build_directories));
    if let Some(expected) = &expectation.version {
        findings.extend(version::check(image.data, expected));
    }
    if expectation.optimised {
        findings.extend(panics::check(image, symbols)?);
    }
    Ok(findings)
}

/// A parsed image.
struct Image<'d> {
    data: &'d [u8],
    file: PeFile64<'d>,
}

impl<'d> Image<'d> {
    fn parse(data: &'d [u8]) -> Result<Self> {
        Ok(Self {
            data,
            file: PeFile64::parse(data)?,
        })
    }

    fn headers(&self) -> &'d ImageNtHeaders64 {
        self.file.nt_headers()
    }

    fn data_directory(&self, index: usize) -> Option<&'d ImageDataDirectory> {
        self.file.data_directory(index)
    }

    fn debug_directory(&self) -> Option<&'d [ImageDebugDirectory]> {
        let directory = self.data_directory(IMAGE_DIRECTORY_ENTRY_DEBUG)?;
        let data = directory.data(self.data, &self.file.section_table()).ok()?;
        object::pod::slice_from_all_bytes(data).ok()
    }

    /// Where in the file the address `rva` is.
    fn file_offset(&self, rva: u32) -> Option<usize> {
        let section = self.section_at(rva)?;
        let offset = rva - section.virtual_address.get(LE);
        Some((section.pointer_to_raw_data.get(LE) + offset) as usize)
    }

    fn sections(&self) -> impl Iterator<Item = &'d ImageSectionHeader> {
        self.file.section_table().iter()
    }

    /// The section that holds the address `rva` (relative to the image's base).
    fn section_at(&self, rva: u32) -> Option<&'d ImageSectionHeader> {
        self.sections().find(|section| {
            let start = section.virtual_address.get(LE);
            let size = section.virtual_size.get(LE).max(section.size_of_raw_data.get(LE));
            (start..start.saturating_add(size)).contains(&rva)
        })
    }
}
