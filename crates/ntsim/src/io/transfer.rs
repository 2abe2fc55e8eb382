//! `NtReadFile` and `NtWriteFile`.

use std::rc::Rc;

use ntlayout::{device_object, file_object, io_stack_location as stack};

use super::{
    buffers::{Passing, Transfer},
    device::{DO_BUFFERED_IO, DO_DIRECT_IO},
    file::{FILE_APPEND_DATA, FILE_READ_DATA, FILE_WRITE_DATA, File},
    irp::Major,
    request::{self, Request},
};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::{UserRange, mdl::Operation},
    status::NtStatus,
};

/// `FILE_WRITE_TO_END_OF_FILE` as a byte offset: the one that may be negative.
const WRITE_TO_END_OF_FILE: i64 = -1;

/// `FILE_USE_FILE_POINTER_POSITION` as a byte offset.
const USE_FILE_POINTER_POSITION: i64 = -2;

/// Where a read or write is to take place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// `ByteOffset`: what it means is the driver's business.
    pub offset: i64,
    /// `Key`.
    pub key: u32,
}

impl Position {
    /// Where the system has the position of a file that was opened for synchronous I/O: what a call without a byte offset means.
    pub const CURRENT: Self = Self {
        offset: USE_FILE_POINTER_POSITION,
        key: 0,
    };

    /// Whether a transfer can be asked to take place there.
    pub(crate) fn is_valid(self, file: &File, major: Major) -> bool {
        match self.offset {
            WRITE_TO_END_OF_FILE => major == Major::WRITE,
            USE_FILE_POINTER_POSITION => file.is_synchronous(),
            offset => offset >= 0,
        }
    }

    /// The byte offset that the driver gets. A synchronous file has a position of its own, which the driver moves when it has transferred
    /// something ("`FltReadFile`"). A file that can be appended to, and not written otherwise, is written at its end wherever the program says
    /// ("`NtWriteFile`").
    pub(crate) fn resolve(self, k: &Kernel, file: &File, major: Major) -> Outcome<i64> {
        if major == Major::WRITE && !file.allows(FILE_WRITE_DATA) && file.allows(FILE_APPEND_DATA) {
            return Ok(WRITE_TO_END_OF_FILE);
        }
        if self.offset == USE_FILE_POINTER_POSITION {
            return k.read(file.object() + file_object::CURRENT_BYTE_OFFSET);
        }
        Ok(self.offset)
    }
}

/// Sends a read request: overlapped, so it may still be under way when this returns.
///
/// # Errors
/// When the driver breaks a rule.
pub(crate) async fn read_file(k: &Kernel, file: &Rc<File>, buffer: UserRange, at: Position) -> Outcome<Request> {
    let refused = refusal(file, file.allows(FILE_READ_DATA), at.is_valid(file, Major::READ));
    if let Some(status) = refused {
        return Ok(Request::refused(file, status));
    }
    let passing = passing(k, file, buffer, Operation::Write)?;
    send(k, file, Major::READ, Transfer::Read(buffer, passing), buffer.length, at).await
}

/// Sends a write request: overlapped, so it may still be under way when this returns.
///
/// # Errors
/// When the driver breaks a rule.
pub(crate) async fn write_file(k: &Kernel, file: &Rc<File>, buffer: UserRange, at: Position) -> Outcome<Request> {
    let allowed = file.allows(FILE_WRITE_DATA) || file.allows(FILE_APPEND_DATA);
    let refused = refusal(file, allowed, at.is_valid(file, Major::WRITE));
    if let Some(status) = refused {
        return Ok(Request::refused(file, status));
    }
    let passing = passing(k, file, buffer, Operation::Read)?;
    send(
        k,
        file,
        Major::WRITE,
        Transfer::Write(buffer, passing),
        buffer.length,
        at,
    )
    .await
}

fn refusal(file: &File, allowed: bool, offset_valid: bool) -> Option<NtStatus> {
    if !file.is_open() {
        Some(NtStatus::INVALID_HANDLE)
    } else if !allowed {
        Some(NtStatus::ACCESS_DENIED)
    } else if !offset_valid {
        Some(NtStatus::INVALID_PARAMETER)
    } else {
        None
    }
}

/// How the device wants its buffers passed: its flags say so.
fn passing(k: &Kernel, file: &File, buffer: UserRange, operation: Operation) -> Outcome<Passing> {
    let top = file.related_device(k)?;
    let flags: u32 = k.read(top + device_object::FLAGS)?;
    if flags & DO_BUFFERED_IO != 0 {
        return Ok(Passing::Buffered);
    }
    if flags & DO_DIRECT_IO != 0 {
        return Ok(Passing::Direct(operation));
    }
    if let Some(thread) = k.current_thread() {
        k.watch().user.borrow_mut().share(buffer.address, thread);
    }
    Ok(Passing::Neither)
}

async fn send(
    k: &Kernel,
    file: &Rc<File>,
    major: Major,
    transfer: Transfer,
    length: u32,
    at: Position,
) -> Outcome<Request> {
    request::send(k, file, major, transfer, |location| {
        k.write(location + stack::READ_WRITE_LENGTH, length)?;
        k.write(location + stack::READ_WRITE_KEY, at.key)?;
        k.write(location + stack::READ_WRITE_BYTE_OFFSET, at.resolve(k, file, major)?)
    })
    .await
}
