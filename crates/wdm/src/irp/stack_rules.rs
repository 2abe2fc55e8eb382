//! What the drivers of a stack rely on when a request is passed down to them.

use wdk_sys::{DO_BUFFERED_IO, DO_DIRECT_IO, METHOD_BUFFERED};

use super::{
    Irp, MajorFunction,
    buffer::{METHOD_MASK, device_flags},
    raw::is_marked_pending,
};
use crate::{
    error::{Error, Result},
    irql::{Irql, NoLockHeld, is_passive},
};

/// How the buffers of reads and writes come.
const BUFFERS: u32 = DO_BUFFERED_IO | DO_DIRECT_IO;

impl Irp<'_> {
    /// Whether the driver may pass the request down: [`forward`](Self::forward) says what it may not.
    pub(super) fn check_forwarding<L: NoLockHeld>(&self, irql: &mut Irql<L>) -> Result<()> {
        // SAFETY: the remove lock, which the IRP has, keeps the header.
        let header = unsafe { self.header.as_ref() };
        let lower = header.lower.device().ok_or(Error::DEVICE_NOT_READY)?;
        if header.cleanups.have_missed(self.origin(), irql) {
            return Err(Error::CANCELLED);
        }
        // SAFETY: this device is attached to it until teardown, which keeps it in memory.
        let lower_flags = unsafe { (*lower.as_ptr()).Flags };
        match self.major_function() {
            MajorFunction::CREATE | MajorFunction::CLEANUP | MajorFunction::CLOSE => Err(Error::INVALID_DEVICE_REQUEST),
            _ if self.is_for_passive_level() && !is_passive() => Err(Error::INVALID_DEVICE_STATE),
            _ if self.has_lost_its_input() => Err(Error::INVALID_DEVICE_REQUEST),
            MajorFunction::READ | MajorFunction::WRITE if self.device_flags() & BUFFERS != lower_flags & BUFFERS => {
                Err(Error::INVALID_DEVICE_REQUEST)
            }
            // SAFETY: the IRP is owned.
            _ if self.may_need_its_thread() && unsafe { is_marked_pending(self.raw) } => {
                Err(Error::INVALID_DEVICE_REQUEST)
            }
            _ => Ok(()),
        }
    }

    /// Whether lower drivers may be sent it at `PASSIVE_LEVEL` only: all but those whose dispatch routines can be called at `DISPATCH_LEVEL`.
    fn is_for_passive_level(&self) -> bool {
        !matches!(
            self.major_function(),
            MajorFunction::READ
                | MajorFunction::WRITE
                | MajorFunction::DEVICE_CONTROL
                | MajorFunction::INTERNAL_DEVICE_CONTROL
        )
    }

    /// Whether output was written where the input was. It would be the lower driver's input, and that driver trusts the one who has sent the request:
    /// if that is a driver, it trusts the addresses in it.
    fn has_lost_its_input(&self) -> bool {
        let request = self.device_control();
        request.is_some_and(|request| request.code & METHOD_MASK == METHOD_BUFFERED) && self.transferred() != 0
    }

    /// Whether the request can hold addresses of the program that has sent it, which are of use in that program's thread only. What a program reads and
    /// writes is data.
    fn may_need_its_thread(&self) -> bool {
        match self.major_function() {
            MajorFunction::READ | MajorFunction::WRITE => self.device_flags() & BUFFERS == 0,
            MajorFunction::DEVICE_CONTROL => self.may_hold_addresses(),
            // The first is sent by drivers, the others have no data of a program's.
            MajorFunction::INTERNAL_DEVICE_CONTROL | MajorFunction::FLUSH_BUFFERS | MajorFunction::SYSTEM_CONTROL => {
                false
            }
            _ => true,
        }
    }

    /// The flags of the device that the request was sent to.
    fn device_flags(&self) -> u32 {
        // SAFETY: the IRP is owned.
        unsafe { device_flags(self.raw) }
    }
}
