//! How a request's buffers reach the driver, and how the output comes back.
//!
//! "Methods for Accessing Data Buffers" says what each way gives the driver; "Buffer Descriptions for I/O Control Codes" says
//! where. What the I/O manager looks at before it makes an IRP, it looks at in the context of the requesting thread.

use ntlayout::{io_stack_location as stack, irp as layout};

use super::{
    irp::IoStatus,
    mdl,
    violation::{IoRule, violation},
};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::{UserRange, Va, mdl::Operation},
    status::NtStatus,
};

/// `IRP_BUFFERED_IO`, `IRP_DEALLOCATE_BUFFER`, `IRP_INPUT_OPERATION`, `IRP_READ_OPERATION`, `IRP_WRITE_OPERATION` of an IRP's flags.
pub(super) const IRP_BUFFERED_IO: u32 = 0x0000_0010;
pub(super) const IRP_DEALLOCATE_BUFFER: u32 = 0x0000_0020;
pub(super) const IRP_INPUT_OPERATION: u32 = 0x0000_0040;
pub(super) const IRP_READ_OPERATION: u32 = 0x0000_0100;
pub(super) const IRP_WRITE_OPERATION: u32 = 0x0000_0200;

/// How a buffer is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    /// In a system buffer.
    Buffered,
    /// By an MDL, locked for this.
    Direct(Operation),
    /// By its address.
    Neither,
}

/// What a program asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Transfer {
    /// `NtReadFile` into a buffer.
    Read(UserRange, Passing),
    /// `NtWriteFile` of a buffer.
    Write(UserRange, Passing),
    /// `NtDeviceIoControlFile`, with what the control code says of the output buffer; a direct request's input is buffered.
    Control {
        input: UserRange,
        output: UserRange,
        passing: Passing,
    },
}

/// The system's side of a request's buffers.
#[derive(Debug)]
pub(super) struct Buffers {
    transfer: Transfer,
    /// `AssociatedIrp.SystemBuffer`; null where there is none.
    system_buffer: Va,
    /// `MdlAddress`; null where there is none.
    list: Va,
}

impl Buffers {
    /// Probes and captures a request's buffers; the status with which the request is refused.
    pub(super) fn capture(k: &Kernel, transfer: Transfer) -> Outcome<Result<Self, NtStatus>> {
        if let Err(status) = probe(k, transfer) {
            return Ok(Err(status));
        }
        let (copied_in, room, locked) = match transfer {
            Transfer::Read(buffer, Passing::Buffered) => (UserRange::NONE, buffer.length, None),
            Transfer::Write(buffer, Passing::Buffered) => (buffer, buffer.length, None),
            Transfer::Read(buffer, Passing::Direct(operation))
            | Transfer::Write(buffer, Passing::Direct(operation)) => (UserRange::NONE, 0, Some((buffer, operation))),
            Transfer::Control { input, output, passing } => match passing {
                Passing::Buffered => (input, input.length.max(output.length), None),
                Passing::Direct(operation) => (input, input.length, Some((output, operation))),
                Passing::Neither => (UserRange::NONE, 0, None),
            },
            Transfer::Read(..) | Transfer::Write(..) => (UserRange::NONE, 0, None),
        };
        let input = match k.read_user(copied_in) {
            Ok(input) => input,
            Err(status) => return Ok(Err(status)),
        };
        let list = match locked {
            Some((buffer, operation)) if buffer.length != 0 => match mdl::lock_buffer(k, buffer, operation)? {
                Ok(list) => list,
                Err(status) => return Ok(Err(status)),
            },
            _ => Va::NULL,
        };
        let system_buffer = if room == 0 {
            Va::NULL
        } else {
            if !k.has_pool(room.into()) {
                return Ok(Err(NtStatus::INSUFFICIENT_RESOURCES));
            }
            let buffer = k.allocate_system(room as usize, "system buffer")?;
            // Windows leaves there what was in memory before, and gives it to the program when a driver returns more than it wrote.
            k.fill(buffer, k.config().stale_byte, room as usize)?;
            k.write_bytes(buffer, &input)?;
            buffer
        };
        Ok(Ok(Self {
            transfer,
            system_buffer,
            list,
        }))
    }

