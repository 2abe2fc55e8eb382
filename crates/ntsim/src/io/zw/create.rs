//! Opening files: `ZwCreateFile`, `ZwOpenFile`, `IoCreateFile`, `IoCreateFileSpecifyDeviceObjectHint`, `ZwDeleteFile`,
//! `ZwQueryFullAttributesFile`.

use ntlayout::io_status_block as iosb;

use super::super::{
    file,
    open::{self, DELETE, FILE_DELETE_ON_CLOSE, FILE_OPEN, Spec},
};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    ob::{
        attributes::{self, Attributes},
        handle::{self, Handle, ZW_CONTRACT},
    },
    sched::Mode,
    status::NtStatus,
};

/// `FILE_READ_ATTRIBUTES`.
const FILE_READ_ATTRIBUTES: u32 = 0x0080;
/// `FileNetworkOpenInformation`, and its size.
const NETWORK_OPEN_INFORMATION: (u32, u32) = (34, 56);

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwCreateFile", "NtCreateFile"] {
        ddi.flow(name, 11, ZW_CONTRACT, |k, a| async move {
            let mut asked = asked(&k, &a, None)?;
            if let Ok((spec, _)) = &mut asked {
                spec.attributes = a.u32(5);
            }
            create(&k, a.va(0), a.va(3), asked).await
        });
    }
    for name in ["ZwOpenFile", "NtOpenFile"] {
        // (FileHandle, DesiredAccess, ObjectAttributes, IoStatusBlock, ShareAccess, OpenOptions)
        ddi.flow(name, 6, ZW_CONTRACT, |k, a| async move {
            let spec = described(&k, a.va(2), a.u32(1))?.map(|(spec, attributes)| {
                let spec = Spec {
                    share: a.u32(4),
                    options: a.u32(5),
                    ..spec
                };
                (spec, attributes)
            });
            create(&k, a.va(0), a.va(3), spec).await
        });
    }
    let contract = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_IO_PASSIVE_4);
    ddi.flow("IoCreateFile", 14, contract, |k, a| async move {
        let asked = asked(&k, &a, None)?;
        create(&k, a.va(0), a.va(3), asked).await
    });
    ddi.flow("IoCreateFileSpecifyDeviceObjectHint", 15, contract, |k, a| async move {
        let hint = Some(a.va(14)).filter(|hint| !hint.is_null());
        let asked = asked(&k, &a, hint)?;
        create(&k, a.va(0), a.va(3), asked).await
    });
    for name in ["ZwDeleteFile", "NtDeleteFile"] {
        ddi.flow(name, 1, ZW_CONTRACT, |k, a| async move { delete(&k, a.va(0)).await });
    }
    ddi.flow("ZwQueryFullAttributesFile", 2, ZW_CONTRACT, |k, a| async move {
        full_attributes(&k, a.va(0), a.va(1)).await
    });
}

type Asked = Result<(Spec, Attributes), NtStatus>;

/// What the `OBJECT_ATTRIBUTES` at `at` names.
fn described(k: &Kernel, at: Va, access: u32) -> Outcome<Asked> {
    let attributes = match attributes::read(k, at)? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(Err(status)),
    };
    let related = attributes
        .related_file
        .and_then(|related| k.io().borrow().files.get(&related).cloned());
    let name = attributes.name.clone().unwrap_or_default();
    if name.is_empty() && related.is_none() {
        return Ok(Err(NtStatus::OBJECT_PATH_SYNTAX_BAD));
    }
    let mut spec = Spec::existing(&name, access, Mode::Kernel);
    spec.start = attributes.start;
    spec.related = related;
    Ok(Ok((spec, attributes)))
}

/// `(FileHandle, DesiredAccess, ObjectAttributes, IoStatusBlock, AllocationSize, FileAttributes, ShareAccess, CreateDisposition, CreateOptions,
/// EaBuffer, EaLength, …)`
fn asked(k: &Kernel, a: &Args, hint: Option<Va>) -> Outcome<Asked> {
    if !a.va(9).is_null() && a.u32(10) != 0 {
        return Err(k.not_modelled("opening a file with extended attributes is not modelled"));
    }
    Ok(described(k, a.va(2), a.u32(1))?.map(|(spec, attributes)| {
        let spec = Spec {
            attributes: a.u32(5),
            share: a.u32(6),
            disposition: a.u32(7),
            options: a.u32(8),
            hint,
            ..spec
        };
        (spec, attributes)
    }))
}

/// Opens the file and hands the handle out.
async fn create(k: &Kernel, variable: Va, io_status_block: Va, asked: Asked) -> Outcome<NtStatus> {
    let (spec, attributes) = match asked {
        Ok(asked) => asked,
        Err(status) => return Ok(status),
    };
    let (file, information) = match open::open(k, &spec).await? {
        Ok(opened) => opened,
        Err(status) => {
            k.write(io_status_block, status)?;
            k.write(io_status_block + iosb::INFORMATION, 0_u64)?;
            return Ok(status);
        }
    };
    file::handle_created(k, &file)?;
    let access = open::map_rights(spec.access);
    let handle = handle::open_object(k, file.object(), access, attributes.flags);
    k.write(variable, handle)?;
    k.write(io_status_block, NtStatus::SUCCESS)?;
    k.write(io_status_block + iosb::INFORMATION, information)?;
    Ok(NtStatus::SUCCESS)
}

/// Opens a file for the system itself, which has a handle of its own for as long.
async fn open_for(k: &Kernel, at: Va, access: u32, options: u32) -> Outcome<Result<Handle, NtStatus>> {
    let (mut spec, _) = match described(k, at, access)? {
        Ok(asked) => asked,
        Err(status) => return Ok(Err(status)),
    };
    spec.disposition = FILE_OPEN;
    spec.options = options;
    spec.share = 7;
    let file = match open::open(k, &spec).await? {
        Ok((file, _)) => file,
        Err(status) => return Ok(Err(status)),
    };
    file::handle_created(k, &file)?;
    Ok(Ok(handle::open_object(
        k,
        file.object(),
        access,
        handle::OBJ_KERNEL_HANDLE,
    )))
}

/// `ZwDeleteFile(ObjectAttributes)`.
async fn delete(k: &Kernel, attributes: Va) -> Outcome<NtStatus> {
    match open_for(k, attributes, DELETE, FILE_DELETE_ON_CLOSE).await? {
        Ok(handle) => handle::close(k, handle).await,
        Err(status) => Ok(status),
    }
}

/// `ZwQueryFullAttributesFile(ObjectAttributes, FileInformation)`.
async fn full_attributes(k: &Kernel, attributes: Va, buffer: Va) -> Outcome<NtStatus> {
    let handle = match open_for(k, attributes, FILE_READ_ATTRIBUTES, 0).await? {
        Ok(handle) => handle,
        Err(status) => return Ok(status),
    };
    let block = k.allocate_system(iosb::SIZE, "IO_STATUS_BLOCK")?;
    let (class, length) = NETWORK_OPEN_INFORMATION;
    let status = super::information::query(k, handle, block, buffer, length, class).await?;
    k.free_system(block)?;
    handle::close(k, handle).await?;
    Ok(status)
}
