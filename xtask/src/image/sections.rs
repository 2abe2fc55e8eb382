//! What the sections must be.
//!
//! Memory integrity (HVCI) demands that nothing is ever both writable and executable, and that what the loader writes, the import
//! addresses, is not where code is. Code that runs at raised IRQL, and its data, must not be paged out: as in a driver that Microsoft's
//! linker makes, every section is marked so, but for those that are gone after initialisation, and those named `PAGE…`, which a
//! driver pages out and in by itself.

use object::{LittleEndian as LE, pe};

use super::{Check, Finding, Image};

pub fn check(image: &Image<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for section in image.sections() {
        let flags = section.characteristics.get(LE);
        if flags.contains(pe::IMAGE_SCN_MEM_WRITE) && flags.contains(pe::IMAGE_SCN_MEM_EXECUTE) {
            findings.push(Finding {
                check: Check::Protection,
                what: format!("section {} is writable and executable", name(section)),
            });
        }
        findings.extend(paging(section));
    }

    let table = image
        .data_directory(pe::IMAGE_DIRECTORY_ENTRY_IAT)
        .map_or(0, |directory| directory.virtual_address.get(LE));
    let what = match image.section_at(table) {
        None => "the image has no import address table".to_owned(),
        Some(section) if section.characteristics.get(LE).contains(pe::IMAGE_SCN_MEM_EXECUTE) => {
            format!(
                "the import address table is in the executable section {}",
                name(section)
            )
        }
        Some(_) => return findings,
    };
    findings.push(Finding {
        check: Check::ImportTable,
        what,
    });
    findings
}

/// Whether the section is marked as memory that is never paged out, if it must be, and only then.
fn paging(section: &pe::ImageSectionHeader) -> Option<Finding> {
    let flags = section.characteristics.get(LE);
    let is_paged_by_driver = section.raw_name().starts_with(b"PAGE");
    let is_marked = flags.contains(pe::IMAGE_SCN_MEM_NOT_PAGED);
    let what = match (is_paged_by_driver, is_marked) {
        (true, true) => format!("section {} is for paging, and is marked as not paged", name(section)),
        (false, false) if !flags.contains(pe::IMAGE_SCN_MEM_DISCARDABLE) => {
            format!("section {} is not marked as not paged", name(section))
        }
        _ => return None,
    };
    Some(Finding {
        check: Check::Paging,
        what,
    })
}

fn name(section: &pe::ImageSectionHeader) -> String {
    String::from_utf8_lossy(section.raw_name()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sample;

    const READ: u32 = 0x4000_0000;
    const WRITE: u32 = 0x8000_0000;
    const EXECUTE: u32 = 0x2000_0000;
    const NOT_PAGED: u32 = 0x0800_0000;
    const DISCARDABLE: u32 = 0x0200_0000;

    fn checks(data: &[u8]) -> Vec<Check> {
        let findings = check(&Image::parse(data).unwrap());
        findings.into_iter().map(|finding| finding.check).collect()
    }

    #[test]
    fn the_sample_is_right() {
        assert_eq!(checks(&sample::image()), []);
    }

    #[test]
    fn a_writable_code_section_is_found() {
        let mut data = sample::image();
        sample::put_u32(
            &mut data,
            sample::TEXT_CHARACTERISTICS,
            NOT_PAGED | READ | WRITE | EXECUTE,
        );
        assert_eq!(checks(&data), [Check::Protection]);
    }

    #[test]
    fn sections_that_may_be_paged_out_are_found() {
        for (name, flags, found) in [
            (b".rdata\0\0", READ, true),
            (b".rdata\0\0", READ | DISCARDABLE, false),
            (b"PAGE\0\0\0\0", READ, false),
            (b"PAGEdata", READ | NOT_PAGED, true),
        ] {
            let mut data = sample::image();
            data[sample::RDATA_NAME..][..8].copy_from_slice(name);
            sample::put_u32(&mut data, sample::RDATA_CHARACTERISTICS, flags);
            let expected: &[Check] = if found { &[Check::Paging] } else { &[] };
            assert_eq!(checks(&data), expected, "{flags:#x}");
        }
    }

    #[test]
    fn an_import_table_amid_code_is_found() {
        let mut data = sample::image();
        sample::put_u32(&mut data, sample::RDATA_CHARACTERISTICS, NOT_PAGED | READ | EXECUTE);
        assert_eq!(checks(&data), [Check::ImportTable]);
    }

    #[test]
    fn a_missing_import_table_is_found() {
        let mut data = sample::image();
        sample::put_u32(&mut data, sample::IAT_DIRECTORY, 0);
        assert_eq!(checks(&data), [Check::ImportTable]);
    }
}
