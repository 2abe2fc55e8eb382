//! The lower half of the address space: the memory of programs.
//!
//! On Windows a user address means something in the process that it belongs to, and only below `DISPATCH_LEVEL`, since the memory
//! behind it is pageable. Here, memory is there for the threads of the process that allocated it, for those that have attached to that
//! process, and for those that have sent a request with it. Anywhere else, in a thread of the system's, in a DPC, an ISR, or with a spin
//! lock held, an access stops the machine as it would stop Windows with Driver Verifier, which takes pageable memory away whenever the
//! IRQL is raised.

use std::collections::BTreeMap;

use super::{
    PAGE_SIZE, Pa, Protection, USER_PROBE_ADDRESS, Va,
    frames::{FRAMES_PER_CHUNK, Frames},
    layout,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, VerifierRule},
    cpu::Access,
    ke::Irql,
    kernel::Kernel,
    ps::{self, ProcessId},
    sched::ThreadId,
    status::NtStatus,
};

/// What fresh memory of a program's holds.
const ZEROED_PAGE: [u8; 0x1000] = [0; 0x1000];

/// Views begin at a multiple of it.
const VIEW_GRANULARITY: u64 = 0x1_0000;

/// A range of a program's addresses, as a system call is given it. Nothing need be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserRange {
    /// Where it starts.
    pub address: Va,
    /// Its length, in bytes.
    pub length: u32,
}

impl UserRange {
    /// A null pointer, and no bytes.
    pub const NONE: Self = Self {
        address: Va::NULL,
        length: 0,
    };

    /// Whether the range lies where programs can have memory: the part of `ProbeForRead` and `ProbeForWrite` that they have in
    /// common. A range of no bytes lies anywhere.
    #[must_use]
    pub fn is_user(self) -> bool {
        let end = self.address.get().checked_add(u64::from(self.length));
        self.length == 0 || end.is_some_and(|end| end <= USER_PROBE_ADDRESS.get())
    }
}

/// Memory that a program has allocated.
#[derive(Debug)]
struct Region {
    frames: Vec<Pa>,
    writable: bool,
    /// The process that it is there for.
    process: ProcessId,
    /// Threads of other processes that it is there for: they have sent a request with it.
    threads: Vec<ThreadId>,
    /// The frames are others': a view of a section, or of physical memory.
    is_view: bool,
    /// A driver has made it.
    by_driver: bool,
}

/// Why a program's memory cannot be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserFault {
    /// Nothing is there, or it may not be written to.
    AccessViolation,
    /// It is another thread's.
    OtherThread,
    /// The IRQL is too high.
    Irql,
    /// The driver has not made sure that the address is a program's.
    NotProbed,
}

/// Addresses that a driver has found to be a program's.
#[derive(Clone, Copy, Debug)]
struct Probed {
    start: Va,
    length: u64,
    write: bool,
}

/// The memory of programs.
#[derive(Debug, Default)]
pub struct UserSpace {
    by_start: BTreeMap<Va, Region>,
    next: u64,
    frames: Frames,
    /// What the driver has probed in the context of each thread, while it serves that thread's call.
    probed: BTreeMap<ThreadId, Vec<Probed>>,
    /// The process whose memory each thread sees: its own, or one that it has attached to. The others see the System process's.
    contexts: BTreeMap<ThreadId, ProcessId>,
}

impl UserSpace {
    /// Where the byte at `va` is, whoever asks, and how it may be accessed.
    pub(crate) fn find(&self, va: Va) -> Option<(Pa, Protection)> {
        let (&start, region) = self.by_start.range(..=va).next_back()?;
        let page = usize::try_from((va - start) / PAGE_SIZE).ok()?;
        let protection = if region.writable {
            Protection::READ_WRITE
        } else {
            Protection::READ
        };
        let frame = *region.frames.get(page)?;
        Some((frame + u64::from(va.offset_in_page()), protection))
    }

