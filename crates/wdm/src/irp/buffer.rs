//! The data that comes with a request, and that it is answered with: see [the table](super#the-data-of-a-request).

use core::ptr::NonNull;

use wdk_sys::{DO_BUFFERED_IO, DO_DIRECT_IO, IRP, MDL, METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_OUT_DIRECT};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{
    Irp, mdl,
    raw::{current_stack_location, information},
    request::{ReadWrite, Transfer, device_control, read_write},
};
use crate::{
    dma::CommonBuffer,
    error::{Error, Result},
    irql::{AtMostDispatch, Irql},
    shared_memory::SharedMemory,
};

/// The transfer method is in the two low bits of an I/O control code.
pub(crate) const METHOD_MASK: u32 = 3;

impl Irp<'_> {
    /// A copy of the input, which is exactly one `T` long.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if the input has another length; `STATUS_INVALID_DEVICE_REQUEST` if the request has no input, or if that
    /// shares its buffer with output that has been written; `STATUS_INVALID_DEVICE_STATE` if it is to be mapped first.
    pub fn read_input<T: FromBytes>(&self) -> Result<T> {
        // SAFETY: the IRP is owned, and stays so while it is borrowed.
        unsafe { input(self.raw, self.information) }?.mapped()?.read_value()
    }

    /// Copies `length` bytes of the input, from `offset` on, to `at` in `buffer`. The caller's memory is mapped for that, a page's length at a time,
    /// unless it [is](Self::map_buffer).
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if they do not lie in both; `STATUS_INSUFFICIENT_RESOURCES` if the system has no room for a mapping; else as
    /// [`read_input`](Self::read_input) and [`CommonBuffer::write`]. What `buffer` has there then is undefined.
    pub fn copy_input_to(&self, offset: usize, buffer: &CommonBuffer, at: usize, length: usize) -> Result<()> {
        // SAFETY: the IRP is owned, and stays so while it is borrowed.
        let input = unsafe { input(self.raw, self.information) }?;
        buffer.with(|memory| {
            input.with(offset, length, |part, done| {
                part.copy_to(0, memory, at.saturating_add(done), part.len())
            })
        })
    }

    /// Appends `value` to the output. What was written is returned to the caller when the request is completed: no other byte
    /// of the buffer is.
    ///
    /// # Errors
    /// `STATUS_BUFFER_TOO_SMALL` if it does not fit; `STATUS_INVALID_DEVICE_REQUEST` if the request has no output;
    /// `STATUS_INVALID_DEVICE_STATE` if it is to be mapped first. Nothing is written then.
    pub fn write_output<T: IntoBytes + Immutable>(&mut self, value: &T) -> Result<()> {
        let bytes = value.as_bytes();
        self.append(bytes.len(), |output, written| output.mapped()?.write(written, bytes))
    }

    /// Appends `length` bytes at `at` in `buffer` to the output, as [`write_output`](Self::write_output) does. The caller's memory is mapped for that,
    /// a page's length at a time, unless it [is](Self::map_buffer).
    ///
    /// # Errors
    /// As there; `STATUS_INSUFFICIENT_RESOURCES` if the system has no room for a mapping; as [`CommonBuffer::read`]. Nothing counts as written then.
    pub fn append_output_from(&mut self, buffer: &CommonBuffer, at: usize, length: usize) -> Result<()> {
        self.append(length, |output, written| {
            buffer.with(|memory| {
                output.with(written, length, |part, done| {
                    memory.copy_to(at.saturating_add(done), part, 0, part.len())
                })
            })
        })
    }

    /// Notes that `length` more bytes of an `IRP_MJ_WRITE` have been written to the device: the caller is told how many when the
    /// request is completed.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` if it is no such request; `STATUS_INVALID_PARAMETER` if that were more bytes than it has.
    pub fn add_written(&mut self, length: usize) -> Result<()> {
        let Some(ReadWrite {
            transfer: Transfer::Write,
            length: all,
            ..
        }) = self.read_write()
        else {
            return Err(Error::INVALID_DEVICE_REQUEST);
        };
        let written = self.information.checked_add(length);
        let written = written.filter(|written| *written <= all as usize);
        self.information = written.ok_or(Error::INVALID_PARAMETER)?;
        Ok(())
    }

    /// Takes back what [`add_written`](Self::add_written) has noted: the device has forgotten it. Nothing, for another request than an `IRP_MJ_WRITE`.
    pub fn forget_written(&mut self) {
        if self
            .read_write()
            .is_some_and(|request| request.transfer == Transfer::Write)
        {
            self.information = 0;
        }
    }

    /// How many bytes of output have been written, or of an `IRP_MJ_WRITE` noted as written. It stays with the request when that goes
    /// through a queue.
    #[must_use]
    pub const fn transferred(&self) -> usize {
        self.information
    }

    /// Maps the caller's memory, if the request comes with any: the buffer of a direct read or write, or the output of
    /// `METHOD_OUT_DIRECT`. The mapping goes when the request is completed.
    ///
    /// All of it is mapped, and a program decides how much that is. A driver that moves the bytes through a [`CommonBuffer`] needs no such mapping:
    /// [`copy_input_to`](Self::copy_input_to) and [`append_output_from`](Self::append_output_from) map what they copy.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`. DDI: `MmGetSystemAddressForMdlSafe`, with `NormalPagePriority` and `MdlMappingNoExecute`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES` if the system has no room for the mapping.
    pub fn map_buffer<L: AtMostDispatch>(&mut self, _irql: &mut Irql<L>) -> Result<()> {
        // SAFETY: the IRP is owned.
        match unsafe { direct_buffer(self.raw) } {
            // SAFETY: the I/O manager has locked the pages of a direct request, until it is completed; the token proves the IRQL.
            Some(mdl) => unsafe { mdl::map(mdl) },
            None => Ok(()),
        }
    }

    /// Calls `write` with the output and how much of it is written, if `length` more bytes fit, and counts them if it succeeds.
    fn append(&mut self, length: usize, write: impl FnOnce(&Data<'_>, usize) -> Result<()>) -> Result<()> {
        // SAFETY: the IRP is owned, and stays so while it is borrowed.
        let output = unsafe { output(self.raw) }?;
        let written = self.information;
        let end = written.checked_add(length).filter(|end| *end <= output.len());
        let end = end.ok_or(Error::BUFFER_TOO_SMALL)?;
        write(&output, written)?;
        self.information = end;
        Ok(())
    }
}

