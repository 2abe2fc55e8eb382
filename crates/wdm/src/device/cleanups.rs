//! Which file objects have had their `IRP_MJ_CLEANUP`.
//!
//! That request, sent when the last handle of a file object is closed, ends what is in the driver's queues
//! ([DispatchCleanup Routines](https://learn.microsoft.com/windows-hardware/drivers/kernel/dispatchcleanup-routines)). What the driver has outside of them at
//! that moment it does not find: what a dispatch routine has just got, what was taken out of a queue, what comes back from the lower driver. Put
//! into a queue afterwards, such a request would wait for nobody, and for ever. So the device remembers each file object from its CLEANUP until its
//! `IRP_MJ_CLOSE`, which is sent when all its requests have ended, and whoever keeps an IRP asks here first.
//!
//! `FO_CLEANUP_COMPLETE` of the
//! [`FILE_OBJECT`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/ns-wdm-_file_object) is of no use for that: file systems set it, at the
//! end of their own cleanup.
//!
//! A driver can have a file object without a handle, as
//! [`IoGetDeviceObjectPointer`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iogetdeviceobjectpointer) gives it, and make requests
//! for it long after its CLEANUP. So it counts which of the two came first. A program has no request without a handle: one of its requests that comes
//! after the CLEANUP was made by a thread that was overtaken by the one which closed the handle. There is one exception, which counts as that all the
//! same: a driver of another stack that passes a program's request on through a file object of its own, which never had a handle.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use wdk_sys::IRP;

use super::FileObject;
use crate::{
    error::Result,
    irp::{MajorFunction, current_stack_location, is_of_a_program, is_paging_io},
    irql::{AtMostDispatch, Irql, Passive},
    pool::PoolBox,
    spin_lock::SpinLock,
};

/// A moment in the life of a device: tells which of two things happened first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    pub(crate) const fn as_raw(self) -> u64 {
        self.0
    }
}

/// What is asked about an IRP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// What it was made through.
    file: FileObject,
    /// When it came to the device.
    arrived: Moment,
    of_a_program: bool,
}

impl Origin {
    /// # Safety
    /// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
    pub(crate) unsafe fn of(irp: NonNull<IRP>, arrived: Moment) -> Self {
        // SAFETY: promised by the caller.
        let stack = unsafe { current_stack_location(irp) };
        // SAFETY: promised by the caller.
        let of_a_program = unsafe { is_of_a_program(irp) };
        // SAFETY: promised by the caller.
        let is_paging = unsafe { is_paging_io(irp) };
        // The memory manager needs no handle for a file that memory is mapped to.
        let file = if is_paging {
            core::ptr::null_mut()
        } else {
            stack.FileObject
        };
        Self {
            file: FileObject::new(file),
            arrived,
            // Its own CLEANUP is not ended by itself.
            of_a_program: of_a_program && stack.MajorFunction != MajorFunction::CLEANUP.as_raw(),
        }
    }
}

/// The file objects of a device that have had their CLEANUP, and not their CLOSE.
///
/// A CLEANUP [notes](Self::note) its file object first, and then looks through the queues. Whoever puts an IRP into a queue asks under that queue's lock,
/// or after it: so one of the two sees the other.
pub(crate) struct Cleanups {
    /// The next [`Moment`].
    clock: AtomicU64,
    /// How many notes there are, or are being made: mostly none.
    count: AtomicUsize,
    /// What came before this moment belongs to a file object that there was no memory to note, for all that is known.
    unknown_before: AtomicU64,
    lists: SpinLock<Lists>,
}

/// How many notes `AddDevice` makes: CLOSE mostly follows soon, so that there are few at a time.
const RESERVE: usize = 4;

struct Lists {
    notes: List,
    /// Notes that are not in use: nothing is allocated for a handle, unless more are being closed at a time than ever before.
    spare: List,
}

/// A CLEANUP.
struct Note {
    file: FileObject,
    at: Moment,
    next: Option<PoolBox<Note>>,
}

struct List(Option<PoolBox<Note>>);

impl List {
    fn push(&mut self, mut note: PoolBox<Note>) {
        note.next = self.0.take();
        self.0 = Some(note);
    }

    fn pop(&mut self) -> Option<PoolBox<Note>> {
        let mut note = self.0.take()?;
        self.0 = note.next.take();
        Some(note)
    }

    fn iter(&self) -> impl Iterator<Item = &Note> {
        core::iter::successors(self.0.as_deref(), |note| note.next.as_deref())
    }
}

impl Cleanups {
    pub(super) const fn none() -> Self {
        Self {
            clock: AtomicU64::new(1),
            count: AtomicUsize::new(0),
            unknown_before: AtomicU64::new(0),
            lists: SpinLock::new(Lists {
                notes: List(None),
                spare: List(None),
            }),
        }
    }

