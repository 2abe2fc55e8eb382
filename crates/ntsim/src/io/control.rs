//! `NtDeviceIoControlFile`: device-control requests, and how their buffers reach the driver and come back.
//!
//! "Buffer Descriptions for I/O Control Codes" says what each transfer method gives the driver.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use ntlayout::{device_object, io_stack_location as stack, irp as layout, mdl};

use super::{
    call::call_driver,
    cancel,
    file::{FILE_READ_DATA, FILE_WRITE_DATA, File},
    irp::{self, IoStatus, Major, Record},
    violation::{IoRule, violation},
};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::{PAGE_SIZE, Va},
    sched::Mode,
    status::NtStatus,
};

/// `IRP_BUFFERED_IO`, `IRP_DEALLOCATE_BUFFER`, `IRP_INPUT_OPERATION` of an IRP's flags.
const IRP_BUFFERED_IO: u32 = 0x0000_0010;
const IRP_DEALLOCATE_BUFFER: u32 = 0x0000_0020;
const IRP_INPUT_OPERATION: u32 = 0x0000_0040;

/// What a system buffer holds beyond the input. Windows leaves there what was in memory before, and gives it to the program
/// when a driver returns more than it wrote; so do we, recognisably.
const LEFTOVER: u8 = 0xA5;

/// Where a program's buffers are. Nothing is mapped there: a driver that touches them without probing and mapping them crashes.
const USER_INPUT: Va = Va(0x0000_0200_0000_0000);
/// As [`USER_INPUT`].
const USER_OUTPUT: Va = Va(0x0000_0200_8000_0000);

/// `MDL_MAPPED_TO_SYSTEM_VA | MDL_PAGES_LOCKED`.
const MDL_MAPPED_AND_LOCKED: u16 = 0x0001 | 0x0002;

/// How an I/O control code wants its buffers passed: its lowest two bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Buffered,
    Direct,
    Neither,
}

/// An I/O control code (`CTL_CODE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ControlCode(u32);

impl ControlCode {
    const fn method(self) -> Method {
        match self.0 & 3 {
            0 => Method::Buffered,
            3 => Method::Neither,
            _ => Method::Direct,
        }
    }

    /// The access that the handle must have: `FILE_READ_ACCESS` and `FILE_WRITE_ACCESS` have the values of
    /// `FILE_READ_DATA` and `FILE_WRITE_DATA`.
    const fn access(self) -> u32 {
        (self.0 >> 14) & (FILE_READ_DATA | FILE_WRITE_DATA)
    }
}

/// How a device-control request ended, as the program sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The status.
    pub status: NtStatus,
    /// `IoStatus.Information`; 0 for a request that the system refused by itself.
    pub information: u64,
    /// The bytes that the program's output buffer was given.
    pub output: Vec<u8>,
}

/// A device-control request under way, or ended.
#[derive(Clone, Debug)]
pub struct Request {
    file: Rc<File>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The system refused it; no driver has seen it.
    Refused(NtStatus),
    Sent {
        record: Rc<Record>,
        output: Rc<RefCell<Vec<u8>>>,
    },
}

impl Request {
    /// Its IRP, while and after it is under way; none when the system refused the request.
    #[must_use]
    pub fn irp(&self) -> Option<Va> {
        match &self.state {
            State::Refused(_) => None,
            State::Sent { record, .. } => Some(record.irp()),
        }
    }

