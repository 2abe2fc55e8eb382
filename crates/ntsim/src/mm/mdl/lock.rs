//! `MmProbeAndLockPages` and `MmUnlockPages`.

use super::{Fields, PAGES_LOCKED, PARTIAL, SOURCE_IS_NONPAGED_POOL, WRITE_OPERATION, books, verifier};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Contract, Registry},
    exception,
    ke::Irql,
    kernel::Kernel,
    mm::{
        PAGE_SIZE, Pa, UserRange, Va, layout,
        pool::{POOL_BASE, PoolKind},
    },
    sched::Mode,
    status::NtStatus,
};

/// `LOCK_OPERATION`: what the pages are to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `IoReadAccess`: memory is read.
    Read,
    /// `IoWriteAccess`, and `IoModifyAccess`, which is equivalent: memory is read and written.
    Write,
}

/// Who has to unlock the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locker {
    /// The I/O manager: when the request is completed.
    IoManager,
    /// The driver, which locked them at this place.
    Driver(Va),
}

/// Pages that an MDL has locked.
#[derive(Debug)]
pub(super) struct Locked {
    /// Those that are a program's; the system's own memory needs no lock.
    frames: Vec<Pa>,
    /// Those that are pool's, by the addresses that they have there.
    pool: Vec<Va>,
    by: Locker,
}

impl Locked {
    /// Takes the first `pages` of a program's that are no longer the MDL's.
    pub(super) fn take_first(&mut self, pages: usize) -> Vec<Pa> {
        let count = pages.min(self.frames.len());
        self.frames.drain(..count).collect()
    }
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("MmProbeAndLockPages", 3, Contract::ANY, |k, a| {
        const TOO_HIGH: u64 = 0x70;
        let (list, mode, operation) = (a.va(0), a.u8(1), a.u32(2));
        super::check_irql(
            k,
            TOO_HIGH,
            "MmProbeAndLockPages",
            Irql::DISPATCH,
            [list.get(), mode.into()],
        )?;
        let mode = if mode == 0 { Mode::Kernel } else { Mode::User };
        let operation = if operation == 0 {
            Operation::Read
        } else {
            Operation::Write
        };
        match lock(k, list, mode, operation, Locker::Driver(k.caller()))? {
            Ok(()) => Ok(()),
            Err(status) => Err(exception::raise_status(k, "MmProbeAndLockPages", status)),
        }
    });
    ddi.function("MmUnlockPages", 1, Contract::ANY, |k, a| {
        const TOO_HIGH: u64 = 0x78;
        let list = a.va(0);
        super::check_irql(k, TOO_HIGH, "MmUnlockPages", Irql::DISPATCH, [list.get(), 0])?;
        unlock(k, list)
    });
}

/// Probes and locks the pages of the MDL `list`. The inner result is the exception that `MmProbeAndLockPages` would raise.
///
/// # Errors
/// When the MDL cannot be locked as it is.
pub(crate) fn lock(
    k: &Kernel,
    list: Va,
    mode: Mode,
    operation: Operation,
    by: Locker,
) -> Outcome<Result<(), NtStatus>> {
    const INCORRECT_FLAGS: u64 = 0xB0;
    let mdl = Fields::read(k, list)?;
    let wrong =
        mdl.flags & (PAGES_LOCKED | SOURCE_IS_NONPAGED_POOL | PARTIAL | super::MAPPED_TO_SYSTEM_VA | super::IO_SPACE);
    if wrong != 0 || books(k).borrow().locked.contains_key(&list) {
        let message =
            format!("MmProbeAndLockPages was given the MDL {list}, whose pages are locked, or resident, already");
        let parameters = [INCORRECT_FLAGS, list.get(), mdl.flags.into(), wrong.into()];
        return Err(verifier(k, parameters, "mdl-locked-twice", message));
    }
    let frames = if mdl.start.is_system() {
        if mode == Mode::User {
            return Ok(Err(NtStatus::ACCESS_VIOLATION));
        }
        system_frames(k, &mdl, operation)?
    } else {
        match program_frames(k, &mdl, operation)? {
            Ok(frames) => {
                if matches!(by, Locker::Driver(_)) {
                    let (thread, write) = (k.current_thread(), operation == Operation::Write);
                    let mut user = k.watch().user.borrow_mut();
                    user.note_probe(thread, mdl.start, mdl.length.into(), write);
                }
                frames
            }
            Err(status) => return Ok(Err(status)),
        }
    };
    super::write_frames(k, list, &frames)?;
    k.write(list + ntlayout::mdl::PROCESS, process(k))?;
    let write = if operation == Operation::Write {
        WRITE_OPERATION
    } else {
        0
    };
    super::set_flags(k, list, PAGES_LOCKED | write, WRITE_OPERATION)?;
    let pool: Vec<Va> = frames.iter().filter_map(|&frame| pool_page(frame)).collect();
    for &page in &pool {
        k.watch().pool.borrow_mut().lock(page);
    }
    let mut user = k.watch().user.borrow_mut();
    let frames = frames.into_iter().filter(|&frame| user.lock(frame)).collect();
    books(k).borrow_mut().locked.insert(list, Locked { frames, pool, by });
    Ok(Ok(()))
}

/// Where in pool a frame is, when it is pool's.
fn pool_page(frame: Pa) -> Option<Va> {
    let offset = frame - layout::POOL_PHYSICAL;
    (offset < layout::POOL_LENGTH).then(|| POOL_BASE + offset)
}

