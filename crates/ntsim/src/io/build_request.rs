//! Requests that drivers build for lower drivers: `IoBuildDeviceIoControlRequest`, `IoBuildSynchronousFsdRequest`,
//! `IoBuildAsynchronousFsdRequest`.
//!
//! The first two make IRPs that belong to the calling thread: the I/O manager copies the output, fills in the driver's I/O status block, sets
//! its event and frees them. (Windows does so by an APC in that thread; here it is done when the last completion routine has returned.) The
//! third makes an IRP that the driver ends by itself, as one of [`IoAllocateIrp`](super::driver_irp).

use ntlayout::{device_object, io_stack_location as stack, io_status_block, irp as layout};

use super::{
    buffers::{
        IRP_BUFFERED_IO, IRP_DEALLOCATE_BUFFER, IRP_INPUT_OPERATION, IRP_READ_OPERATION, IRP_WRITE_OPERATION, Passing,
    },
    control::ControlCode,
    device::{DO_BUFFERED_IO, DO_DIRECT_IO},
    driver_irp,
    irp::{self, IoStatus, Major},
    mdl,
    violation::{IoRule, violation},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::{self, Irql},
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va, mdl::Operation},
    sched::Mode,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE);
    ddi.function("IoBuildDeviceIoControlRequest", 9, passive, device_control);
    ddi.function("IoBuildSynchronousFsdRequest", 7, passive, synchronous);
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoBuildAsynchronousFsdRequest", 6, contract, asynchronous);
}

/// A buffer of the driver's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub address: Va,
    pub length: u32,
}

/// How the buffers reach the lower driver, and what is to be undone at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Passed {
    pub flags: u32,
    pub system_buffer: Va,
    pub list: Va,
    pub user_buffer: Va,
    pub type3_input_buffer: Va,
    /// Where output is copied to from the system buffer.
    pub copied_out: Option<(Va, u32)>,
}

/// A system buffer of `length` bytes, with `input` at its start. One that the driver has to free comes from its own pool.
fn system_buffer(k: &Kernel, input: Range, length: u32, ended_by_driver: bool) -> Outcome<Result<Va, NtStatus>> {
    if !k.has_pool(length.into()) {
        return Ok(Err(NtStatus::INSUFFICIENT_RESOURCES));
    }
    let size = length as usize;
    let buffer = if ended_by_driver {
        let tag = u32::from_le_bytes(*b"Io  ");
        k.allocate_pool(
            PoolKind::NonPagedNx,
            length.into(),
            tag,
            PoolOwner::Driver,
            "system buffer",
        )
    } else {
        k.allocate_system(size, "system buffer")?
    };
    k.fill(buffer, k.config().stale_byte, size)?;
    if input.length != 0 {
        let bytes = k.read_bytes(input.address, input.length as usize)?;
        k.write_bytes(buffer, &bytes)?;
    }
    Ok(Ok(buffer))
}

/// The buffers of a device-control request, by its method.
pub(super) fn pass_control(k: &Kernel, code: u32, input: Range, output: Range) -> Outcome<Result<Passed, NtStatus>> {
    let mut passed = Passed {
        user_buffer: output.address,
        ..Passed::default()
    };
    let passing = ControlCode(code).passing();
    let buffered = match passing {
        Passing::Buffered => input.length.max(output.length),
        Passing::Direct(_) => input.length,
        Passing::Neither => {
            passed.type3_input_buffer = input.address;
            0
        }
    };
    if buffered != 0 {
        passed.system_buffer = match system_buffer(k, input, buffered, false)? {
            Ok(buffer) => buffer,
            Err(status) => return Ok(Err(status)),
        };
        passed.flags = IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
    }
    if passing == Passing::Buffered && output.length != 0 {
        passed.flags |= IRP_INPUT_OPERATION;
        passed.copied_out = Some((output.address, output.length));
    }
    if let Passing::Direct(operation) = passing
        && output.length != 0
    {
        match mdl::lock_system_buffer(k, output.address, output.length, operation, false)? {
            Ok(list) => passed.list = list,
            Err(status) => return Ok(Err(status)),
        }
    }
    Ok(Ok(passed))
}

/// The buffer of a read or write request, as the lower device wants it passed.
pub(super) fn pass_transfer(
    k: &Kernel,
    device: Va,
    major: Major,
    buffer: Range,
    ended_by_driver: bool,
) -> Outcome<Result<Passed, NtStatus>> {
    let reads = major == Major::READ;
    let mut passed = Passed {
        flags: if reads { IRP_READ_OPERATION } else { IRP_WRITE_OPERATION },
        ..Passed::default()
    };
    let device_flags: u32 = k.read(device + device_object::FLAGS)?;
    if device_flags & DO_BUFFERED_IO != 0 && buffer.length != 0 {
        let nothing = Range { length: 0, ..buffer };
        let input = if reads { nothing } else { buffer };
        passed.system_buffer = match system_buffer(k, input, buffer.length, ended_by_driver)? {
            Ok(buffer) => buffer,
            Err(status) => return Ok(Err(status)),
        };
        passed.flags |= IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
        if reads {
            passed.flags |= IRP_INPUT_OPERATION;
            passed.copied_out = Some((buffer.address, buffer.length));
            passed.user_buffer = buffer.address;
        }
    } else if device_flags & DO_DIRECT_IO != 0 && buffer.length != 0 {
        let operation = if reads { Operation::Write } else { Operation::Read };
        match mdl::lock_system_buffer(k, buffer.address, buffer.length, operation, ended_by_driver)? {
            Ok(list) => passed.list = list,
            Err(status) => return Ok(Err(status)),
        }
    } else {
        passed.user_buffer = buffer.address;
    }
    Ok(Ok(passed))
}

