//! A program's request from the system call to its end.
//!
//! A program learns the end of a request in one of two places: from what the system call returns, or from its I/O status block. A request that
//! fails at once leaves the block alone ("Different ways of handling IRPs", scenario 9), so the program must look at what the call has returned
//! ("`IO_STATUS_BLOCK` structure").

use std::{cell::Cell, rc::Rc};

use ntlayout::device_object;

use super::{
    buffers::{Buffers, Transfer},
    build_request,
    call::call_driver,
    cancel,
    file::File,
    irp::{self, IoStatus, Major, Record},
};
use crate::{bugcheck::Outcome, kernel::Kernel, mm::Va, sched::Mode, status::NtStatus};

/// A request under way, or ended.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    file: Rc<File>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The system refused it; no driver has seen it.
    Refused(NtStatus),
    Sent(Sent),
}

#[derive(Clone, Debug)]
struct Sent {
    record: Rc<Record>,
    /// What the top driver's dispatch routine has returned.
    returned: NtStatus,
    /// The program's I/O status block: none as long as it is as the program has left it.
    io_status_block: Rc<Cell<Option<IoStatus>>>,
}

impl Request {
    /// A request that the system refuses.
    pub(super) fn refused(file: &Rc<File>, status: NtStatus) -> Self {
        Self {
            file: file.clone(),
            state: State::Refused(status),
        }
    }

    /// Its IRP, while and after it is under way; none when the system refused the request.
    pub(crate) fn irp(&self) -> Option<Va> {
        match &self.state {
            State::Refused(_) => None,
            State::Sent(sent) => Some(sent.record.irp()),
        }
    }

    /// What the system call returns: `STATUS_PENDING` when the request may be under way still. The call for a synchronous file returns when the
    /// request has ended, with its status.
    pub(crate) fn returned(&self) -> NtStatus {
        match &self.state {
            State::Refused(status) => *status,
            State::Sent(sent) if sent.returned == NtStatus::PENDING && self.file.is_synchronous() => {
                self.result().map_or(NtStatus::PENDING, |ended| ended.status)
            }
            State::Sent(sent) => sent.returned,
        }
    }

    /// What the program finds in its I/O status block; none as long as it is as the program has left it.
    pub(crate) fn io_status_block(&self) -> Option<IoStatus> {
        match &self.state {
            State::Refused(_) => None,
            State::Sent(sent) => sent.io_status_block.get(),
        }
    }

    /// How it ended for a program that looks at the right place, when it has: at what the call returned where that is an error, else at the
    /// I/O status block.
    pub(crate) fn result(&self) -> Option<IoStatus> {
        let failed = |status| Some(IoStatus { status, information: 0 });
        match &self.state {
            State::Refused(status) => failed(*status),
            State::Sent(sent) if sent.returned.is_error() => failed(sent.returned),
            // With the rule off that asks for the pending mark, a driver may forget it: a program would wait for ever.
            State::Sent(sent) => sent.io_status_block.get().or_else(|| sent.record.result()),
        }
    }

    /// Waits until it has ended.
    pub(crate) async fn wait(&self, k: &Kernel) -> Outcome<()> {
        if let State::Sent(sent) = &self.state {
            sent.record.wait(k).await?;
        }
        Ok(())
    }
}

/// Makes the IRP of a request, has `describe` fill in its parameters, and sends it to the file's device: overlapped, so it may still
/// be under way when this returns.
pub(super) async fn send(
    k: &Kernel,
    file: &Rc<File>,
    major: Major,
    transfer: Transfer,
    describe: impl FnOnce(Va) -> Outcome<()>,
) -> Outcome<Request> {
    let buffers = match Buffers::capture(k, transfer)? {
        Ok(buffers) => Rc::new(buffers),
        Err(status) => return Ok(Request::refused(file, status)),
    };
    let top = file.related_device(k)?;
    let io_status_block = Rc::new(Cell::new(None));
    let finish = {
        let (file, buffers, block) = (file.clone(), buffers.clone(), io_status_block.clone());
        move |k: &Kernel, irp: Va, io_status: IoStatus| {
            let ended = buffers.finish(k, irp, io_status)?;
            if build_request::is_told(k, irp, ended.status)? {
                block.set(Some(ended));
            }
            file.end_request(k);
            Ok(ended)
        }
    };
    let record = irp::allocate(
        k,
        irp::Spec {
            major,
            minor: 0,
            stack_size: k.read(top + device_object::STACK_SIZE)?,
            file: Some(file.object()),
            status: None,
            mode: Mode::User,
            finish: Some(Box::new(finish)),
        },
    )?;
    let irp = record.irp();
    let location = irp::next_location(k, irp)?;
    describe(location)?;
    buffers.describe(k, irp, location)?;
    file.begin_request();
    let returned = call_driver(k, top, irp).await?;
    Ok(Request {
        file: file.clone(),
        state: State::Sent(Sent {
            record,
            returned,
            io_status_block,
        }),
    })
}

/// `CancelIoEx`: cancels `request`, or every request of `file`. `STATUS_NOT_FOUND` when none is under way.
///
/// # Errors
/// When a cancel routine breaks a rule.
pub(crate) async fn cancel_io(k: &Kernel, file: &Rc<File>, request: Option<&Request>) -> Outcome<NtStatus> {
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
