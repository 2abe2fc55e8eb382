//! An IRP that is in a queue.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use wdk_sys::IRP;
use zerocopy::FromBytes;

use crate::{
    device::FileObject,
    error::Result,
    irp::{current_stack_location, note, read_input},
};

/// An IRP in a queue, to look at under the queue's lock.
pub struct QueuedIrp<'a> {
    irp: NonNull<IRP>,
    lifetime: PhantomData<&'a IRP>,
}

impl QueuedIrp<'_> {
    /// # Safety
    /// The IRP must be in a queue of this driver that stays locked as long as the value is used.
    pub(super) const unsafe fn new(irp: NonNull<IRP>) -> Self {
        Self {
            irp,
            lifetime: PhantomData,
        }
    }

    /// The file object that the request was made through.
    #[must_use]
    pub fn file_object(&self) -> FileObject {
        // SAFETY: an IRP in a queue is at this driver.
        FileObject::new(unsafe { current_stack_location(self.irp) }.FileObject)
    }

    /// What [`Irp::set_note`](crate::Irp::set_note) left with it. Of use in a [`CancelSafeQueue`](crate::CancelSafeQueue) only.
    #[must_use]
    pub fn note(&self) -> [u64; 2] {
        // SAFETY: an IRP in a queue is this driver's.
        unsafe { note(self.irp) }
    }

    /// A copy of its input, as [`Irp::read_input`](crate::Irp::read_input) gives it.
    ///
    /// # Errors
    /// As there.
    pub fn read_input<T: FromBytes>(&self) -> Result<T> {
        // SAFETY: an IRP in a queue is this driver's.
        unsafe { read_input(self.irp) }
    }
}

impl fmt::Debug for QueuedIrp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedIrp").finish_non_exhaustive()
    }
}