/// What stands for the process of the current thread.
fn process(k: &Kernel) -> Va {
    k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread))
}

/// The frames behind a program's memory.
fn program_frames(k: &Kernel, mdl: &Fields, operation: Operation) -> Outcome<Result<Vec<Pa>, NtStatus>> {
    if k.irql() > Irql::APC {
        return Err(k.bugcheck(BugCheck::new(
            Code::IRQL_NOT_LESS_OR_EQUAL,
            [mdl.start.get(), k.irql().0.into(), 0, k.caller().get()],
            "user-memory-at-dispatch",
            format!("the pageable memory at {} was to be locked at {}", mdl.start, k.irql()),
        )));
    }
    let range = UserRange {
        address: mdl.start,
        length: mdl.length,
    };
    let here = {
        let user = k.watch().user.borrow();
        mdl.length == 0 || user.find_for(mdl.start, k.current_thread(), k.irql()).is_ok()
    };
    if !here {
        return Ok(Err(NtStatus::ACCESS_VIOLATION));
    }
    let pages = k.user_pages(range, operation == Operation::Write);
    Ok(pages.map(|pages| pages.into_iter().map(|(pa, _)| page(pa)).collect()))
}

/// The frames behind the system's memory, which must be there: an exception here is one that Windows does not let drivers catch.
fn system_frames(k: &Kernel, mdl: &Fields, operation: Operation) -> Outcome<Vec<Pa>> {
    let mut frames = Vec::new();
    let end = mdl.start + u64::from(mdl.length);
    let mut va = mdl.start;
    while va < end {
        let length = (va.page() + PAGE_SIZE).min(end) - va;
        let length = usize::try_from(length).expect("at most a page");
        let (pa, _) = crate::mm::fault::check_access(k, va, length, operation == Operation::Write)?;
        frames.push(page(pa));
        va = va.page() + PAGE_SIZE;
    }
    Ok(frames)
}

/// The frames of an MDL of memory that is always resident; none when it is of other memory.
pub(super) fn resident_frames(k: &Kernel, mdl: &Fields) -> Outcome<Option<Vec<Pa>>> {
    if !mdl.start.is_system() {
        return Ok(None);
    }
    let paged = {
        let pool = k.watch().pool.borrow();
        let block = pool.find(mdl.start);
        mdl.start >= POOL_BASE && block.is_some_and(|block| block.kind == PoolKind::Paged)
    };
    if paged {
        return Ok(None);
    }
    system_frames(k, mdl, Operation::Read).map(Some)
}

fn page(pa: Pa) -> Pa {
    Pa(pa.0 & !(PAGE_SIZE - 1))
}

/// Unlocks the pages of the MDL `list`, and unmaps them first where they are mapped.
///
/// # Errors
/// When they are not locked, or not by `MmProbeAndLockPages`.
pub(crate) fn unlock(k: &Kernel, list: Va) -> Outcome<()> {
    const NEVER_LOCKED: u64 = 0x7C;
    const NONPAGED: u64 = 0x7D;
    const UNEXPECTED_PARTIAL: u64 = 0xB4;
    let mdl = Fields::read(k, list)?;
    let flags = mdl.flags.into();
    let fail = |subcode, fourth, rule, message| Err(verifier(k, [subcode, list.get(), flags, fourth], rule, message));
    if mdl.has(SOURCE_IS_NONPAGED_POOL) {
        let message = format!("MmUnlockPages was given the MDL {list} of nonpaged pool, which is never locked");
        return fail(NONPAGED, 0, "mdl-unlocked-nonpaged", message);
    }
    if mdl.has(PARTIAL) {
        let message = format!("MmUnlockPages was given the partial MDL {list}: its source's pages are another MDL's");
        return fail(UNEXPECTED_PARTIAL, PARTIAL.into(), "mdl-unlocked-partial", message);
    }
    super::unmap_all(k, list)?;
    let Some(locked) = books(k).borrow_mut().locked.remove(&list) else {
        let message = format!("MmUnlockPages was given the MDL {list}, whose pages are not locked");
        return fail(NEVER_LOCKED, 0, "mdl-unlocked-twice", message);
    };
    super::set_flags(k, list, 0, PAGES_LOCKED)?;
    for frame in locked.frames {
        k.unlock_frame(frame);
    }
    for page in locked.pool {
        k.watch().pool.borrow_mut().unlock(page);
    }
    Ok(())
}

/// The pages of `list` stay locked for ever, since the MDL goes.
pub(super) fn left_locked(k: &Kernel, list: Va) -> Halted {
    let books = books(k);
    let (pages, by) = {
        let books = books.borrow();
        let locked = &books.locked[&list];
        (locked.frames.len() as u64, locked.by)
    };
    let place = match by {
        Locker::Driver(place) => place,
        Locker::IoManager => Va::NULL,
    };
    k.bugcheck(BugCheck::new(
        Code::DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS,
        [place.get(), 0, list.get(), pages],
        "pages-left-locked",
        format!("{pages} pages of a program are left locked: the MDL {list}, locked at {place}, was never unlocked"),
    ))
}

/// A program has ended: no page of it may be locked.
///
/// # Errors
/// When the driver has left one so.
pub(crate) fn check_process_end(k: &Kernel) -> Outcome<()> {
    let left = {
        let books = books(k);
        let books = books.borrow();
        let mut of_programs = books.locked.iter().filter(|(_, locked)| !locked.frames.is_empty());
        of_programs.next().map(|(&list, _)| list)
    };
    left.map_or(Ok(()), |list| Err(left_locked(k, list)))
}
