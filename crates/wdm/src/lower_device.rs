//! Requests of the driver's own to the driver below.

use core::fmt;
use core::marker::PhantomPinned;
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::{
    IO_STATUS_BLOCK, KEVENT, METHOD_BUFFERED, ULONG,
    ntddk::{IoBuildDeviceIoControlRequest, IofCallDriver, KeAreAllApcsDisabled},
};

use crate::{
    device::{DeviceInit, Header},
    error::{Error, Result},
    event::StackEvent,
    irp::METHOD_MASK,
    irql::{Irql, Passive},
    status::Status,
};

/// The device below in the device stack, to send requests of the driver's own to.
///
/// ```no_run
/// use wdm::{Irql, LowerDevice, Result, irql::Passive};
///
/// /// Asks the lower driver how many ports it has: a buffered request, with four bytes of output.
/// fn ports(lower: &LowerDevice, irql: &mut Irql<Passive>) -> Result<u32> {
///     const QUERY_PORTS: u32 = 0x0022_2400;
///     let mut output = [0; 4];
///     lower.device_control(QUERY_PORTS, &[], &mut output, irql)?;
///     Ok(u32::from_le_bytes(output))
/// }
/// # fn main() {}
/// ```
///
/// See [Creating IRPs for Drivers](https://learn.microsoft.com/windows-hardware/drivers/kernel/creating-irps-for-drivers).
pub struct LowerDevice {
    header: NonNull<Header>,
    _pinned: PhantomPinned,
}

// SAFETY: the header is `Sync`, and outlives everything in the extension.
unsafe impl Sync for LowerDevice {}
// SAFETY: it belongs to no thread.
unsafe impl Send for LowerDevice {}

impl LowerDevice {
    /// The device that this one is attached to when it is used.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension.
    pub fn new<T: 'static>(device: &DeviceInit<'_, T>) -> impl PinInit<Self, Error> {
        let this = Self {
            header: device.header(),
            _pinned: PhantomPinned,
        };
        device.place(this, move |_| Ok(()))
    }

    /// Sends a buffered device control request and waits until it is completed; how many bytes of `output` were written.
    ///
    /// IRQL: `PASSIVE_LEVEL`. DDIs: `IoBuildDeviceIoControlRequest`, `IoCallDriver`, `KeWaitForSingleObject`. The wait has no limit: a driver that
    /// is stopping, or holds requests back, must not make the lower one wait for itself.
    ///
    /// # Errors
    /// What the lower driver completed it with, a warning too. `STATUS_INVALID_PARAMETER` for a code that is not `METHOD_BUFFERED`, or a buffer of
    /// 4 GiB and more; `STATUS_DELETE_PENDING` when this device is being removed; `STATUS_INVALID_DEVICE_STATE` where the thread takes no APCs, by
    /// which the I/O manager ends such a request; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn device_control(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        irql: &mut Irql<Passive>,
    ) -> Result<usize> {
        if code & METHOD_MASK != METHOD_BUFFERED {
            return Err(Error::INVALID_PARAMETER);
        }
        // SAFETY: nothing is demanded.
        if unsafe { KeAreAllApcsDisabled() } != 0 {
            return Err(Error::INVALID_DEVICE_STATE);
        }
        // SAFETY: the header outlives everything in the extension.
        let header = unsafe { self.header.as_ref() };
        let tag = core::ptr::from_ref(self).cast_mut().cast();
        header.remove_lock.acquire(tag, irql)?;
        let mut io_status = IO_STATUS_BLOCK::default();
        let sent = StackEvent::with_wait(irql, |event| {
            let request = Request {
                code,
                input,
                output,
                event,
                io_status: &mut io_status,
            };
            // SAFETY: the event is new and is waited for if the request is under way when this returns; PASSIVE_LEVEL, as the token proves,
            // and APCs are delivered.
            let sent = unsafe { request.send(header) };
            (sent, sent == Ok(Status::PENDING))
        });
        // SAFETY: acquired above; the request is over.
        unsafe { header.remove_lock.release(tag) };
        let status = match sent? {
            // SAFETY: the request is over, so the I/O manager has filled in this member of the union.
            Status::PENDING => Status::from_raw(unsafe { io_status.__bindgen_anon_1.Status }),
            status => status,
        };
        status.into_result()?;
        let written = usize::try_from(io_status.Information).unwrap_or(usize::MAX);
        Ok(written.min(output.len()))
    }
}

/// A request that is about to be sent.
struct Request<'a> {
    code: u32,
    input: &'a [u8],
    output: &'a mut [u8],
    event: *mut KEVENT,
    io_status: &'a mut IO_STATUS_BLOCK,
}

impl Request<'_> {
    /// What the lower driver's dispatch routine returned.
    ///
    /// # Safety
    /// `PASSIVE_LEVEL`, with APCs enabled; the remove lock of `header` must be held. If this returns `STATUS_PENDING`, what the request borrows must
    /// stay borrowed until the event is set.
    unsafe fn send(self, header: &Header) -> Result<Status> {
        let length = |bytes: &[u8]| ULONG::try_from(bytes.len()).map_err(|_| Error::INVALID_PARAMETER);
        let lower = NonNull::new(header.lower()).ok_or(Error::INVALID_DEVICE_STATE)?;
        // SAFETY: the lower device is in our stack as long as the remove lock is held. The I/O manager copies input and output, whose lengths are those
        // of the slices; the caller keeps the rest until the request is over.
        let irp = unsafe {
            IoBuildDeviceIoControlRequest(
                self.code,
                lower.as_ptr(),
                self.input.as_ptr().cast_mut().cast(),
                length(self.input)?,
                self.output.as_mut_ptr().cast(),
                length(self.output)?,
                0,
                self.event,
                self.io_status,
            )
        };
        let irp = NonNull::new(irp).ok_or(Error::INSUFFICIENT_RESOURCES)?;
        // SAFETY: the IRP is new, and the lower driver's from here on.
        Ok(Status::from_raw(unsafe { IofCallDriver(lower.as_ptr(), irp.as_ptr()) }))
    }
}

impl fmt::Debug for LowerDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LowerDevice").finish_non_exhaustive()
    }
}