    /// As [`find`](Self::find), for an access that `thread` makes at `irql`.
    pub(crate) fn find_for(&self, va: Va, thread: Option<ThreadId>, irql: Irql) -> Result<(Pa, Protection), UserFault> {
        let found = self.find(va).ok_or(UserFault::AccessViolation)?;
        let (_, region) = self.by_start.range(..=va).next_back().expect("it was found");
        if irql >= Irql::DISPATCH {
            return Err(UserFault::Irql);
        }
        let shared = thread.is_some_and(|thread| region.threads.contains(&thread));
        if !shared && self.context(thread) != region.process {
            return Err(UserFault::OtherThread);
        }
        Ok(found)
    }

    /// The driver has probed `length` bytes from `start` on, or locked its pages with a probe, in the context of `thread`.
    pub(crate) fn note_probe(&mut self, thread: Option<ThreadId>, start: Va, length: u64, write: bool) {
        if let Some(thread) = thread {
            let probed = Probed { start, length, write };
            self.probed.entry(thread).or_default().push(probed);
        }
    }

    /// Whether some of the page at `page` was probed in the context of `thread`, for such an access. Programs can name any address, those of the
    /// system included, so that an address from a program is one of a program's only after `ProbeForRead`, `ProbeForWrite` or
    /// `MmProbeAndLockPages` has said so.
    ///
    /// What a driver has mapped or allocated by itself it knows.
    pub(crate) fn is_probed(&self, page: Va, thread: Option<ThreadId>, write: bool) -> bool {
        let region = self.by_start.range(..=page).next_back();
        if region.is_some_and(|(_, region)| region.by_driver) {
            return true;
        }
        let probed = thread.and_then(|thread| self.probed.get(&thread));
        probed.is_some_and(|probed| {
            probed.iter().any(|range| {
                let end = range.start + range.length;
                range.start.page() <= page.page() && page.page() < end && (range.write || !write)
            })
        })
    }

    /// No routine of the driver's runs in the context of `thread` any more: what it has probed is the program's to change.
    pub(crate) fn forget_probes(&mut self, thread: ThreadId) {
        self.probed.remove(&thread);
    }

    /// The process whose memory a thread sees.
    fn context(&self, thread: Option<ThreadId>) -> ProcessId {
        let context = thread.and_then(|thread| self.contexts.get(&thread));
        context.copied().unwrap_or(ProcessId::SYSTEM)
    }

    /// From now on a thread sees the memory of `process`.
    pub(crate) fn set_context(&mut self, thread: ThreadId, process: ProcessId) {
        self.contexts.insert(thread, process);
    }

    /// Takes the address range for `pages` more pages, from a multiple of `granularity` on.
    fn take_range(&mut self, pages: u64, granularity: u64) -> Va {
        self.next = self.next.next_multiple_of(granularity);
        let start = layout::USER + self.next;
        self.next += (pages + 1) * PAGE_SIZE;
        start
    }

    /// `thread` sends a request with the memory at `va`.
    pub(crate) fn share(&mut self, va: Va, thread: ThreadId) {
        if let Some((_, region)) = self.by_start.range_mut(..=va).next_back()
            && !region.threads.contains(&thread)
        {
            region.threads.push(thread);
        }
    }

    /// Whether a frame is there for programs and not locked: a device must not access it.
    #[must_use]
    pub fn is_unlocked(&self, pa: Pa) -> bool {
        let frame = Pa(pa.0 & !(PAGE_SIZE - 1));
        self.frames.contains(frame) && self.frames.locks(frame).is_none_or(|locks| locks == 0)
    }

    /// Locks the frame that holds `pa`. Says whether it is a program's; other memory is always resident.
    pub(crate) fn lock(&mut self, pa: Pa) -> bool {
        self.frames.lock(pa)
    }
}

