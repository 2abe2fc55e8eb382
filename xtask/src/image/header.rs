//! What the headers say: for which machine the image is, what runs it, and which of the loader's defences it asks for.

use std::path::PathBuf;

use anyhow::Result;
use object::{
    LittleEndian as LE, pe,
    read::pe::{ImageNtHeaders, ImageOptionalHeader},
};

use super::{
    Check, Finding, Image,
    symbols::{ENTRY, Symbols},
};

/// The defences: non-executable data (which memory integrity demands), address space layout randomisation with 64-bit
/// entropy, and a signature check at load, which wdk-build asks for by `/INTEGRITYCHECK`.
const FLAGS: [(pe::DllFlags, &str); 4] = [
    (pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT, "NX_COMPAT"),
    (pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "DYNAMIC_BASE"),
    (pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA, "HIGH_ENTROPY_VA"),
    (pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY, "FORCE_INTEGRITY"),
];

/// The page size: what smaller alignments would put sections of different protection into.
const PAGE: u32 = 0x1000;

pub fn check(image: &Image<'_>, symbols: &Symbols) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut find = |check, what| findings.push(Finding { check, what });

    let file_header = image.headers().file_header();
    let machine = file_header.machine.get(LE);
    if machine != pe::IMAGE_FILE_MACHINE_AMD64 {
        find(Check::Machine, format!("the machine is {machine:?}, not x86-64"));
    }

    let optional = image.headers().optional_header();
    if optional.subsystem() != pe::IMAGE_SUBSYSTEM_NATIVE {
        find(
            Check::Subsystem,
            format!("the subsystem is {:?}, not native", optional.subsystem()),
        );
    }

    for (flag, name) in FLAGS {
        if !optional.dll_characteristics().contains(flag) {
            find(Check::Flags, format!("the flag {name} is not set"));
        }
    }
    let characteristics = file_header.characteristics.get(LE);
    if characteristics.contains(pe::IMAGE_FILE_RELOCS_STRIPPED) {
        find(Check::Flags, "relocations are stripped".to_owned());
    }
    if characteristics.contains(pe::IMAGE_FILE_DLL) {
        find(Check::Flags, "the flag DLL is set".to_owned());
    }

    let alignment = optional.section_alignment();
    if alignment != PAGE {
        find(
            Check::Alignment,
            format!("sections are aligned to {alignment:#x}, not to {PAGE:#x}"),
        );
    }

    let entry = optional.address_of_entry_point();
    match symbols.driver_entry {
        Some(address) if address == entry => {}
        Some(address) => find(
            Check::Entry,
            format!("execution starts at {entry:#x}, {ENTRY} is at {address:#x}"),
        ),
        None => find(Check::Entry, format!("the PDB names no {ENTRY}")),
    }
    for name in exports(image)? {
        find(Check::Exports, format!("the image exports {name}"));
    }
    Ok(findings)
}

/// What the image exports: a driver's functions are called by the kernel, through pointers.
fn exports(image: &Image<'_>) -> Result<Vec<String>> {
    let Some(table) = image.file.export_table()? else {
        return Ok(Vec::new());
    };
    let exports = table.exports()?;
    Ok(exports
        .iter()
        .map(|export| match export.name {
            Some(name) => String::from_utf8_lossy(name).into_owned(),
            None => format!("#{}", export.ordinal.0),
        })
        .collect())
}

/// Finds what would make two builds of the same source differ.
pub fn check_reproducible(image: &Image<'_>, build_directories: &[PathBuf]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |what| {
        findings.push(Finding {
            check: Check::Reproducible,
            what,
        });
    };
    for directory in build_directories {
        let name = directory.to_string_lossy();
        if image.data.windows(name.len()).any(|window| window == name.as_bytes()) {
            find(format!("the image names {}", directory.display()));
        }
    }
    let has_repro_entry = image.debug_directory().is_some_and(|entries| {
        entries
            .iter()
            .any(|entry| entry.typ.get(LE) == pe::IMAGE_DEBUG_TYPE_REPRO)
    });
    if !has_repro_entry {
        find("the image was not linked with /BREPRO: its time stamps are clock readings".to_owned());
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sample;

    fn checks(data: &[u8]) -> Vec<Check> {
        checks_with(data, &sample::symbols())
    }

    fn checks_with(data: &[u8], symbols: &Symbols) -> Vec<Check> {
        let findings = check(&Image::parse(data).unwrap(), symbols).unwrap();
        findings.into_iter().map(|finding| finding.check).collect()
    }

    fn doctored(offset: usize, value: u16) -> Vec<Check> {
        let mut data = sample::image();
        data[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
        checks(&data)
    }

    #[test]
    fn the_sample_is_right() {
        assert_eq!(checks(&sample::image()), []);
    }

    #[test]
    fn another_machine_is_found() {
        assert_eq!(doctored(sample::MACHINE, 0xaa64), [Check::Machine]);
    }

    #[test]
    fn a_program_is_found() {
        const CONSOLE: u16 = 3;
        assert_eq!(doctored(sample::SUBSYSTEM, CONSOLE), [Check::Subsystem]);
    }

    #[test]
    fn each_missing_flag_is_found() {
        for bit in [0x20, 0x40, 0x80, 0x100] {
            let flags = 0x1e0 & !bit;
            assert_eq!(doctored(sample::DLL_CHARACTERISTICS, flags), [Check::Flags], "{bit:#x}");
        }
    }

    #[test]
    fn stripped_relocations_are_found() {
        const RELOCS_STRIPPED: u16 = 1;
        assert_eq!(
            doctored(sample::CHARACTERISTICS, 0x22 | RELOCS_STRIPPED),
            [Check::Flags]
        );
    }

    #[test]
    fn a_library_is_found() {
        const DLL: u16 = 0x2000;
        assert_eq!(doctored(sample::CHARACTERISTICS, 0x22 | DLL), [Check::Flags]);
    }

    #[test]
    fn an_export_is_found() {
        let mut data = sample::image();
        sample::put_exports(&mut data);
        assert_eq!(checks(&data), [Check::Exports]);
    }

    #[test]
    fn small_section_alignment_is_found() {
        assert_eq!(doctored(sample::SECTION_ALIGNMENT, 0x200), [Check::Alignment]);
    }

    #[test]
    fn another_entry_point_is_found() {
        assert_eq!(doctored(sample::ENTRY_POINT, 0x1010), [Check::Entry]);
    }

    #[test]
    fn a_missing_driver_entry_is_found() {
        let mut symbols = sample::symbols();
        symbols.driver_entry = None;
        assert_eq!(checks_with(&sample::image(), &symbols), [Check::Entry]);
    }

    #[test]
    fn paths_of_the_build_machine_are_found() {
        let mut data = sample::image();
        let image = Image::parse(&data).unwrap();
        let home = [PathBuf::from("/home/somebody")];
        assert_eq!(check_reproducible(&image, &home), []);

        let name = b"/home/somebody/src/lib.rs";
        data[sample::TEXT..sample::TEXT + name.len()].copy_from_slice(name);
        let findings = check_reproducible(&Image::parse(&data).unwrap(), &home);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("/home/somebody"));
    }

    #[test]
    fn a_clock_reading_is_found() {
        const TYPE_MISC: u32 = 4;
        let mut data = sample::image();
        sample::put_u32(&mut data, sample::REPRO_ENTRY_TYPE, TYPE_MISC);
        let findings = check_reproducible(&Image::parse(&data).unwrap(), &[]);
        assert!(findings[0].what.contains("/BREPRO"));
    }
}