    /// Makes the first notes. For `AddDevice`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(super) fn reserve(&self, irql: &mut Irql<Passive>) -> Result<()> {
        (0..RESERVE).try_for_each(|_| {
            let note = new_note(irql)?;
            self.lists.with(irql, |_irql, lists| lists.spare.push(note));
            Ok(())
        })
    }

    /// The present moment: every CLEANUP that is noted afterwards is at it, or later.
    pub(crate) fn now(&self) -> Moment {
        Moment(self.clock.load(Ordering::SeqCst))
    }

    /// A number above 0 that is never returned again.
    pub(crate) fn tick(&self) -> Moment {
        Moment(self.clock.fetch_add(1, Ordering::SeqCst))
    }

    /// `IRP_MJ_CLEANUP` of `file` has come.
    ///
    /// Where there is no memory to note that, every IRP that the driver has just now counts as one of the file object's, when it is next to be kept: some
    /// requests that nobody has given up end as cancelled then. A program's request that comes after the CLEANUP is not found in that case: it waits until
    /// it is cancelled, at the latest when its thread ends.
    pub(crate) fn note<L: AtMostDispatch>(&self, file: FileObject, irql: &mut Irql<L>) {
        self.lists.with(irql, |irql, lists| {
            // First of all: who gets a later moment, and so may be no IRP of before, must not find that there are no notes.
            self.count.fetch_add(1, Ordering::SeqCst);
            let at = self.tick();
            let Some(mut note) = lists.spare.pop().or_else(|| new_note(irql).ok()) else {
                self.unknown_before.fetch_max(at.0.saturating_add(1), Ordering::SeqCst);
                self.count.fetch_sub(1, Ordering::SeqCst);
                return;
            };
            note.file = file;
            note.at = at;
            lists.notes.push(note);
        });
    }

    /// `IRP_MJ_CLOSE` of `file` has come: all its requests have ended, and its address may be that of another file object from now on.
    pub(crate) fn forget<L: AtMostDispatch>(&self, file: FileObject, irql: &mut Irql<L>) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        self.lists.with(irql, |_irql, Lists { notes, spare }| {
            let mut all = List(notes.0.take());
            while let Some(note) = all.pop() {
                if note.file == file {
                    self.count.fetch_sub(1, Ordering::SeqCst);
                    spare.push(note);
                } else {
                    notes.push(note);
                }
            }
        });
    }

    /// Frees the notes. For teardown.
    pub(super) fn free(&self, irql: &mut Irql<Passive>) {
        let next = |irql: &mut Irql<Passive>| {
            self.lists
                .with(irql, |_irql, lists| lists.notes.pop().or_else(|| lists.spare.pop()))
        };
        while let Some(note) = next(irql) {
            note.free(irql);
        }
        self.count.store(0, Ordering::SeqCst);
    }

    /// Whether a CLEANUP of its file object has come since the IRP came to the device: then it was outside of the queues.
    pub(crate) fn have_missed<L: AtMostDispatch>(&self, origin: Origin, irql: &mut Irql<L>) -> bool {
        self.are_any(origin, |at| at >= origin.arrived, irql)
    }

    /// Whether no queue may take the IRP: it was [missed](Self::have_missed), or is a program's that came after the program's last handle was closed.
    pub(crate) fn forbid_queueing<L: AtMostDispatch>(&self, origin: Origin, irql: &mut Irql<L>) -> bool {
        self.are_any(origin, |at| origin.of_a_program || at >= origin.arrived, irql)
    }

    /// Whether there is a CLEANUP of the IRP's file object at a moment that `counts`.
    fn are_any<L: AtMostDispatch>(
        &self,
        origin: Origin,
        counts: impl Fn(Moment) -> bool + Sync,
        irql: &mut Irql<L>,
    ) -> bool {
        if origin.file.is_none() {
            return false;
        }
        let is_unknown = || origin.arrived.0 < self.unknown_before.load(Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) == 0 {
            return is_unknown();
        }
        self.lists.with(irql, |_irql, lists| {
            if is_unknown() {
                return true;
            }
            let mut of_file = lists.notes.iter().filter(|note| note.file == origin.file);
            of_file.any(|note| counts(note.at))
        })
    }
}

/// A note for the future.
fn new_note<L: AtMostDispatch>(irql: &mut Irql<L>) -> Result<PoolBox<Note>> {
    let note = Note {
        file: FileObject::new(core::ptr::null_mut()),
        at: Moment(0),
        next: None,
    };
    PoolBox::new(note, irql)
}
