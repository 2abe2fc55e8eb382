//! `MmAdvanceMdl`: an MDL describes less of its buffer, from its beginning on.

use ntlayout::mdl as layout;

use super::{Fields, MAPPED_TO_SYSTEM_VA, PARTIAL, SOURCE_IS_NONPAGED_POOL, books};
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{PAGE_SIZE, Va},
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("MmAdvanceMdl", 2, Contract::at_most(Irql::DISPATCH), |k, a| {
        advance(k, a.va(0), a.u32(1))
    });
}

/// Pages that the MDL no longer describes are unlocked at once, and unmapped.
fn advance(k: &Kernel, list: Va, skipped: u32) -> Outcome<NtStatus> {
    let mdl = Fields::read(k, list)?;
    if skipped > mdl.length {
        return Ok(NtStatus::INVALID_PARAMETER_2);
    }
    let frames = super::frames(k, list)?;
    let start = mdl.start + u64::from(skipped);
    let passed = (start.page() - mdl.start.page()) / PAGE_SIZE;
    let passed = usize::try_from(passed).expect("a buffer's pages").min(frames.len());
    super::write_frames(k, list, &frames[passed..])?;
    k.write(list + layout::START_VA, start.page())?;
    k.write(list + layout::BYTE_OFFSET, start.offset_in_page())?;
    k.write(list + layout::BYTE_COUNT, mdl.length - skipped)?;
    if mdl.has(MAPPED_TO_SYSTEM_VA | SOURCE_IS_NONPAGED_POOL) {
        k.write(list + layout::MAPPED_SYSTEM_VA, mdl.system + u64::from(skipped))?;
    }
    unmap_first(k, list, passed as u64);
    if !mdl.has(PARTIAL) {
        let unlocked = {
            let books = books(k);
            let mut books = books.borrow_mut();
            books.locked.get_mut(&list).map(|locked| locked.take_first(passed))
        };
        for frame in unlocked.unwrap_or_default() {
            k.unlock_frame(frame);
        }
    }
    Ok(NtStatus::SUCCESS)
}

fn unmap_first(k: &Kernel, list: Va, pages: u64) {
    let first = {
        let books = books(k);
        let mut books = books.borrow_mut();
        books.mapped.get_mut(&list).map(|mapped| {
            let first = mapped.start;
            mapped.start = first + pages * PAGE_SIZE;
            mapped.pages -= pages.min(mapped.pages);
            first
        })
    };
    let Some(first) = first else {
        return;
    };
    for index in 0..pages {
        k.watch().space.borrow_mut().unmap(first + index * PAGE_SIZE);
    }
    k.engine().borrow_mut().flush_translations();
}