    /// Fills in what the driver finds in the IRP.
    pub(super) fn describe(&self, k: &Kernel, irp: Va, location: Va) -> Outcome<()> {
        k.write(irp + layout::SYSTEM_BUFFER, self.system_buffer)?;
        k.write(irp + layout::MDL_ADDRESS, self.list)?;
        let deallocate = if self.system_buffer.is_null() {
            0
        } else {
            IRP_DEALLOCATE_BUFFER
        };
        let (flags, user_buffer) = match self.transfer {
            Transfer::Read(buffer, Passing::Buffered) => {
                let flags = IRP_READ_OPERATION | IRP_BUFFERED_IO | IRP_INPUT_OPERATION | deallocate;
                (flags, buffer.address)
            }
            Transfer::Write(_, Passing::Buffered) => (IRP_WRITE_OPERATION | IRP_BUFFERED_IO | deallocate, Va::NULL),
            // The address is there in any case; a driver that does direct I/O has no use for it.
            Transfer::Read(buffer, _) => (IRP_READ_OPERATION, buffer.address),
            Transfer::Write(buffer, _) => (IRP_WRITE_OPERATION, buffer.address),
            Transfer::Control { input, output, passing } => match passing {
                Passing::Buffered | Passing::Direct(_) if deallocate == 0 => (0, output.address),
                Passing::Buffered if output.length != 0 => {
                    (IRP_BUFFERED_IO | deallocate | IRP_INPUT_OPERATION, output.address)
                }
                Passing::Buffered | Passing::Direct(_) => (IRP_BUFFERED_IO | deallocate, output.address),
                Passing::Neither => {
                    k.write(location + stack::TYPE3_INPUT_BUFFER, input.address)?;
                    (0, output.address)
                }
            },
        };
        k.write(irp + layout::FLAGS, flags)?;
        k.write(irp + layout::USER_BUFFER, user_buffer)
    }

    /// The request has ended: gives the program what it gets from the system buffer, and says how the request ended for it. An error
    /// gives it nothing; a warning does.
    pub(super) fn finish(&self, k: &Kernel, irp: Va, io_status: IoStatus) -> Outcome<IoStatus> {
        let mut ended = io_status;
        let output = match self.transfer {
            Transfer::Read(buffer, _) => buffer,
            Transfer::Write(..) => UserRange::NONE,
            Transfer::Control { output, .. } => output,
        };
        let copied_out = match self.transfer {
            Transfer::Read(_, passing) | Transfer::Control { passing, .. } => passing == Passing::Buffered,
            Transfer::Write(..) => false,
        };
        if copied_out && !io_status.status.is_error() {
            let length = usize::try_from(io_status.information).unwrap_or(usize::MAX);
            if length > output.length as usize {
                let message = format!(
                    "the request was completed with {} bytes of output, but its output buffer has {}",
                    io_status.information, output.length
                );
                return Err(violation(k, IoRule::INFORMATION_TOO_LARGE, irp, Va::NULL, message));
            }
            if length != 0 {
                let bytes = k.read_bytes(self.system_buffer, length)?;
                if let Err(status) = k.write_user(output.address, &bytes) {
                    ended.status = status;
                }
            }
        }
        if !self.system_buffer.is_null() {
            k.free_system(self.system_buffer)?;
        }
        Ok(ended)
    }
}

/// What the system services look at first. Of `METHOD_NEITHER`'s buffers they look at nothing.
fn probe(k: &Kernel, transfer: Transfer) -> Result<(), NtStatus> {
    let for_read = |range: UserRange| {
        if range.is_user() {
            Ok(())
        } else {
            Err(NtStatus::ACCESS_VIOLATION)
        }
    };
    let for_write = |range| k.user_pages(range, true).map(|_| ());
    match transfer {
        Transfer::Read(buffer, _) => for_write(buffer),
        Transfer::Write(buffer, _) => for_read(buffer),
        Transfer::Control {
            passing: Passing::Neither,
            ..
        } => Ok(()),
        Transfer::Control { input, output, passing } => {
            for_read(input)?;
            if passing == Passing::Buffered {
                for_write(output)?;
            }
            Ok(())
        }
    }
}
