//! Requests of the driver's own to the driver below.

use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomPinned;
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::{
    IO_STATUS_BLOCK, KEVENT, METHOD_BUFFERED, ULONG,
    ntddk::{IoBuildDeviceIoControlRequest, IofCallDriver, KeAreAllApcsDisabled},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    device::{DeviceInit, Header},
    error::{Error, Result},
    event::StackEvent,
    irp::METHOD_MASK,
    irql::{Irql, Passive},
    status::Status,
};

/// A buffered device control request of the driver's own to the driver below: its code, and what it carries.
///
/// # Safety
/// The lower driver gets the request from the kernel (`Irp->RequestorMode` is `KernelMode`): what its input names it uses without the checks that
/// it has for a program's. So for no value of `Input` may it take a part of that for the address of memory, virtual or physical, or for a handle, or
/// for a pointer to an object. `IOCTL_SCSI_PASS_THROUGH_DIRECT`, whose input has the address of a data buffer, is no such request.
///
/// That holds for every driver that can be below a device of this driver: a code means one thing in one stack, another in another. What those drivers make
/// of it is in their documentation, which whoever implements this trait has read.
///
/// See [Buffer Descriptions for I/O Control Codes](https://learn.microsoft.com/windows-hardware/drivers/kernel/buffer-descriptions-for-i-o-control-codes).
pub unsafe trait LowerRequest {
    /// The I/O control code. Another transfer method than `METHOD_BUFFERED` does not compile.
    const CODE: u32;

    /// Whether it is sent as `IRP_MJ_INTERNAL_DEVICE_CONTROL`, which no program can send, and not as `IRP_MJ_DEVICE_CONTROL`.
    const INTERNAL: bool = false;

    /// What the lower driver is told; `()` for nothing.
    type Input: IntoBytes + Immutable + ?Sized;

    /// What it answers; `()` for nothing.
    type Output: FromBytes + IntoBytes + ?Sized;
}

/// The device below in the device stack, to send requests of the driver's own to.
///
/// ```no_run
/// use wdm::{Error, Irql, LowerDevice, LowerRequest, Result, irql::Passive};
///
/// /// How many ports there are.
/// enum QueryPorts {}
///
/// // SAFETY: the request has no input.
/// unsafe impl LowerRequest for QueryPorts {
///     const CODE: u32 = 0x0022_2400;
///     type Input = ();
///     type Output = [u8; 4];
/// }
///
/// /// Asks the lower driver.
/// fn ports(lower: &LowerDevice, irql: &mut Irql<Passive>) -> Result<u32> {
///     let mut output = [0; 4];
///     match lower.device_control::<QueryPorts>(&(), &mut output, irql)? {
///         4 => Ok(u32::from_le_bytes(output)),
///         _ => Err(Error::DEVICE_HARDWARE_ERROR),
///     }
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
        device.place(this, || Ok(()))
    }

    /// Sends the request `R` and waits until it is completed; how many bytes of `output` were written.
    ///
    /// IRQL: `PASSIVE_LEVEL`. DDIs: `IoBuildDeviceIoControlRequest`, `IoCallDriver`, `KeWaitForSingleObject`. The wait has no limit: a driver that
    /// is stopping, or holds requests back, must not make the lower one wait for itself.
    ///
    /// # Errors
    /// What the lower driver completed it with, a warning too. `STATUS_INVALID_PARAMETER` for 4 GiB and more;
    /// `STATUS_DELETE_PENDING` when this device is being removed; `STATUS_INVALID_DEVICE_STATE` where the thread takes no APCs, by
    /// which the I/O manager ends such a request; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn device_control<R: LowerRequest>(
        &self,
        input: &R::Input,
        output: &mut R::Output,
        irql: &mut Irql<Passive>,
    ) -> Result<usize> {
        const {
            assert!(
                R::CODE & METHOD_MASK == METHOD_BUFFERED,
                "the request is not METHOD_BUFFERED"
            );
        };
        let (input, output) = (input.as_bytes(), output.as_mut_bytes());
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
                code: R::CODE,
                internal: R::INTERNAL,
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
    internal: bool,
    input: &'a [u8],
    output: &'a mut [u8],
    event: *mut KEVENT,
    io_status: &'a mut IO_STATUS_BLOCK,
}

impl Request<'_> {
    /// What the lower driver's dispatch routine returned.
    ///
    /// # Safety
    /// `PASSIVE_LEVEL`, with APCs enabled. If this returns `STATUS_PENDING`, what the request borrows must
    /// stay borrowed until the event is set.
    unsafe fn send(self, header: &Header) -> Result<Status> {
        let length = |bytes: &[u8]| ULONG::try_from(bytes.len()).map_err(|_| Error::INVALID_PARAMETER);
        let (input_length, output_length) = (length(self.input)?, length(self.output)?);
        header.lower.call(|lower| {
            // SAFETY: the lower device is there until this closure returns. The I/O manager copies input and output, whose lengths are those of the
            // slices; the caller keeps the rest until the request is over.
            let irp = unsafe {
                IoBuildDeviceIoControlRequest(
                    self.code,
                    lower.as_ptr(),
                    address(self.input).cast_mut(),
                    input_length,
                    address_mut(self.output),
                    output_length,
                    self.internal.into(),
                    self.event,
                    self.io_status,
                )
            };
            let irp = NonNull::new(irp).ok_or(Error::INSUFFICIENT_RESOURCES)?;
            // SAFETY: the IRP is new, and the lower driver's from here on.
            Ok(Status::from_raw(unsafe { IofCallDriver(lower.as_ptr(), irp.as_ptr()) }))
        })?
    }
}

/// Where the bytes are; null if there are none, as the DDI wants it.
const fn address(bytes: &[u8]) -> *const c_void {
    if bytes.is_empty() {
        core::ptr::null()
    } else {
        bytes.as_ptr().cast()
    }
}

/// As [`address`], for bytes to be written.
const fn address_mut(bytes: &mut [u8]) -> *mut c_void {
    if bytes.is_empty() {
        core::ptr::null_mut()
    } else {
        bytes.as_mut_ptr().cast()
    }
}

impl fmt::Debug for LowerDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LowerDevice").finish_non_exhaustive()
    }
}
