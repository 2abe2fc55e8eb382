//! The file system's dispatch routine.

use ntlayout::{io_stack_location as stack, irp as layout};

use super::{create, directory, information, transfer, volume, with};
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    io::{
        self,
        irp::{self, IoStatus, Major},
    },
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// The dispatch routine, as the driver object shows it.
pub(super) const DISPATCH: &str = "NtfsFsdDispatch";

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::APC);
    ddi.flow(DISPATCH, 2, contract, |k, a| async move {
        let irp = a.va(1);
        let request = Request::read(&k, irp)?;
        let answer = answer(&k, &request)?;
        irp::write_status(&k, irp, answer)?;
        io::complete_request(&k, irp).await?;
        Ok(answer.status)
    });
}

/// What an IRP asks the file system for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub irp: Va,
    pub location: Va,
    pub major: Major,
    pub minor: u8,
    pub file: Va,
}

impl Request {
    fn read(k: &Kernel, irp: Va) -> Outcome<Self> {
        let location = irp::current_location(k, irp)?;
        Ok(Self {
            irp,
            location,
            major: Major(k.read(location + stack::MAJOR_FUNCTION)?),
            minor: k.read(location + stack::MINOR_FUNCTION)?,
            file: k.read(location + stack::FILE_OBJECT)?,
        })
    }

    /// The buffer of a request whose buffer is neither a system buffer nor an MDL.
    pub(super) fn user_buffer(&self, k: &Kernel) -> Outcome<Va> {
        let list: Va = k.read(self.irp + layout::MDL_ADDRESS)?;
        if !list.is_null() {
            return Err(k.not_modelled("a request to the file system with an MDL is not modelled"));
        }
        k.read(self.irp + layout::USER_BUFFER)
    }

    /// The system buffer.
    pub(super) fn system_buffer(&self, k: &Kernel) -> Outcome<Va> {
        k.read(self.irp + layout::SYSTEM_BUFFER)
    }
}

/// A request that has failed.
pub(super) const fn failed(status: NtStatus) -> IoStatus {
    IoStatus { status, information: 0 }
}

/// A request that has succeeded.
pub(super) const fn done(information: u64) -> IoStatus {
    IoStatus {
        status: NtStatus::SUCCESS,
        information,
    }
}

fn answer(k: &Kernel, request: &Request) -> Outcome<IoStatus> {
    match request.major {
        Major::CREATE => create::create(k, request),
        Major::CLEANUP => {
            clean_up(k, request.file);
            Ok(done(0))
        }
        Major::CLOSE => {
            with(k, |fs| fs.open.remove(&request.file));
            Ok(done(0))
        }
        Major::FLUSH_BUFFERS => Ok(done(0)),
        Major::READ => transfer::read(k, request),
        Major::WRITE => transfer::write(k, request),
        Major::QUERY_INFORMATION => information::query(k, request),
        Major::SET_INFORMATION => information::set(k, request),
        Major::QUERY_VOLUME_INFORMATION => volume::query(k, request),
        Major::DIRECTORY_CONTROL if request.minor == 1 => directory::query(k, request),
        _ => Ok(failed(NtStatus::INVALID_DEVICE_REQUEST)),
    }
}

/// The last handle is gone, and with it what was to be deleted then.
fn clean_up(k: &Kernel, file: Va) {
    with(k, |fs| {
        let Some(open) = fs.open.get_mut(&file) else {
            return;
        };
        open.cleaned_up = true;
        let (Some(path), delete) = (open.path.clone(), open.delete_on_close) else {
            return;
        };
        let empty = fs.children(&path).next().is_none();
        if delete && let Some(node) = fs.nodes.get_mut(&path) {
            node.deleted = empty;
        }
        let in_use = fs
            .open
            .values()
            .any(|open| !open.cleaned_up && open.path.as_ref() == Some(&path));
        if !in_use && fs.nodes.get(&path).is_some_and(|node| node.deleted) {
            fs.nodes.remove(&path);
        }
    });
}
