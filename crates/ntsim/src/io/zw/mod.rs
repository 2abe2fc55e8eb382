//! The Zw routines for files, as drivers call them: with buffers of the kernel's, on devices and on the file system.

mod create;
mod directory;
mod information;
mod request;

mod transfer;
mod volume;

use std::rc::Rc;

use super::file::File;
use crate::{
    bugcheck::Outcome,
    ddi::Registry,
    kernel::Kernel,
    ob::{
        handle::{self, Handle},
        object::Type,
    },
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    create::register(ddi);
    directory::register(ddi);
    information::register(ddi);
    transfer::register(ddi);
    volume::register(ddi);
}

/// The file that a driver's handle stands for.
fn file_of(k: &Kernel, handle: Handle) -> Outcome<Result<Rc<File>, NtStatus>> {
    let object = match handle::object_of(k, handle, Type::File)? {
        Ok(object) => object,
        Err(status) => return Ok(Err(status)),
    };
    let file = k.io().borrow().files.get(&object).cloned();
    Ok(file.ok_or(NtStatus::INVALID_HANDLE))
}
