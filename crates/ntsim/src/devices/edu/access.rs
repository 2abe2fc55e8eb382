//! Accesses of every width and alignment, as QEMU's memory core passes them on to the device.
//!
//! An access is cut into pieces, each of which lies at a multiple of its size. The device takes pieces of 4 bytes, and of 8 bytes from the wide
//! registers on. A piece of 8 bytes below reads as ones, a narrower one as zero, and both are lost when written.

use super::{Mistakes, WIDE_REGISTERS, misused};
use crate::bus::{DeviceFault, Width};

/// The pieces of an access, each with its offset.
pub(in crate::devices) fn pieces(offset: u64, width: Width) -> impl Iterator<Item = (u64, Width)> {
    let end = offset + width.bytes();
    let mut at = offset;
    std::iter::from_fn(move || {
        let fits = |piece: &Width| at.is_multiple_of(piece.bytes()) && at + piece.bytes() <= end;
        let widths = [Width::Qword, Width::Dword, Width::Word, Width::Byte];
        let piece = widths.into_iter().find(|piece| at < end && fits(piece))?;
        let place = at;
        at += piece.bytes();
        Some((place, piece))
    })
}

/// What the device makes of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It reads or writes the register.
    Whole,
    /// It is lost, and reads as ones.
    Ones,
    /// It never reaches the device, and reads as zero.
    Nothing,
}

/// What the device makes of the piece of `width` at `offset`.
pub(super) fn takes(offset: u64, width: Width) -> Taken {
    match width {
        Width::Byte | Width::Word => Taken::Nothing,
        Width::Qword if offset < WIDE_REGISTERS => Taken::Ones,
        Width::Dword | Width::Qword => Taken::Whole,
    }
}

/// Whether a driver may make the access: in one piece that the device takes.
pub(super) fn check(mistakes: Mistakes, what: &str, offset: u64, width: Width) -> Result<(), DeviceFault> {
    let is_right = offset.is_multiple_of(width.bytes()) && takes(offset, width) == Taken::Whole;
    if is_right || mistakes == Mistakes::Forgive {
        return Ok(());
    }
    Err(misused(format!(
        "{width} {what} at {offset:#x}, which takes no such access"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_is_cut_where_it_is_not_aligned() {
        use Width::{Byte, Dword, Qword, Word};
        let cut = |offset, width| pieces(offset, width).collect::<Vec<_>>();
        assert_eq!(cut(0x80, Qword), [(0x80, Qword)]);
        assert_eq!(cut(0x84, Qword), [(0x84, Dword), (0x88, Dword)]);
        assert_eq!(cut(0x22, Dword), [(0x22, Word), (0x24, Word)]);
        assert_eq!(cut(0x21, Dword), [(0x21, Byte), (0x22, Word), (0x24, Byte)]);
        assert_eq!(
            cut(0x81, Qword),
            [(0x81, Byte), (0x82, Word), (0x84, Dword), (0x88, Byte)]
        );
    }
}
