//! `NtDeviceIoControlFile`: device-control requests.

use std::rc::Rc;

use ntlayout::io_stack_location as stack;

use super::{
    buffers::{Passing, Transfer},
    file::{FILE_READ_DATA, FILE_WRITE_DATA, File},
    irp::Major,
    request::{self, Request},
};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::{UserRange, mdl::Operation},
    status::NtStatus,
};

/// An I/O control code (`CTL_CODE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ControlCode(pub u32);

impl ControlCode {
    /// How it wants its buffers passed: its lowest two bits. `METHOD_IN_DIRECT` has the driver read from the second buffer,
    /// `METHOD_OUT_DIRECT` write to it.
    pub(super) const fn passing(self) -> Passing {
        match self.0 & 3 {
            0 => Passing::Buffered,
            1 => Passing::Direct(Operation::Read),
            2 => Passing::Direct(Operation::Write),
            _ => Passing::Neither,
        }
    }

    /// The access that the handle must have: `FILE_READ_ACCESS` and `FILE_WRITE_ACCESS` have the values of
    /// `FILE_READ_DATA` and `FILE_WRITE_DATA`.
    const fn access(self) -> u32 {
        (self.0 >> 14) & (FILE_READ_DATA | FILE_WRITE_DATA)
    }
}

/// Sends a device-control request: overlapped, so it may still be under way when this returns.
///
/// # Errors
/// When the driver breaks a rule.
pub(crate) async fn device_io_control(
    k: &Kernel,
    file: &Rc<File>,
    code: u32,
    input: UserRange,
    output: UserRange,
) -> Outcome<Request> {
    let code = ControlCode(code);
    if !file.is_open() {
        return Ok(Request::refused(file, NtStatus::INVALID_HANDLE));
    }
    if !file.allows(code.access()) {
        return Ok(Request::refused(file, NtStatus::ACCESS_DENIED));
    }
    let passing = code.passing();
    let (input, output) = if passing == Passing::Neither {
        if let Some(thread) = k.current_thread() {
            let mut user = k.watch().user.borrow_mut();
            user.share(input.address, thread);
            user.share(output.address, thread);
        }
        (input, output)
    } else {
        // A null pointer is no buffer, whatever its length is said to be.
        (present(input), present(output))
    };
    let transfer = Transfer::Control { input, output, passing };
    request::send(k, file, Major::DEVICE_CONTROL, transfer, |location| {
        k.write(location + stack::OUTPUT_BUFFER_LENGTH, output.length)?;
        k.write(location + stack::INPUT_BUFFER_LENGTH, input.length)?;
        k.write(location + stack::IO_CONTROL_CODE, code.0)
    })
    .await
}

fn present(range: UserRange) -> UserRange {
    if range.address.is_null() {
        UserRange::NONE
    } else {
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_codes_say_method_and_access() {
        // CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_READ_ACCESS).
        let code = ControlCode(0x22 << 16 | 1 << 14 | 0x800 << 2);
        assert_eq!((code.passing(), code.access()), (Passing::Buffered, FILE_READ_DATA));
        let neither = ControlCode(0x22 << 16 | 3 << 14 | 3);
        assert_eq!(
            (neither.passing(), neither.access()),
            (Passing::Neither, FILE_READ_DATA | FILE_WRITE_DATA)
        );
        assert_eq!(ControlCode(1).passing(), Passing::Direct(Operation::Read));
        assert_eq!(ControlCode(2).passing(), Passing::Direct(Operation::Write));
    }
}
