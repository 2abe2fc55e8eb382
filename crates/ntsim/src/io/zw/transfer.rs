//! Moving data: `ZwReadFile`, `ZwWriteFile`, `ZwFlushBuffersFile`, `ZwDeviceIoControlFile`, `ZwFsControlFile`.

use ntlayout::io_stack_location as stack;

use super::{
    super::{
        build_request::{self, Range},
        irp::Major,
        transfer::Position,
    },
    file_of,
    request::{self, Answer},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    ob::handle::{Handle, ZW_CONTRACT},
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    for (name, major) in [
        ("ZwReadFile", Major::READ),
        ("NtReadFile", Major::READ),
        ("ZwWriteFile", Major::WRITE),
        ("NtWriteFile", Major::WRITE),
    ] {
        ddi.flow(name, 9, ZW_CONTRACT, move |k, a| async move {
            transfer(&k, &a, major).await
        });
    }
    for name in ["ZwDeviceIoControlFile", "NtDeviceIoControlFile"] {
        ddi.flow(name, 10, ZW_CONTRACT, |k, a| async move { control(&k, &a).await });
    }
    for name in ["ZwFsControlFile", "NtFsControlFile"] {
        ddi.function(name, 10, ZW_CONTRACT, move |k, a| -> Outcome<NtStatus> {
            Err(k.not_modelled(format!("{name} with the control code {:#x} is not modelled", a.u32(5))))
        });
    }
    ddi.flow("ZwFlushBuffersFile", 2, ZW_CONTRACT, |k, a| async move {
        let file = match file_of(&k, Handle(a.u64(0)))? {
            Ok(file) => file,
            Err(status) => return Ok(status),
        };
        let answer = Answer::status_block(a.va(1));
        let nothing = build_request::Passed::default();
        request::send(&k, &file, (Major::FLUSH_BUFFERS, 0), answer, nothing, true, |_| Ok(())).await
    });
}

fn answer_of(a: &Args) -> Answer {
    Answer {
        event: Handle(a.u64(1)),
        apc_routine: a.va(2),
        io_status_block: a.va(4),
    }
}

/// `(FileHandle, Event, ApcRoutine, ApcContext, IoStatusBlock, Buffer, Length, ByteOffset, Key)`
async fn transfer(k: &Kernel, a: &Args, major: Major) -> Outcome<NtStatus> {
    let file = match file_of(k, Handle(a.u64(0)))? {
        Ok(file) => file,
        Err(status) => return Ok(status),
    };
    let (buffer, length, key) = (a.va(5), a.u32(6), a.va(8));
    let at = match a.va(7) {
        Va::NULL => Position::CURRENT,
        pointer => Position {
            offset: k.read(pointer)?,
            key: 0,
        },
    };
    if !at.is_valid(&file, major) {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let key: u32 = if key.is_null() { 0 } else { k.read(key)? };
    let top = file.related_device(k)?;
    let range = Range {
        address: buffer,
        length,
    };
    let passed = match build_request::pass_transfer(k, top, major, range, false)? {
        Ok(passed) => passed,
        Err(status) => return Ok(status),
    };
    request::send(k, &file, (major, 0), answer_of(a), passed, false, |location| {
        k.write(location + stack::READ_WRITE_LENGTH, length)?;
        k.write(location + stack::READ_WRITE_KEY, key)?;
        // Only now: another transfer of the file may have moved its position meanwhile.
        k.write(location + stack::READ_WRITE_BYTE_OFFSET, at.resolve(k, &file, major)?)
    })
    .await
}

/// `(FileHandle, Event, ApcRoutine, ApcContext, IoStatusBlock, IoControlCode, InputBuffer, InputBufferLength, OutputBuffer,
/// OutputBufferLength)`
async fn control(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let file = match file_of(k, Handle(a.u64(0)))? {
        Ok(file) => file,
        Err(status) => return Ok(status),
    };
    let code = a.u32(5);
    let range = |at: usize| Range {
        address: a.va(at),
        length: if a.va(at).is_null() { 0 } else { a.u32(at + 1) },
    };
    let (input, output) = (range(6), range(8));
    let passed = match build_request::pass_control(k, code, input, output)? {
        Ok(passed) => passed,
        Err(status) => return Ok(status),
    };
    let type3 = passed.type3_input_buffer;
    request::send(
        k,
        &file,
        (Major::DEVICE_CONTROL, 0),
        answer_of(a),
        passed,
        false,
        |location| {
            k.write(location + stack::OUTPUT_BUFFER_LENGTH, output.length)?;
            k.write(location + stack::INPUT_BUFFER_LENGTH, input.length)?;
            k.write(location + stack::IO_CONTROL_CODE, code)?;
            k.write(location + stack::TYPE3_INPUT_BUFFER, type3)
        },
    )
    .await
}