/// `IoBuildDeviceIoControlRequest(IoControlCode, DeviceObject, InputBuffer, InputBufferLength, OutputBuffer, OutputBufferLength,
/// InternalDeviceIoControl, Event, IoStatusBlock)`.
fn device_control(k: &Kernel, a: &Args) -> Outcome<Va> {
    let (code, device) = (a.u32(0), a.va(1));
    let range = |at| Range {
        address: a.va(at),
        length: a.u32(at + 1),
    };
    let (input, output) = (range(2), range(4));
    let Ok(passed) = pass_control(k, code, input, output)? else {
        return Ok(Va::NULL);
    };
    let major = if a.bool(6) {
        Major::INTERNAL_DEVICE_CONTROL
    } else {
        Major::DEVICE_CONTROL
    };
    let location_of = |location: Va| {
        k.write(location + stack::OUTPUT_BUFFER_LENGTH, output.length)?;
        k.write(location + stack::INPUT_BUFFER_LENGTH, input.length)?;
        k.write(location + stack::IO_CONTROL_CODE, code)?;
        k.write(location + stack::TYPE3_INPUT_BUFFER, passed.type3_input_buffer)
    };
    let report = Report {
        event: a.va(7),
        io_status_block: a.va(8),
    };
    let irp = for_thread(k, device, major, report, &passed)?;
    location_of(irp::next_location(k, irp)?)?;
    Ok(irp)
}

/// `IoBuildSynchronousFsdRequest(MajorFunction, DeviceObject, Buffer, Length, StartingOffset, Event, IoStatusBlock)`.
fn synchronous(k: &Kernel, a: &Args) -> Outcome<Va> {
    let (major, device) = (major_of(a), a.va(1));
    let Some(passed) = transfer_of(k, major, a, false)? else {
        return Ok(Va::NULL);
    };
    let report = Report {
        event: a.va(5),
        io_status_block: a.va(6),
    };
    let irp = for_thread(k, device, major, report, &passed)?;
    describe_transfer(k, irp, major, a)?;
    Ok(irp)
}

/// `IoBuildAsynchronousFsdRequest(MajorFunction, DeviceObject, Buffer, Length, StartingOffset, IoStatusBlock)`.
fn asynchronous(k: &Kernel, a: &Args) -> Outcome<Va> {
    let (major, device) = (major_of(a), a.va(1));
    let Some(passed) = transfer_of(k, major, a, true)? else {
        return Ok(Va::NULL);
    };
    let stack_size = stack_size_of(k, device)?;
    let Some(record) = driver_irp::allocate(k, stack_size)? else {
        return Ok(Va::NULL);
    };
    let irp = record.irp();
    let thread = k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread));
    k.write(irp + layout::THREAD, thread)?;
    k.write(irp + layout::USER_IOSB, a.va(5))?;
    describe_buffers(k, irp, &passed)?;
    k.write(irp::next_location(k, irp)? + stack::MAJOR_FUNCTION, major.0)?;
    describe_transfer(k, irp, major, a)?;
    Ok(irp)
}

fn major_of(a: &Args) -> Major {
    Major(a.u8(0))
}

/// The buffer of a read or write request; none where it cannot be passed. Other requests have no buffer.
fn transfer_of(k: &Kernel, major: Major, a: &Args, ended_by_driver: bool) -> Outcome<Option<Passed>> {
    if major != Major::READ && major != Major::WRITE {
        return Ok(Some(Passed::default()));
    }
    let buffer = Range {
        address: a.va(2),
        length: a.u32(3),
    };
    Ok(pass_transfer(k, a.va(1), major, buffer, ended_by_driver)?.ok())
}

fn describe_transfer(k: &Kernel, irp: Va, major: Major, a: &Args) -> Outcome<()> {
    if major != Major::READ && major != Major::WRITE {
        return Ok(());
    }
    let location = irp::next_location(k, irp)?;
    let offset: i64 = match a.va(4) {
        Va::NULL => 0,
        offset => k.read(offset)?,
    };
    k.write(location + stack::READ_WRITE_LENGTH, a.u32(3))?;
    k.write(location + stack::READ_WRITE_BYTE_OFFSET, offset)
}

