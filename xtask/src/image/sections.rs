//! What memory integrity (HVCI) demands of the sections: nothing is ever both writable and executable, and what the loader
//! writes, the import addresses, is not where code is.

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
        sample::put_u32(&mut data, sample::TEXT_CHARACTERISTICS, READ | WRITE | EXECUTE);
        assert_eq!(checks(&data), [Check::Protection]);
    }

    #[test]
    fn an_import_table_amid_code_is_found() {
        let mut data = sample::image();
        sample::put_u32(&mut data, sample::RDATA_CHARACTERISTICS, READ | EXECUTE);
        assert_eq!(checks(&data), [Check::ImportTable]);
    }

    #[test]
    fn a_missing_import_table_is_found() {
        let mut data = sample::image();
        sample::put_u32(&mut data, sample::IAT_DIRECTORY, 0);
        assert_eq!(checks(&data), [Check::ImportTable]);
    }
}