    /// How it ended, when it has.
    #[must_use]
    pub fn result(&self) -> Option<Completion> {
        match &self.state {
            State::Refused(status) => Some(Completion {
                status: *status,
                information: 0,
                output: Vec::new(),
            }),
            State::Sent { record, output } => {
                let IoStatus { status, information } = record.result()?;
                Some(Completion {
                    status,
                    information,
                    output: output.borrow().clone(),
                })
            }
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When the machine has stopped.
    ///
    /// # Panics
    /// Never: a request that was waited for has a result.
    pub async fn wait(&self, k: &Kernel) -> Outcome<Completion> {
        if let State::Sent { record, .. } = &self.state {
            record.wait(k).await?;
        }
        Ok(self.result().expect("it has ended"))
    }
}

/// Sends a device-control request: overlapped, so it may still be under way when this returns.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn device_io_control(
    k: &Kernel,
    file: &Rc<File>,
    code: u32,
    input: &[u8],
    output_length: usize,
) -> Outcome<Request> {
    let code = ControlCode(code);
    let refused = |status| Request {
        file: file.clone(),
        state: State::Refused(status),
    };
    if !file.is_open() {
        return Ok(refused(NtStatus::INVALID_HANDLE));
    }
    if !file.allows(code.access()) {
        return Ok(refused(NtStatus::ACCESS_DENIED));
    }
    let top = file.related_device(k)?;
    let output = Rc::new(RefCell::new(Vec::new()));
    let buffers = Rc::new(Buffers::new(k, code.method(), input, output_length)?);
    let finish = {
        let (file, output, buffers) = (file.clone(), output.clone(), buffers.clone());
        move |k: &Kernel, io_status| {
            *output.borrow_mut() = buffers.finish(k, io_status)?;
            file.end_request(k);
            Ok(())
        }
    };
    let record = irp::allocate(
        k,
        irp::Spec {
            major: Major::DEVICE_CONTROL,
            minor: 0,
            stack_size: k.read(top + device_object::STACK_SIZE)?,
            file: Some(file.object()),
            status: None,
            mode: Mode::User,
            finish: Some(Box::new(finish)),
        },
    )?;
    let irp = record.irp();
    buffers.irp.set(irp);
    let location = irp::next_location(k, irp)?;
    k.write(location + stack::OUTPUT_BUFFER_LENGTH, length(output_length))?;
    k.write(location + stack::INPUT_BUFFER_LENGTH, length(input.len()))?;
    k.write(location + stack::IO_CONTROL_CODE, code.0)?;
    buffers.describe(k, irp, location)?;
    file.begin_request();
    call_driver(k, top, irp).await?;
    Ok(Request {
        file: file.clone(),
        state: State::Sent { record, output },
    })
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("buffers are below 4 GiB")
}

/// `CancelIoEx`: cancels `request`, or every request of `file`. `STATUS_NOT_FOUND` when none is under way.
///
/// # Errors
/// When a cancel routine breaks a rule.
pub async fn cancel_io(k: &Kernel, file: &Rc<File>, request: Option<&Request>) -> Outcome<NtStatus> {
    let irps: Vec<Va> = if let Some(request) = request {
        let mine = Rc::ptr_eq(&request.file, file) && request.result().is_none();
        request.irp().into_iter().filter(|_| mine).collect()
    } else {
        let io = k.io().borrow();
        let of_file = io.irps.live().filter(|record| record.file() == Some(file.object()));
        of_file.map(|record| record.irp()).collect()
    };
    if irps.is_empty() {
        return Ok(NtStatus::NOT_FOUND);
    }
    for irp in irps {
        cancel::cancel(k, irp).await?;
    }
    Ok(NtStatus::SUCCESS)
}

/// The system's side of a request's buffers.
#[derive(Debug)]
struct Buffers {
    irp: Cell<Va>,
    method: Method,
    input_length: usize,
    output_length: usize,
    /// `AssociatedIrp.SystemBuffer`; null where there is none.
    system_buffer: Va,
    /// The MDL of a direct request, and the memory it describes.
    direct: Option<(Va, Va)>,
}

impl Buffers {
    fn new(k: &Kernel, method: Method, input: &[u8], output_length: usize) -> Outcome<Self> {
        let buffered = match method {
            Method::Buffered => input.len().max(output_length),
            Method::Direct => input.len(),
            Method::Neither => 0,
        };
        let system_buffer = match buffered {
            0 => Va::NULL,
            length => {
                let buffer = k.allocate_system(length, "system buffer")?;
                k.fill(buffer, LEFTOVER, length)?;
                k.write_bytes(buffer, input)?;
                buffer
            }
        };
        let direct = if method == Method::Direct && output_length != 0 {
            Some(describe_pages(k, output_length)?)
        } else {
            None
        };
        Ok(Self {
            irp: Cell::new(Va::NULL),
            method,
            input_length: input.len(),
            output_length,
            system_buffer,
            direct,
        })
    }

