//! One request of a driver's for a file: made, sent, waited for where the file is synchronous.

use std::rc::Rc;

use ntlayout::{device_object, file_object, io_stack_location as stack, io_status_block as iosb, irp as layout};

use super::super::{
    build_request::{self, Passed, Report},
    call::call_driver,
    file::File,
    irp::{self, IoStatus, Major},
};
use crate::{
    bugcheck::Outcome,
    ke,
    kernel::Kernel,
    mm::Va,
    ob::{
        handle::{self, Handle},
        object::Type,
    },
    sched::Mode,
    status::NtStatus,
};

/// How the driver learns how its request has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub event: Handle,
    pub apc_routine: Va,
    pub io_status_block: Va,
}

impl Answer {
    /// By the I/O status block alone: the routine returns when the request has ended.
    pub(super) const fn status_block(io_status_block: Va) -> Self {
        Self {
            event: Handle(0),
            apc_routine: Va::NULL,
            io_status_block,
        }
    }
}

/// Sends a request for `file`. It is waited for when the file is synchronous, or `wait` says so.
pub(super) async fn send(
    k: &Kernel,
    file: &Rc<File>,
    function: (Major, u8),
    answer: Answer,
    passed: Passed,
    wait: bool,
    describe: impl FnOnce(Va) -> Outcome<()>,
) -> Outcome<NtStatus> {
    let event = match event_of(k, file, answer)? {
        Ok(event) => event,
        Err(status) => return Ok(status),
    };
    if file.is_synchronous() {
        file.lock(k).await?;
    }
    ke::event::reset(k, event)?;
    let top = file.related_device(k)?;
    let report = Report {
        event,
        io_status_block: answer.io_status_block,
    };
    let finish = {
        let (file, passed) = (file.clone(), passed.clone());
        move |k: &Kernel, irp: Va, io_status: IoStatus| {
            build_request::finish(k, irp, io_status, &passed, report)?;
            file.end_request(k);
            Ok(io_status)
        }
    };
    let record = irp::allocate(
        k,
        irp::Spec {
            major: function.0,
            minor: function.1,
            stack_size: k.read(top + device_object::STACK_SIZE)?,
            file: Some(file.object()),
            status: None,
            mode: Mode::Kernel,
            finish: Some(Box::new(finish)),
        },
    )?;
    let irp = record.irp();
    k.write(irp + layout::USER_EVENT, event)?;
    k.write(irp + layout::USER_IOSB, answer.io_status_block)?;
    build_request::describe_buffers(k, irp, &passed)?;
    describe(irp::next_location(k, irp)?)?;
    file.begin_request();
    let mut status = call_driver(k, top, irp).await?;
    if file.is_synchronous() || wait {
        let ended = record.wait(k).await?;
        if status == NtStatus::PENDING {
            status = ended.status;
        }
    }
    if file.is_synchronous() {
        file.unlock(k);
    }
    Ok(status)
}

/// The event that is set at the end: the one that was given, or the file object's.
fn event_of(k: &Kernel, file: &File, answer: Answer) -> Outcome<Result<Va, NtStatus>> {
    if !answer.apc_routine.is_null() {
        return Err(k.not_modelled(format!(
            "a file request with the APC routine {} is not modelled: drivers pass a null pointer, and an event",
            answer.apc_routine
        )));
    }
    if answer.event == Handle(0) {
        return Ok(Ok(file.object() + file_object::EVENT));
    }
    handle::object_of(k, answer.event, Type::Event)
}

/// What a request about an information class is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Information {
    pub io_status_block: Va,
    pub buffer: Va,
    pub length: u32,
    pub class: u32,
}

impl Information {
    /// Has the device's drivers answer, or take what is in the buffer, and waits. They get the buffer as a system buffer: `output` bytes come
    /// back, or input goes down.
    pub(super) async fn send(self, k: &Kernel, file: &Rc<File>, major: Major, output: bool) -> Outcome<NtStatus> {
        let passed = match build_request::buffered(k, self.buffer, self.length, output)? {
            Ok(passed) => passed,
            Err(status) => return Ok(status),
        };
        let answer = Answer::status_block(self.io_status_block);
        send(k, file, (major, 0), answer, passed, true, |location| {
            k.write(location + stack::PARAMETERS, self.length)?;
            k.write(location + stack::PARAMETERS + 8_u64, self.class)
        })
        .await
    }

    /// The I/O manager has answered by itself, with `information` bytes.
    pub(super) fn answered(self, k: &Kernel, information: u64) -> Outcome<NtStatus> {
        k.write(self.io_status_block, NtStatus::SUCCESS)?;
        k.write(self.io_status_block + iosb::INFORMATION, information)?;
        Ok(NtStatus::SUCCESS)
    }
}
