//! The checksum in a PE image's optional header, which the kernel verifies for every driver that it loads.

/// The length of the field in bytes.
pub const LENGTH: usize = 4;

/// The offset of the field in the file, when the PE signature is at `nt_headers` (`e_lfanew` of the DOS header).
#[must_use]
pub fn field_offset(nt_headers: u32) -> usize {
    // PE signature, file header, and the fields of the optional header before it.
    const WITHIN_NT_HEADERS: usize = 4 + 20 + 64;
    nt_headers as usize + WITHIN_NT_HEADERS
}

/// The sum that `IMAGHELP`'s `CheckSumMappedFile` documents: the ones' complement sum of the file's 16-bit words without
/// the checksum itself, which is at `field`, plus the file's length.
///
/// # Panics
/// When `data` has 4 GiB or more, which no PE image has.
#[must_use]
pub fn compute(data: &[u8], field: usize) -> u32 {
    let mut sum = 0_u32;
    for (index, word) in data.chunks(2).enumerate() {
        let at = index * 2;
        if (field..field + LENGTH).contains(&at) {
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
    use super::compute;

    #[test]
    fn sums_fold_their_carry_and_count_odd_bytes() {
        // 0xffff + 0x0001 folds to 0x0001; the checksum's own field lies behind the data.
        assert_eq!(compute(&[0xff, 0xff, 0x01, 0x00], 100), 0x0001 + 4);
        assert_eq!(compute(&[0x02, 0x01, 0x03], 100), 0x0105 + 3);
        assert_eq!(compute(&[0x02, 0x01, 0xff, 0xff, 0xff, 0xff], 2), 0x0102 + 6);
    }
}
