//! Forwarding a request to the lower driver.

use core::any::TypeId;
use core::mem::ManuallyDrop;

use super::{
    Disposed, Irp,
    completion::{CompletionRoutine, context, routine_tag, trampoline},
    lower::{pass_down_with_routine, pass_on},
    raw::{complete, mark_pending},
    routine::Routine,
};
use crate::{
    device::Header,
    error::{Error, Result},
    irql::{Irql, NoLockHeld},
    status::Status,
};

impl<'i> Irp<'i> {
    /// Gives the request to the lower driver, which completes it; this one is done with it.
    ///
    /// What the lower driver could not rely on is not passed down, but completed with `STATUS_INVALID_DEVICE_REQUEST`:
    ///
    /// - `IRP_MJ_READ` and `IRP_MJ_WRITE` whose buffers come in another way than the lower device's do, by
    ///   [`IO_METHOD`](crate::DeviceExtension::IO_METHOD) here and by `DO_BUFFERED_IO` or `DO_DIRECT_IO` there. Those of a
    ///   [filter](crate::FilterDevice) never do.
    /// - What can hold addresses of a program's, once it was queued, or has come back in a [`CompletionRoutine`]: they mean something in that program's thread
    ///   only. That is
    ///   - a device control request with `METHOD_NEITHER`: it has nothing but addresses;
    ///   - a device control request with another method, if a program has sent it (`Irp->RequestorMode`) and nobody has [vouched](Self::vouch) for its
    ///     code. The system buffer and the MDL are the same in every thread, an address in what the program has put there is not. There is nothing
    ///     for `METHOD_BUFFERED` and `METHOD_OUT_DIRECT` without input, which need no vouching;
    ///   - a read or write of a stack that does neither buffered nor direct I/O. With one of the two the bytes count as data, in which no driver looks for
    ///     addresses;
    ///   - what is not `IRP_MJ_READ`, `WRITE`, `DEVICE_CONTROL`, `INTERNAL_DEVICE_CONTROL`, `FLUSH_BUFFERS` or `SYSTEM_CONTROL`. What only drivers send has
    ///     addresses of the kernel's, which are the same in every process.
    /// - A device control request with `METHOD_BUFFERED` that output was written for, by this driver or by the lower one the last time: the output lies
    ///   where the input was, and the lower driver trusts the sender of that.
    /// - `IRP_MJ_CREATE`, `IRP_MJ_CLEANUP` and `IRP_MJ_CLOSE`, which a function driver completes itself: the lower driver sees all three of an open,
    ///   or none. A [filter](crate::FilterDevice) has the safe layer pass them down.
    ///
    /// A request whose [handle was closed](super#the-end-of-a-handle) since it came is completed with `STATUS_CANCELLED`: the lower drivers have had the
    /// `IRP_MJ_CLEANUP`, or never see it, and would keep the request.
    ///
    /// Once `IRP_MN_REMOVE_DEVICE` has gone down the lower driver is not called any more: the request is completed with `STATUS_DELETE_PENDING`.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held; `PASSIVE_LEVEL` for what is not `IRP_MJ_READ`, `WRITE`, `DEVICE_CONTROL` or
    /// `INTERNAL_DEVICE_CONTROL`, and is completed with `STATUS_INVALID_DEVICE_STATE` at another. DDIs: `IoSkipCurrentIrpStackLocation`, or `IoCopyCurrentIrpStackLocationToNext` if the IRP was queued;
    /// `IoCallDriver`.
    ///
    /// See [Passing IRPs down the Driver Stack](https://learn.microsoft.com/windows-hardware/drivers/kernel/passing-irps-down-the-driver-stack) and
    /// [Using Neither Buffered Nor Direct I/O](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-neither-buffered-nor-direct-i-o).
    pub fn forward<L: NoLockHeld>(self, irql: &mut Irql<L>) -> Disposed<'i> {
        if let Err(error) = self.check_forwarding(irql) {
            return self.complete(Err(error), irql);
        }
        self.pass_on(irql)
    }

    /// Gives the request to the lower driver, and has `R` called when that has completed it. The request is pending from now on, and its dispatch
    /// routine returns `STATUS_PENDING` whatever the lower driver does: only so may `R` keep the IRP.
    ///
    /// The remove lock is held until `R` has let the IRP go. A request of another device type than `R`'s is completed with
    /// `STATUS_INVALID_PARAMETER`, one whose device is being removed with `STATUS_DELETE_PENDING`, and one for which there is no memory with
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    ///
    /// IRQL: as [`forward`](Self::forward). DDIs: `IoMarkIrpPending`, `IoCopyCurrentIrpStackLocationToNext`, `IoSetCompletionRoutineEx` for every
    /// outcome, `IoCallDriver`.
    pub fn forward_with<R: CompletionRoutine, L: NoLockHeld>(self, irql: &mut Irql<L>) -> Disposed<'i> {
        // SAFETY: the remove lock, which the IRP has, keeps the header.
        let header = unsafe { self.header.as_ref() };
        let ready = self
            .check_forwarding(irql)
            .and_then(|()| check_type::<R>(header))
            .and_then(|()| header.remove_lock.acquire(routine_tag(self.header), irql));
        if let Err(error) = ready {
            return self.complete(Err(error), irql);
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: the IRP is owned.
        unsafe { mark_pending(this.raw) };
        let routine = Routine::new(trampoline::<R>, context(this.arrived));
        // SAFETY: the IRP is owned and given up here, until the routine has it; the token proves the IRQL and that no lock is held. The extension is
        // of the routine's device type, and the remove lock, acquired twice, keeps it until the routine has given that back.
        if let Err(error) = unsafe { pass_down_with_routine(this.raw, header, routine) } {
            // SAFETY: the IRP was not sent, so it is owned still, and given up here; the remove lock is held once more.
            unsafe { complete(this.raw, this.header, error.into(), 0) };
            // SAFETY: acquired above, for the routine that is not called. Nothing of the device is used below.
            unsafe { header.remove_lock.release(routine_tag(this.header)) };
        }
        Disposed::new(Status::PENDING)
    }

    /// As [`forward`](Self::forward), for the safe layer itself, which knows what the request is.
    pub(crate) fn pass_on<L: NoLockHeld>(self, _irql: &mut Irql<L>) -> Disposed<'i> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the remove lock, which the IRP has, keeps the header.
        let header = unsafe { this.header.as_ref() };
        // SAFETY: the IRP is owned and given up here, with the remove lock, which keeps the header; the token proves the IRQL and that no lock is held.
        Disposed::new(unsafe { pass_on(this.raw, header) })
    }
}

/// Whether the extension is that of `R`'s device.
fn check_type<R: CompletionRoutine>(header: &Header) -> Result<()> {
    if header.type_id() == TypeId::of::<R::Device>() {
        Ok(())
    } else {
        Err(Error::INVALID_PARAMETER)
    }
}
