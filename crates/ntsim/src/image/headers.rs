//! What a file is, from its first headers: said before anything else is read, as the formats differ behind them.

use super::ImageError;

/// Offset of `e_lfanew` in `IMAGE_DOS_HEADER`.
const NEW_HEADER: usize = 0x3C;
/// Offset of `FileHeader.Machine` in `IMAGE_NT_HEADERS`.
const MACHINE: usize = 4;
/// Offset of `FileHeader.Characteristics`.
const CHARACTERISTICS: usize = 22;
/// Offset of `OptionalHeader.Subsystem`; the same for 32 and 64 bits.
const SUBSYSTEM: usize = 24 + 68;
/// `IMAGE_FILE_MACHINE_AMD64`.
const AMD64: u16 = 0x8664;
/// `IMAGE_SUBSYSTEM_NATIVE`.
const NATIVE: u16 = 1;
/// `IMAGE_FILE_DLL`.
const DLL: u16 = 0x2000;

/// Checks that the file is a kernel-mode image for x86-64.
pub(super) fn check(name: &str, bytes: &[u8]) -> Result<(), ImageError> {
    let not_an_image = |what: &str| ImageError::NotAnImage {
        image: name.to_owned(),
        what: what.to_owned(),
    };
    let cut_off = || ImageError::Malformed {
        image: name.to_owned(),
        what: "the file ends within its headers".to_owned(),
    };
    if !bytes.starts_with(b"MZ") {
        return Err(not_an_image(foreign(bytes)));
    }
    let field = |offset: usize| {
        let bytes = bytes.get(offset..offset.checked_add(2)?)?;
        Some(u16::from_le_bytes([bytes[0], bytes[1]]))
    };
    let word = |offset: usize| Some(u32::from(field(offset)?) | u32::from(field(offset + 2)?) << 16);
    let headers = word(NEW_HEADER).ok_or_else(cut_off)? as usize;
    let signature = bytes.get(headers..headers + 4).ok_or_else(cut_off)?;
    if signature != b"PE\0\0" {
        return Err(not_an_image(
            "it begins with MZ, but has no PE header: a DOS program, or a damaged file",
        ));
    }
    let machine = field(headers + MACHINE).ok_or_else(cut_off)?;
    if machine != AMD64 {
        return Err(ImageError::Machine {
            image: name.to_owned(),
            machine,
        });
    }
    let subsystem = field(headers + SUBSYSTEM).ok_or_else(cut_off)?;
    let characteristics = field(headers + CHARACTERISTICS).ok_or_else(cut_off)?;
    if subsystem != NATIVE {
        return Err(ImageError::Subsystem {
            image: name.to_owned(),
            subsystem,
            library: characteristics & DLL != 0,
        });
    }
    Ok(())
}

/// What a file is that does not begin as an image does.
fn foreign(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "the file is empty",
        [0x7F, b'E', b'L', b'F', ..] => "an ELF file, of Linux or another system",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "a library of object files",
        [b'M', b'S', b'C', b'F', ..] => "a cabinet file: unpack it first",
        [b'P', b'K', 3, 4, ..] => "a ZIP archive: unpack it first",
        [b'M', b'i', b'c', b'r', b'o', b's', b'o', b'f', b't', ..] => "a PDB: name the .sys file beside it",
        [0x64, 0x86, ..] => "an object file: link it first",
        _ => "it does not begin with MZ",
    }
}

/// The processor that an image is for.
pub(super) const fn machine_name(machine: u16) -> &'static str {
    match machine {
        0x014C => "32-bit x86 (i386)",
        0xAA64 => "ARM64",
        0xA641 => "ARM64EC",
        0x01C0 | 0x01C2 | 0x01C4 => "32-bit ARM",
        0x0200 => "Itanium",
        0x5032 | 0x5064 => "RISC-V",
        _ => "another processor",
    }
}

/// What an image of another subsystem than a driver's is.
pub(super) const fn subsystem_name(subsystem: u16, library: bool) -> &'static str {
    match (subsystem, library) {
        (2 | 3, true) => "a user-mode DLL",
        (2, false) => "a Windows program, for user mode",
        (3, false) => "a console program, for user mode",
        (10..=13, _) => "an EFI program or driver, for the firmware",
        (16, _) => "a boot application",
        _ => "an image of another subsystem",
    }
}