/// The bug check for an access of a driver's to a program's memory that is not there for it.
pub(crate) fn bugcheck(k: &Kernel, va: Va, access: Access, fault: UserFault, pc: Va) -> BugCheck {
    let operation = u64::from(access == Access::Write);
    let verb = access.verb();
    match fault {
        UserFault::Irql => BugCheck::new(
            Code::DRIVER_IRQL_NOT_LESS_OR_EQUAL,
            [va.get(), u64::from(k.irql().0), operation, pc.get()],
            "user-memory-at-dispatch",
            format!(
                "{va} in a program's memory, which is pageable, was {verb} at {pc}, at {}",
                k.irql()
            ),
        ),
        UserFault::NotProbed => BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [
                VerifierRule::USER_MEMORY_NOT_PROBED.subcode,
                va.get(),
                operation,
                pc.get(),
            ],
            "user-memory-not-probed",
            format!(
                "{va}, an address of a program's choice, was {verb} at {pc}, but was not probed: {} comes first, or a locked MDL, or the \
                 request's system buffer is used instead",
                if access == Access::Write {
                    "ProbeForWrite"
                } else {
                    "ProbeForRead"
                }
            ),
        ),
        UserFault::OtherThread | UserFault::AccessViolation => BugCheck::new(
            Code::KMODE_EXCEPTION_NOT_HANDLED,
            [u64::from(NtStatus::ACCESS_VIOLATION.0), pc.get(), operation, va.get()],
            "user-memory",
            if fault == UserFault::OtherThread {
                format!(
                    "{va} was {verb} at {pc}: a program's memory, but not in the context of the thread it belongs to"
                )
            } else {
                format!("{va} in a program's memory was {verb} at {pc}, which its protection does not allow")
            },
        ),
    }
}

impl Kernel {
    /// Allocates `length` bytes of zeroed memory for the program that the current thread is of, `offset` bytes into a page.
    #[must_use]
    pub(crate) fn allocate_user(&self, offset: u64, length: u64) -> Va {
        self.allocate_user_in(ps::current(self), offset, length)
    }

    /// The same, in a process.
    #[must_use]
    pub(crate) fn allocate_user_in(&self, process: ProcessId, offset: u64, length: u64) -> Va {
        let pages = (offset + length).div_ceil(PAGE_SIZE).max(1);
        let mut frames = Vec::new();
        for _ in 0..pages {
            frames.push(self.take_frame());
        }
        let mut user = self.watch().user.borrow_mut();
        let start = user.take_range(pages, PAGE_SIZE);
        let region = Region {
            frames,
            writable: true,
            process,
            threads: Vec::new(),
            is_view: false,
            by_driver: false,
        };
        user.by_start.insert(start, region);
        start + offset
    }

    /// A driver has made the memory at `va`, and need not probe it.
    pub(crate) fn note_made_by_driver(&self, va: Va) {
        if let Some(region) = self.watch().user.borrow_mut().by_start.get_mut(&va.page()) {
            region.by_driver = true;
        }
    }

    /// Makes frames that others have visible to a process.
    pub(crate) fn map_view(&self, process: ProcessId, frames: Vec<Pa>, writable: bool) -> Va {
        let mut user = self.watch().user.borrow_mut();
        let start = user.take_range(frames.len() as u64, VIEW_GRANULARITY);
        let region = Region {
            frames,
            writable,
            process,
            threads: Vec::new(),
            is_view: true,
            by_driver: true,
        };
        user.by_start.insert(start, region);
        start
    }

    /// Where the view or allocation of a process that holds `va` starts, how long it is, and whether it is a view.
    pub(crate) fn user_region(&self, process: ProcessId, va: Va) -> Option<(Va, u64, bool)> {
        let user = self.watch().user.borrow();
        let (&start, region) = user.by_start.range(..=va).next_back()?;
        let length = region.frames.len() as u64 * PAGE_SIZE;
        (region.process == process && va - start < length).then_some((start, length, region.is_view))
    }

    fn take_frame(&self) -> Pa {
        if self.watch().user.borrow().frames.free() == 0 {
            let chunk = self.reserve_ram(FRAMES_PER_CHUNK * PAGE_SIZE);
            self.watch().user.borrow_mut().frames.add_chunk(chunk);
        }
        let frame = self
            .watch()
            .user
            .borrow_mut()
            .frames
            .take()
            .expect("there is a free one");
        self.engine().borrow_mut().write(frame, &ZEROED_PAGE);
        frame
    }

