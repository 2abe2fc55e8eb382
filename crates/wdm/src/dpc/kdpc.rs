//! A `KDPC` of the driver's own, without the type of its routine.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::{
    KDPC, PKDPC,
    ntddk::{
        KeInitializeDpc, KeInitializeThreadedDpc, KeInsertQueueDpc, KeRemoveQueueDpc, KeSetImportanceDpc,
        KeSetTargetProcessorDpcEx,
    },
};

use super::DpcSettings;
use crate::{
    device::{Extension, Header, KernelObject, Object},
    error::Result,
    status::Status,
};

/// The routine of a `KDPC`.
pub(super) type Routine = unsafe extern "C" fn(*mut KDPC, *mut c_void, *mut c_void, *mut c_void);

/// Which of the two kinds a `KDPC` is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ordinary,
    Threaded,
}

/// The `KDPC`. Its `DeferredContext` is the device extension.
pub(crate) struct Kdpc {
    raw: UnsafeCell<KDPC>,
    kind: Kind,
    header: NonNull<Header>,
}

impl KernelObject for Kdpc {
    fn object(&self) -> Object {
        match self.kind {
            Kind::Ordinary => Object::NothingToClose,
            Kind::Threaded => Object::ThreadedDpc(NonNull::from(self)),
        }
    }
}

// SAFETY: a KDPC is made to be queued by several processors at a time; the DDIs synchronise. It is written to otherwise before it can be queued. The
// header is `Sync`.
unsafe impl Sync for Kdpc {}

impl Kdpc {
    /// The memory of one, for [`initialize`](Self::initialize).
    pub(super) fn new(kind: Kind, header: NonNull<Header>) -> Self {
        Self {
            raw: UnsafeCell::new(KDPC::default()),
            kind,
            header,
        }
    }

    /// `KeInitializeDpc` or `KeInitializeThreadedDpc`, and what is set for it.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if the processor is not there.
    ///
    /// # Safety
    /// Once, before any other use, in memory where it stays; `routine` must be one for a device of the type `T`.
    pub(super) unsafe fn initialize<T>(
        &self,
        routine: Routine,
        extension: NonNull<Extension<T>>,
        settings: DpcSettings,
    ) -> Result<()> {
        let dpc: PKDPC = self.raw.get();
        let context = extension.as_ptr().cast();
        match self.kind {
            // SAFETY: the memory is nonpaged and stays in place. The context is the extension, which outlives every run of the routine.
            Kind::Ordinary => unsafe { KeInitializeDpc(dpc, Some(routine), context) },
            // SAFETY: as above.
            Kind::Threaded => unsafe { KeInitializeThreadedDpc(dpc, Some(routine), context) },
        }
        // SAFETY: it is initialised, and nobody else knows it yet.
        unsafe { KeSetImportanceDpc(dpc, settings.importance.as_raw()) };
        let Some(processor) = settings.processor else {
            return Ok(());
        };
        let mut number = processor.as_raw();
        // SAFETY: as above. The number is only read.
        let status = unsafe { KeSetTargetProcessorDpcEx(dpc, &raw mut number) };
        Status::from_raw(status).into_result()
    }

    /// `KeInsertQueueDpc`; `false` if it is queued already, or the device is being torn down.
    pub(super) fn insert(&self, argument1: *mut c_void, argument2: *mut c_void) -> bool {
        // SAFETY: the header outlives everything in the extension.
        if !unsafe { self.header.as_ref() }.is_open() {
            return false;
        }
        // SAFETY: the DPC is initialised, and stays so until removal has waited for it to have run.
        let inserted = unsafe { KeInsertQueueDpc(self.raw.get(), argument1, argument2) };
        inserted != 0
    }

    /// `KeRemoveQueueDpc`; whether it was queued, and does not run for that any more.
    pub(crate) fn remove(&self) -> bool {
        // SAFETY: the DPC is initialised.
        let removed = unsafe { KeRemoveQueueDpc(self.raw.get()) };
        removed != 0
    }
}