/// A copy of the input of a queued IRP, which is exactly one `T` long.
///
/// # Safety
/// The IRP must be at this driver, in a queue that is locked.
pub(crate) unsafe fn read_input<T: FromBytes>(irp: NonNull<IRP>) -> Result<T> {
    // SAFETY: promised by the caller.
    let written = unsafe { information(irp) };
    // SAFETY: promised by the caller.
    unsafe { input(irp, written) }?.mapped()?.read_value()
}

/// The input or the output of a request.
#[derive(Clone, Copy)]
enum Data<'a> {
    /// Where it can be reached.
    Mapped(SharedMemory<'a>),
    /// In the caller's memory, which is not mapped: so many bytes of what the MDL describes.
    Unmapped { mdl: NonNull<MDL>, length: usize },
}

impl<'a> Data<'a> {
    const fn len(&self) -> usize {
        match self {
            Self::Mapped(memory) => memory.len(),
            Self::Unmapped { length, .. } => *length,
        }
    }

    /// All of it, which must be mapped.
    const fn mapped(&self) -> Result<SharedMemory<'a>> {
        match self {
            Self::Mapped(memory) => Ok(*memory),
            Self::Unmapped { .. } => Err(Error::INVALID_DEVICE_STATE),
        }
    }

    /// Calls `copy` with `length` bytes at `offset`, part by part: each with how many bytes were before it.
    ///
    /// An IRP is owned at `DISPATCH_LEVEL` or below only, so that its memory can be mapped.
    fn with(
        &self,
        offset: usize,
        length: usize,
        mut copy: impl FnMut(&SharedMemory<'_>, usize) -> Result<()>,
    ) -> Result<()> {
        let (mdl, all) = match *self {
            Self::Mapped(memory) => return copy(&memory.part(offset, length)?, 0),
            Self::Unmapped { mdl, length } => (mdl, length),
        };
        if offset.checked_add(length).is_none_or(|end| end > all) {
            return Err(Error::INVALID_PARAMETER);
        }
        let mut done = 0_usize;
        while done < length {
            let part = length.saturating_sub(done).min(mdl::PART);
            // SAFETY: the I/O manager has locked the pages of a direct request, until it is completed.
            unsafe { mdl::with_part(mdl, offset.saturating_add(done), part, |memory| copy(memory, done)) }?;
            done = done.saturating_add(part);
        }
        Ok(())
    }
}

/// Where the input lies. It is for reading. There is none left where `written` bytes of output were put in its place.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked, for `'a`.
unsafe fn input<'a>(irp: NonNull<IRP>, written: usize) -> Result<Data<'a>> {
    // SAFETY: promised by the caller.
    if let Some(request) = unsafe { device_control(irp) } {
        let method = request.code & METHOD_MASK;
        let overwritten = method == METHOD_BUFFERED && written != 0;
        if overwritten || !matches!(method, METHOD_BUFFERED | METHOD_IN_DIRECT | METHOD_OUT_DIRECT) {
            return Err(Error::INVALID_DEVICE_REQUEST);
        }
        // SAFETY: the input of these methods is in the system buffer.
        return unsafe { system_buffer(irp, request.input_length as usize) }.map(Data::Mapped);
    }
    // SAFETY: promised by the caller.
    match unsafe { read_write(irp) } {
        // SAFETY: promised by the caller.
        Some(request) if request.transfer == Transfer::Write => unsafe {
            read_write_buffer(irp, request.length as usize)
        },
        _ => Err(Error::INVALID_DEVICE_REQUEST),
    }
}

