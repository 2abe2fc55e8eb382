//! From names and file objects to device objects: `IoGetDeviceObjectPointer`, `IoGetRelatedDeviceObject`, `IoGetBaseFileSystemDeviceObject`.

use ntlayout::file_object as layout;

use super::{
    device,
    file::{self, File},
    open::{self, FILE_NON_DIRECTORY_FILE},
};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    ob,
    rtl::unicode_string,
    sched::Mode,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_IO_PASSIVE_5);
    ddi.flow("IoGetDeviceObjectPointer", 4, contract, |k, a| async move {
        pointer(&k, &a).await
    });
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoGetRelatedDeviceObject", 1, contract, |k, a| {
        let file = file_at(k, a.va(0));
        match file {
            Some(file) => file.related_device(k),
            // A file object that a driver has made by itself.
            None => device::top_of_stack(k, k.read(a.va(0) + layout::DEVICE_OBJECT)?),
        }
    });
    ddi.function("IoGetBaseFileSystemDeviceObject", 1, contract, |k, a| {
        k.read::<Va>(a.va(0) + layout::DEVICE_OBJECT)
    });
}

fn file_at(k: &Kernel, object: Va) -> Option<std::rc::Rc<File>> {
    k.io().borrow().files.get(&object).cloned()
}

/// `IoGetDeviceObjectPointer(ObjectName, DesiredAccess, FileObject, DeviceObject)`: opens the device, and closes the handle again. The driver
/// has a reference to the file object, which keeps the device; `IRP_MJ_CLOSE` follows when it gives that back.
async fn pointer(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let name = unicode_string::read(k, a.va(0))?;
    let mut spec = open::Spec::existing(&name, a.u32(1), Mode::Kernel);
    spec.options = FILE_NON_DIRECTORY_FILE;
    let file = match open::open(k, &spec).await? {
        Ok((file, _)) => file,
        Err(status) => return Ok(status),
    };
    file::handle_created(k, &file)?;
    ob::reference::reference(k, file.object())?;
    k.note_made(file.object());
    let top = file.related_device(k)?;
    file::last_handle_closed(k, &file).await?;
    k.write(a.va(2), file.object())?;
    k.write(a.va(3), top)?;
    Ok(NtStatus::SUCCESS)
}