    /// Fills in what the driver finds in the IRP.
    fn describe(&self, k: &Kernel, irp: Va, location: Va) -> Outcome<()> {
        let or_null = |present: bool, address| if present { address } else { Va::NULL };
        k.write(irp + layout::SYSTEM_BUFFER, self.system_buffer)?;
        match self.method {
            Method::Buffered => {
                let mut flags = IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
                if self.output_length != 0 {
                    flags |= IRP_INPUT_OPERATION;
                }
                k.write(
                    irp + layout::FLAGS,
                    if self.system_buffer.is_null() { 0 } else { flags },
                )?;
                k.write(irp + layout::USER_BUFFER, or_null(self.output_length != 0, USER_OUTPUT))
            }
            Method::Direct => {
                let list = self.direct.map_or(Va::NULL, |(list, _)| list);
                k.write(irp + layout::MDL_ADDRESS, list)
            }
            Method::Neither => {
                let input = or_null(self.input_length != 0, USER_INPUT);
                k.write(location + stack::TYPE3_INPUT_BUFFER, input)?;
                k.write(irp + layout::USER_BUFFER, or_null(self.output_length != 0, USER_OUTPUT))
            }
        }
    }

    /// The request has ended: the bytes that the program's output buffer gets. An error gives it none; a warning does.
    fn finish(&self, k: &Kernel, io_status: IoStatus) -> Outcome<Vec<u8>> {
        let mut output = Vec::new();
        if self.method == Method::Buffered && !io_status.status.is_error() {
            let length = usize::try_from(io_status.information).unwrap_or(usize::MAX);
            if length > self.output_length {
                let message = format!(
                    "the request was completed with {} bytes of output, but its output buffer has {}",
                    io_status.information, self.output_length
                );
                return Err(violation(
                    k,
                    IoRule::INFORMATION_TOO_LARGE,
                    self.irp.get(),
                    Va::NULL,
                    message,
                ));
            }
            if length != 0 {
                output = k.read_bytes(self.system_buffer, length)?;
            }
        }
        if let Some((list, memory)) = self.direct {
            output = k.read_bytes(memory, self.output_length)?;
            k.free_system(list)?;
            k.free_system(memory)?;
        }
        if !self.system_buffer.is_null() {
            k.free_system(self.system_buffer)?;
        }
        Ok(output)
    }
}

/// Memory for a direct buffer, locked and mapped already, with its MDL.
fn describe_pages(k: &Kernel, length: usize) -> Outcome<(Va, Va)> {
    let memory = k.allocate_system(length, "direct buffer")?;
    let offset = memory - memory.page();
    let pages = usize::try_from((offset + length as u64).div_ceil(PAGE_SIZE)).expect("fits");
    let size = mdl::SIZE + 8 * pages;
    let list = k.allocate_system(size, "MDL")?;
    k.write(list + mdl::SIZE_FIELD, u16::try_from(size).expect("small transfers"))?;
    k.write(list + mdl::MDL_FLAGS, MDL_MAPPED_AND_LOCKED)?;
    k.write(list + mdl::MAPPED_SYSTEM_VA, memory)?;
    k.write(list + mdl::START_VA, memory.page())?;
    k.write(list + mdl::BYTE_COUNT, self::length(length))?;
    k.write(list + mdl::BYTE_OFFSET, u32::try_from(offset).expect("below a page"))?;
    Ok((list, memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_codes_say_method_and_access() {
        // CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_READ_ACCESS).
        let code = ControlCode(0x22 << 16 | 1 << 14 | 0x800 << 2);
        assert_eq!((code.method(), code.access()), (Method::Buffered, FILE_READ_DATA));
        let neither = ControlCode(0x22 << 16 | 3 << 14 | 3);
        assert_eq!(
            (neither.method(), neither.access()),
            (Method::Neither, FILE_READ_DATA | FILE_WRITE_DATA)
        );
        assert_eq!(ControlCode(2).method(), Method::Direct);
    }
}