/// Where the output goes. It is for writing.
///
/// # Safety
/// As [`input`].
unsafe fn output<'a>(irp: NonNull<IRP>) -> Result<Data<'a>> {
    // SAFETY: promised by the caller.
    if let Some(request) = unsafe { device_control(irp) } {
        let length = request.output_length as usize;
        return match request.code & METHOD_MASK {
            // SAFETY: input and output share the system buffer, which is as long as the longer of the two.
            METHOD_BUFFERED => unsafe { system_buffer(irp, length) }.map(Data::Mapped),
            // SAFETY: the I/O manager has locked the caller's memory for writing.
            METHOD_OUT_DIRECT => unsafe { locked_buffer(irp, length) },
            _ => Err(Error::INVALID_DEVICE_REQUEST),
        };
    }
    // SAFETY: promised by the caller.
    match unsafe { read_write(irp) } {
        // SAFETY: promised by the caller.
        Some(request) if request.transfer == Transfer::Read => unsafe {
            read_write_buffer(irp, request.length as usize)
        },
        _ => Err(Error::INVALID_DEVICE_REQUEST),
    }
}

/// The buffer of a read or write.
///
/// # Safety
/// The IRP must be one, at this driver, and owned or in a queue that is locked, for `'a`.
unsafe fn read_write_buffer<'a>(irp: NonNull<IRP>, length: usize) -> Result<Data<'a>> {
    // SAFETY: promised by the caller.
    let flags = unsafe { device_flags(irp) };
    if flags & DO_DIRECT_IO != 0 {
        // SAFETY: the device's flags say how its buffers come.
        unsafe { locked_buffer(irp, length) }
    } else if flags & DO_BUFFERED_IO != 0 {
        // SAFETY: as above.
        unsafe { system_buffer(irp, length) }.map(Data::Mapped)
    } else {
        Err(Error::INVALID_DEVICE_REQUEST)
    }
}

/// `Irp->AssociatedIrp.SystemBuffer`, which is null where there are no bytes.
///
/// # Safety
/// The IRP must be one whose data is there, `length` bytes of it, at this driver, and owned or in a queue that is locked, for `'a`.
unsafe fn system_buffer<'a>(irp: NonNull<IRP>, length: usize) -> Result<SharedMemory<'a>> {
    if length == 0 {
        return Ok(SharedMemory::empty());
    }
    // SAFETY: promised by the caller.
    let associated = unsafe { &(*irp.as_ptr()).AssociatedIrp };
    // SAFETY: such a request uses this member of the union.
    let buffer = NonNull::new(unsafe { associated.SystemBuffer }.cast()).ok_or(Error::INVALID_PARAMETER)?;
    // SAFETY: the buffer is nonpaged, that long, and the request's until that is completed.
    Ok(unsafe { SharedMemory::new(buffer, length) })
}

/// The pages that `Irp->MdlAddress` describes, which is null where there are no bytes.
///
/// # Safety
/// The IRP must be one whose data is there, at this driver, and owned or in a queue that is locked, for `'a`.
unsafe fn locked_buffer<'a>(irp: NonNull<IRP>, length: usize) -> Result<Data<'a>> {
    if length == 0 {
        return Ok(Data::Mapped(SharedMemory::empty()));
    }
    // SAFETY: promised by the caller.
    let mdl = NonNull::new(unsafe { (*irp.as_ptr()).MdlAddress }).ok_or(Error::INVALID_PARAMETER)?;
    // SAFETY: the MDL is the request's.
    if unsafe { mdl::byte_count(mdl) } < length {
        return Err(Error::INVALID_PARAMETER);
    }
    // SAFETY: as above.
    let Some(address) = (unsafe { mdl::system_address(mdl) }) else {
        return Ok(Data::Unmapped { mdl, length });
    };
    // SAFETY: the pages are locked and mapped, and stay so until the request is completed; the mapping is that long.
    Ok(Data::Mapped(unsafe { SharedMemory::new(address, length) }))
}

/// The MDL that the I/O manager has made for the request, if it has.
///
/// # Safety
/// The IRP must be at this driver, and owned.
unsafe fn direct_buffer(irp: NonNull<IRP>) -> Option<NonNull<MDL>> {
    // SAFETY: promised by the caller.
    let is_direct = match unsafe { device_control(irp) } {
        Some(request) => request.code & METHOD_MASK == METHOD_OUT_DIRECT,
        // SAFETY: promised by the caller.
        None => unsafe { read_write(irp) }.is_some() && unsafe { device_flags(irp) } & DO_DIRECT_IO != 0,
    };
    if !is_direct {
        return None;
    }
    // SAFETY: promised by the caller.
    NonNull::new(unsafe { (*irp.as_ptr()).MdlAddress })
}

/// The flags of the device object that the request was sent to.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
pub(super) unsafe fn device_flags(irp: NonNull<IRP>) -> u32 {
    // SAFETY: promised by the caller.
    let device = unsafe { current_stack_location(irp) }.DeviceObject;
    // SAFETY: a request keeps the device object that it was sent to.
    unsafe { (*device).Flags }
}
