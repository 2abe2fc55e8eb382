//! A program's request from the system call to its end.

use std::rc::Rc;

use ntlayout::device_object;

use super::{
    buffers::{Buffers, Transfer},
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
    Sent(Rc<Record>),
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
            State::Sent(record) => Some(record.irp()),
        }
    }

    /// How it ended, when it has.
    pub(crate) fn result(&self) -> Option<IoStatus> {
        match &self.state {
            State::Refused(status) => Some(IoStatus {
                status: *status,
                information: 0,
            }),
            State::Sent(record) => record.result(),
        }
    }

    /// Waits until it has ended.
    pub(crate) async fn wait(&self, k: &Kernel) -> Outcome<()> {
        if let State::Sent(record) = &self.state {
            record.wait(k).await?;
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
    let finish = {
        let (file, buffers) = (file.clone(), buffers.clone());
        move |k: &Kernel, irp: Va, io_status: IoStatus| {
            let ended = buffers.finish(k, irp, io_status)?;
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
    call_driver(k, top, irp).await?;
    Ok(Request {
        file: file.clone(),
        state: State::Sent(record),
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
