//! `IoBuildPartialMdl`: part of what another MDL describes.

use ntlayout::mdl as layout;

use super::{
    ALLOCATED_FIXED_SIZE, Fields, IO_SPACE, MAPPED_TO_SYSTEM_VA, PARTIAL, SOURCE_IS_NONPAGED_POOL, WRITE_OPERATION,
    pages_of,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{PAGE_SIZE, Va},
};

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoBuildPartialMdl", 4, contract, |k, a| {
        build_partial(k, a.va(0), a.va(1), a.va(2), a.u32(3))
    });
}

/// Makes `target` describe `length` bytes from `va` on of what `source` describes; all that follow when `length` is 0.
///
/// # Errors
/// When the bytes are not in the source, or the target is too small for their pages.
fn build_partial(k: &Kernel, source: Va, target: Va, va: Va, length: u32) -> Outcome<()> {
    let whole = Fields::read(k, source)?;
    let skipped = va - whole.start;
    let outside = || {
        k.bugcheck(BugCheck::new(
            Code::INVALID_MDL_RANGE,
            [source.get(), target.get(), va.get(), length.into()],
            "mdl-range",
            format!(
                "{length:#x} bytes at {va} are not in the {:#x} bytes at {} of the MDL {source}",
                whole.length, whole.start
            ),
        ))
    };
    let skipped_bytes = u32::try_from(skipped).ok();
    let Some(left) = skipped_bytes.and_then(|skipped| whole.length.checked_sub(skipped)) else {
        return Err(outside());
    };
    let length = if length == 0 { left } else { length };
    if length > left {
        return Err(outside());
    }
    let size: u16 = k.read(target + layout::SIZE_FIELD)?;
    let room = usize::from(size).saturating_sub(layout::SIZE) / super::PFN_SIZE;
    let pages = pages_of(va, length.into());
    if pages > room as u64 {
        return Err(k.bugcheck(BugCheck::new(
            Code::TARGET_MDL_TOO_SMALL,
            [source.get(), target.get(), va.get(), length.into()],
            "mdl-too-small",
            format!("the MDL {target} has room for {room} pages, not {pages}"),
        )));
    }
    let first = usize::try_from((va.page() - whole.start.page()) / PAGE_SIZE).expect("a buffer's pages");
    let frames = super::frames(k, source)?;
    let of_target = &frames[first..first + usize::try_from(pages).expect("a buffer's pages")];
    super::write_frames(k, target, of_target)?;

    let kept: u16 = k.read::<u16>(target + layout::MDL_FLAGS)? & ALLOCATED_FIXED_SIZE;
    let inherited = whole.flags & (SOURCE_IS_NONPAGED_POOL | MAPPED_TO_SYSTEM_VA | WRITE_OPERATION | IO_SPACE);
    let process: Va = k.read(source + layout::PROCESS)?;
    k.write(target + layout::PROCESS, process)?;
    k.write(target + layout::START_VA, va.page())?;
    k.write(target + layout::BYTE_OFFSET, va.offset_in_page())?;
    k.write(target + layout::BYTE_COUNT, length)?;
    k.write(target + layout::MAPPED_SYSTEM_VA, whole.system + skipped)?;
    k.write(target + layout::MDL_FLAGS, kept | inherited | PARTIAL)
}
