//! The checksum in the optional header, which the kernel verifies for every driver it loads.

use object::{
    LittleEndian as LE,
    read::pe::{ImageNtHeaders, ImageOptionalHeader},
};

use super::{Check, Finding, Image};

pub fn check(image: &Image<'_>) -> Option<Finding> {
    let stored = image.headers().optional_header().check_sum();
    let right = compute(image.data, field_offset(image));
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
    // PE signature, file header, and the fields of the optional header before it.
    const WITHIN_NT_HEADERS: u32 = 4 + 20 + 64;
    let offset = image.file.dos_header().e_lfanew.get(LE) + WITHIN_NT_HEADERS;
    offset as usize
}

/// The sum that `IMAGHELP`'s `CheckSumMappedFile` documents: the ones' complement sum of the file's 16-bit words without
/// the checksum itself, plus the file's length.
pub fn compute(data: &[u8], field: usize) -> u32 {
    let mut sum = 0_u32;
    for (index, word) in data.chunks(2).enumerate() {
        let at = index * 2;
        if (field..field + 4).contains(&at) {
            continue;
        }
        let high = word.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_le_bytes([word[0], high]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum + u32::try_from(data.len()).expect("a PE image is smaller than 4 GiB")
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

    #[test]
    fn sums_fold_their_carry_and_count_odd_bytes() {
        // 0xffff + 0x0001 folds to 0x0001; the checksum's own field lies behind the data.
        assert_eq!(compute(&[0xff, 0xff, 0x01, 0x00], 100), 0x0001 + 4);
        assert_eq!(compute(&[0x02, 0x01, 0x03], 100), 0x0105 + 3);
        assert_eq!(compute(&[0x02, 0x01, 0xff, 0xff, 0xff, 0xff], 2), 0x0102 + 6);
    }
}