pub(super) fn describe_buffers(k: &Kernel, irp: Va, passed: &Passed) -> Outcome<()> {
    k.write(irp + layout::FLAGS, passed.flags)?;
    k.write(irp + layout::SYSTEM_BUFFER, passed.system_buffer)?;
    k.write(irp + layout::MDL_ADDRESS, passed.list)?;
    k.write(irp + layout::USER_BUFFER, passed.user_buffer)
}

/// Where the driver learns how its request has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub event: Va,
    pub io_status_block: Va,
}

/// How many stack locations an IRP for `device` has.
///
/// # Errors
/// When it is no device object: every device's IRPs have one stack location at least.
fn stack_size_of(k: &Kernel, device: Va) -> Outcome<u8> {
    let size: u8 = k.read(device + device_object::STACK_SIZE)?;
    if size == 0 || !k.io().borrow().devices.exists(device) {
        let message = format!("a request is built for {device}, which is no device object, or one that was deleted");
        return Err(violation(k, IoRule::NOT_A_DEVICE, Va::NULL, device, message));
    }
    Ok(size)
}

/// An IRP of the current thread's, to be ended by the I/O manager.
fn for_thread(k: &Kernel, device: Va, major: Major, report: Report, passed: &Passed) -> Outcome<Va> {
    let kept = passed.clone();
    let finish = move |k: &Kernel, irp: Va, io_status: IoStatus| {
        self::finish(k, irp, io_status, &kept, report)?;
        Ok(io_status)
    };
    let record = irp::allocate(
        k,
        irp::Spec {
            major,
            minor: 0,
            stack_size: stack_size_of(k, device)?,
            file: None,
            // A driver that builds a PnP IRP sets it to STATUS_NOT_SUPPORTED by itself.
            status: None,
            mode: Mode::Kernel,
            finish: Some(Box::new(finish)),
        },
    )?;
    let irp = record.irp();
    k.write(irp + layout::USER_EVENT, report.event)?;
    k.write(irp + layout::USER_IOSB, report.io_status_block)?;
    describe_buffers(k, irp, passed)?;
    Ok(irp)
}

/// A buffer that reaches the driver as a system buffer whatever the device's flags say: output comes back to it, or it goes down as input.
pub(super) fn buffered(k: &Kernel, buffer: Va, length: u32, output: bool) -> Outcome<Result<Passed, NtStatus>> {
    let whole = Range {
        address: buffer,
        length,
    };
    let input = if output { Range { length: 0, ..whole } } else { whole };
    let system_buffer = match system_buffer(k, input, length, false)? {
        Ok(buffer) => buffer,
        Err(status) => return Ok(Err(status)),
    };
    Ok(Ok(Passed {
        flags: IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER | if output { IRP_INPUT_OPERATION } else { 0 },
        system_buffer,
        user_buffer: buffer,
        copied_out: output.then_some((buffer, length)),
        ..Passed::default()
    }))
}

/// A thread's request has ended: copies the output, frees the system buffer, and tells the driver.
pub(super) fn finish(k: &Kernel, irp: Va, io_status: IoStatus, passed: &Passed, report: Report) -> Outcome<()> {
    if let Some((to, room)) = passed.copied_out {
        copy_out(k, irp, io_status, passed.system_buffer, to, room)?;
    }
    if !passed.system_buffer.is_null() {
        k.free_system(passed.system_buffer)?;
    }
    tell(k, irp, io_status, report)
}

/// The output of a buffered request, which an error does not have.
fn copy_out(k: &Kernel, irp: Va, io_status: IoStatus, buffer: Va, to: Va, room: u32) -> Outcome<()> {
    if io_status.status.is_error() || io_status.information == 0 {
        return Ok(());
    }
    if io_status.information > u64::from(room) {
        let message = format!(
            "the request was completed with {} bytes of output, but its output buffer has {room}",
            io_status.information
        );
        return Err(violation(k, IoRule::INFORMATION_TOO_LARGE, irp, Va::NULL, message));
    }
    let length = usize::try_from(io_status.information).expect("it is not above a 32-bit length");
    let bytes = k.read_bytes(buffer, length)?;
    k.write_bytes(to, &bytes)
}

/// Whether the end of a request is told by the I/O status block and the event. That of one that failed at once is not ("Different ways of
/// handling IRPs", scenario 9): there the dispatch routine's status says all.
pub(super) fn is_told(k: &Kernel, irp: Va, status: NtStatus) -> Outcome<bool> {
    let pending: u8 = k.read(irp + layout::PENDING_RETURNED)?;
    Ok(!status.is_error() || pending != 0)
}

/// Fills in the I/O status block and sets the event.
fn tell(k: &Kernel, irp: Va, io_status: IoStatus, report: Report) -> Outcome<()> {
    if !is_told(k, irp, io_status.status)? {
        return Ok(());
    }
    if !report.io_status_block.is_null() {
        k.write(report.io_status_block, io_status.status)?;
        k.write(
            report.io_status_block + io_status_block::INFORMATION,
            io_status.information,
        )?;
    }
    if !report.event.is_null() {
        ke::event::set(k, report.event)?;
    }
    Ok(())
}
