//! Why a file cannot be loaded as a driver.

use thiserror::Error;

use super::headers;

/// `STATUS_INVALID_IMAGE_FORMAT`.
const STATUS_INVALID_IMAGE_FORMAT: u32 = 0xC000_007B;
/// `STATUS_IMAGE_CHECKSUM_MISMATCH`.
pub(super) const STATUS_IMAGE_CHECKSUM_MISMATCH: u32 = 0xC000_0221;
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
