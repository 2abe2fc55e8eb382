//! Whether the image says the same of Control Flow Guard in its header and in its load configuration.
//!
//! With the flag and without the table of functions, Windows refuses every indirect call; with the table and without the flag, it
//! checks none. The driver has neither: docs/driver.md says why.

use object::{
    LittleEndian as LE, U32, U64, pe,
    read::{
        ReadRef,
        pe::{ImageNtHeaders, ImageOptionalHeader},
    },
};

use super::{Check, Finding, Image};

/// `GuardCFFunctionTable`, `GuardCFFunctionCount` and `GuardFlags` in `IMAGE_LOAD_CONFIG_DIRECTORY64`.
const TABLE: u64 = 0x80;
const COUNT: u64 = 0x88;
const FLAGS: u64 = 0x90;

/// `IMAGE_GUARD_CF_INSTRUMENTED`: the code checks the targets of its indirect calls.
const INSTRUMENTED: u32 = 0x100;
/// `IMAGE_GUARD_CF_FUNCTION_TABLE_PRESENT`.
const TABLE_PRESENT: u32 = 0x400;

pub fn check(image: &Image<'_>) -> Option<Finding> {
    let optional = image.headers().optional_header();
    let asked_for = optional
        .dll_characteristics()
        .contains(pe::IMAGE_DLLCHARACTERISTICS_GUARD_CF);
    let what = match (asked_for, is_complete(image)) {
        (true, false) => "the flag GUARD_CF is set, and the load configuration has no table of functions",
        (false, true) => "the load configuration is for Control Flow Guard, and the flag GUARD_CF is not set",
        _ => return None,
    };
    Some(Finding {
        check: Check::ControlFlowGuard,
        what: what.to_owned(),
    })
}

/// Whether the load configuration has all that Control Flow Guard needs.
fn is_complete(image: &Image<'_>) -> bool {
    let guard = || {
        let directory = image.data_directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG)?;
        let start = image.file_offset(directory.virtual_address.get(LE))? as u64;
        let wide = |at: u64| image.data.read_at::<U64<LE>>(start + at).ok().map(|it| it.get(LE));
        let flags = image.data.read_at::<U32<LE>>(start + FLAGS).ok()?.get(LE);
        let has_flags = flags & INSTRUMENTED != 0 && flags & TABLE_PRESENT != 0;
        Some(has_flags && wide(TABLE)? != 0 && wide(COUNT)? != 0)
    };
    guard().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sample;

    /// The sample with the flag in its header, and with a load configuration at the start of `.text`, of these flags.
    fn checks(asked_for: bool, flags: Option<u32>) -> Option<Check> {
        const GUARD_CF: u32 = 0x4000 << 16;
        let mut data = sample::image();
        if asked_for {
            let subsystem = u32::from_le_bytes(data[sample::SUBSYSTEM..][..4].try_into().unwrap());
            sample::put_u32(&mut data, sample::SUBSYSTEM, subsystem | GUARD_CF);
        }
        if let Some(flags) = flags {
            sample::put_u32(&mut data, sample::LOAD_CONFIG_DIRECTORY, sample::TEXT_RVA);
            for (at, value) in [(TABLE, 0x1234), (COUNT, 1), (FLAGS, flags)] {
                let at = usize::try_from(at).unwrap();
                sample::put_u32(&mut data, sample::TEXT + at, value);
            }
        }
        check(&Image::parse(&data).unwrap()).map(|finding| finding.check)
    }

    #[test]
    fn an_image_has_both_or_neither() {
        assert_eq!(checks(false, None), None);
        assert_eq!(checks(true, Some(INSTRUMENTED | TABLE_PRESENT)), None);
        assert_eq!(checks(false, Some(0)), None);
    }

    #[test]
    fn one_without_the_other_is_found() {
        let found = Some(Check::ControlFlowGuard);
        assert_eq!(checks(true, None), found);
        assert_eq!(checks(true, Some(INSTRUMENTED)), found);
        assert_eq!(checks(false, Some(INSTRUMENTED | TABLE_PRESENT)), found);
    }
}