    /// Frees what [`allocate_user`](Self::allocate_user) has allocated. Frames that are locked stay until they are unlocked.
    ///
    /// Memory that a driver has secured stays.
    pub(crate) fn free_user(&self, va: Va) {
        if super::secure::forbids(self, va.page(), self.user_length(va), None) {
            return;
        }
        let region = self.watch().user.borrow_mut().by_start.remove(&va.page());
        let Some(region) = region else {
            return;
        };
        self.engine().borrow_mut().flush_translations();
        if region.is_view {
            return;
        }
        for frame in region.frames {
            let free = self.watch().user.borrow_mut().frames.unmap(frame);
            self.recycle(frame, free);
        }
    }

    /// The bytes of the allocation that starts in the page of `va`; 0 when none does.
    fn user_length(&self, va: Va) -> u64 {
        let user = self.watch().user.borrow();
        user.by_start
            .get(&va.page())
            .map_or(0, |region| region.frames.len() as u64 * PAGE_SIZE)
    }

    /// Unlocks a program's frame.
    pub(crate) fn unlock_frame(&self, frame: Pa) {
        let free = self.watch().user.borrow_mut().frames.unlock(frame);
        self.recycle(frame, free);
    }

    /// What was done to a frame says nothing about its next life.
    fn recycle(&self, frame: Pa, free: bool) {
        if free {
            self.watch().sharing.borrow_mut().free(frame.0..frame.0 + PAGE_SIZE);
        }
    }

    /// Lets a program's memory be read only, or written to as well.
    ///
    /// Memory that a driver has secured as writable stays writable.
    pub(crate) fn protect_user(&self, va: Va, writable: bool) {
        if super::secure::forbids(self, va.page(), self.user_length(va), Some(writable)) {
            return;
        }
        if let Some(region) = self.watch().user.borrow_mut().by_start.get_mut(&va.page()) {
            region.writable = writable;
        }
        self.engine().borrow_mut().flush_translations();
    }

    /// Reads a program's memory on the program's behalf.
    ///
    /// # Errors
    /// `STATUS_ACCESS_VIOLATION` when some of it is not there.
    pub(crate) fn read_user(&self, range: UserRange) -> Result<Vec<u8>, NtStatus> {
        let pages = self.user_pages(range, false)?;
        let mut bytes = vec![0; range.length as usize];
        for (pa, part) in pages {
            self.engine().borrow().read(pa, &mut bytes[part]);
        }
        Ok(bytes)
    }

    /// Writes a program's memory on the program's behalf. It writes all of it, or nothing.
    ///
    /// # Errors
    /// `STATUS_ACCESS_VIOLATION` when some of it is not there, or may not be written to.
    pub(crate) fn write_user(&self, address: Va, bytes: &[u8]) -> Result<(), NtStatus> {
        let length = u32::try_from(bytes.len()).map_err(|_| NtStatus::ACCESS_VIOLATION)?;
        for (pa, part) in self.user_pages(UserRange { address, length }, true)? {
            self.engine().borrow_mut().write(pa, &bytes[part]);
        }
        Ok(())
    }

    /// The pages of a range: where the bytes are, and which of the range's they are.
    ///
    /// # Errors
    /// `STATUS_ACCESS_VIOLATION` when one is missing, or may not be written to.
    pub(crate) fn user_pages(
        &self,
        range: UserRange,
        write: bool,
    ) -> Result<Vec<(Pa, std::ops::Range<usize>)>, NtStatus> {
        if !range.is_user() {
            return Err(NtStatus::ACCESS_VIOLATION);
        }
        let user = self.watch().user.borrow();
        let (mut pages, length) = (Vec::new(), range.length as usize);
        let mut done = 0;
        while done < length {
            let va = range.address + done;
            let (pa, protection) = user.find(va).ok_or(NtStatus::ACCESS_VIOLATION)?;
            if write && !protection.write {
                return Err(NtStatus::ACCESS_VIOLATION);
            }
            let in_page = ZEROED_PAGE.len() - va.offset_in_page() as usize;
            let end = length.min(done + in_page);
            pages.push((pa, done..end));
            done = end;
        }
        Ok(pages)
    }
}
