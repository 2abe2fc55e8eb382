//! The checksum in the optional header, which the kernel verifies for every driver it loads.

use object::{
    LittleEndian as LE,
    read::pe::{ImageNtHeaders, ImageOptionalHeader},
};

use super::{Check, Finding, Image};

pub fn check(image: &Image<'_>) -> Option<Finding> {
    let stored = image.headers().optional_header().check_sum();
    let right = pe_checksum::compute(image.data, field_offset(image));
    let what = match stored {
        0 => "the image has no checksum".to_owned(),
        wrong if wrong != right => format!("the checksum is {wrong:#x}, it must be {right:#x}"),
        _ => return None,
    };
    Some(Finding {
        check: Check::Checksum,
        what,
    })
}

/// Where in the file the checksum is.
pub fn field_offset(image: &Image<'_>) -> usize {
    pe_checksum::field_offset(image.file.dos_header().e_lfanew.get(LE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sample;

    #[test]
    fn the_sample_has_the_right_one() {
        let data = sample::image();
        assert_eq!(check(&Image::parse(&data).unwrap()), None);
    }

    #[test]
    fn a_missing_one_is_found() {
        let mut data = sample::image();
        sample::put_u32(&mut data, sample::CHECKSUM, 0);
        let finding = check(&Image::parse(&data).unwrap()).unwrap();
        assert!(finding.what.contains("no checksum"));
    }

    #[test]
    fn a_changed_byte_is_found() {
        let mut data = sample::image();
        data[sample::TEXT] ^= 1;
        let finding = check(&Image::parse(&data).unwrap()).unwrap();
        assert_eq!(finding.check, Check::Checksum);
    }
}
