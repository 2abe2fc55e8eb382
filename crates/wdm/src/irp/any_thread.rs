//! Which device control requests may be passed down in another thread than their sender's.

use wdk_sys::{METHOD_BUFFERED, METHOD_NEITHER, METHOD_OUT_DIRECT};

use super::{Irp, buffer::METHOD_MASK, raw::is_of_a_program};

/// A device control request of programs that means the same in every thread, so that it may be [passed down](Irp::forward) after it was queued.
///
/// A driver that passes a request down from a queue does so in whatever thread happens to run, and so in whatever process. The system buffer and the
/// pages that an MDL describes are the same there. An address *in* the system buffer is not: in another process it names other memory, or none, and the
/// lower driver, which takes it for the sender's, reads or writes that.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{AnyThreadRequest, Irql, irql::Dispatch};
///
/// /// Sets the speed.
/// enum SetSpeed {}
///
/// // SAFETY: the input is a number of bits per second.
/// unsafe impl AnyThreadRequest for SetSpeed {
///     const CODE: u32 = 0x0022_2404;
/// }
///
/// /// In a DPC: passes the oldest request down, if it is one that can be.
/// fn pass_on(device: &Device, irql: &mut Irql<Dispatch>) -> bool {
///     device.queue.remove_next(irql, |mut irp, irql| {
///         irp.vouch::<SetSpeed>();
///         irp.forward(irql)
///     })
/// }
/// # fn main() {}
/// ```
///
/// # Safety
/// Whatever a program sends with this code, of whatever length, no driver that can be below a device of this driver may take a part of it for the address
/// of memory, or for a handle, or for anything else that depends on the process or the thread that it runs in. That holds for the input, and for what the
/// program has in the memory that the MDL of `METHOD_IN_DIRECT` or `METHOD_OUT_DIRECT` describes. `IOCTL_SCSI_PASS_THROUGH_DIRECT`, whose
/// input has the address of a data buffer, is no such request. As for [`LowerRequest`](crate::LowerRequest), the drivers' documentation says so, which whoever
/// implements this trait has read.
///
/// See [Errors in Referencing User-Space Addresses](https://learn.microsoft.com/windows-hardware/drivers/kernel/errors-in-referencing-user-space-addresses) and
/// [Creating IOCTL Requests in Drivers](https://learn.microsoft.com/windows-hardware/drivers/kernel/creating-ioctl-requests-in-drivers), which names
/// the SCSI requests.
pub unsafe trait AnyThreadRequest {
    /// The I/O control code. `METHOD_NEITHER`, which hands over addresses and nothing else, does not compile.
    const CODE: u32;
}

impl Irp<'_> {
    /// If it is the device control request `R`, it may be passed down wherever it is. Any other stays what it is.
    ///
    /// That is known until it is queued or passed down: whoever gets it afterwards says it again.
    pub fn vouch<R: AnyThreadRequest>(&mut self) {
        const {
            assert!(
                R::CODE & METHOD_MASK != METHOD_NEITHER,
                "a METHOD_NEITHER request is one of its thread"
            );
        };
        if self.device_control().is_some_and(|request| request.code == R::CODE) {
            self.is_vouched_for = true;
        }
    }

    /// Whether a device control request can hold addresses of the program that has sent it, for all that is known. What a driver has sent holds
    /// addresses of the kernel's at most, which are the same in every process.
    pub(super) fn may_hold_addresses(&self) -> bool {
        let Some(request) = self.device_control() else {
            return true;
        };
        // SAFETY: the IRP is owned.
        let is_of_a_program = unsafe { is_of_a_program(self.raw) };
        match request.code & METHOD_MASK {
            METHOD_NEITHER => true,
            _ if self.is_vouched_for || !is_of_a_program => false,
            // The program has written nothing that the lower driver reads.
            METHOD_BUFFERED | METHOD_OUT_DIRECT => request.input_length != 0,
            _ => true,
        }
    }
}
