//! What can be done with a handle: `ZwDuplicateObject`, `ZwQueryObject`, `ZwSetInformationObject`.

use super::{
    by_handle::CURRENT_PROCESS,
    handle::{self, Handle, OBJ_INHERIT, OBJ_KERNEL_HANDLE, ZW_CONTRACT},
    name,
    object::Type,
    reference,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    ps::{self, ProcessId},
    status::NtStatus,
};

/// `DUPLICATE_CLOSE_SOURCE`.
const CLOSE_SOURCE: u32 = 1;
/// `DUPLICATE_SAME_ACCESS`.
const SAME_ACCESS: u32 = 2;
/// `DUPLICATE_SAME_ATTRIBUTES`.
const SAME_ATTRIBUTES: u32 = 4;

/// `ObjectBasicInformation`, `ObjectNameInformation`, `ObjectTypeInformation`, `ObjectHandleFlagInformation`.
const BASIC: u32 = 0;
const NAME: u32 = 1;
const TYPE: u32 = 2;
const HANDLE_FLAGS: u32 = 4;

/// Bytes of a `PUBLIC_OBJECT_BASIC_INFORMATION`.
const BASIC_SIZE: u32 = 56;

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwDuplicateObject", "NtDuplicateObject"] {
        ddi.flow(name, 7, ZW_CONTRACT, |k, a| async move { duplicate(&k, &a).await });
    }
    ddi.function("ZwQueryObject", 5, ZW_CONTRACT, query);
    ddi.function("ZwSetInformationObject", 4, ZW_CONTRACT, set);
}

/// The process that a handle stands for.
pub(crate) fn process_of(k: &Kernel, handle: Handle) -> Outcome<Result<ProcessId, NtStatus>> {
    if handle == CURRENT_PROCESS {
        return Ok(Ok(ps::current(k)));
    }
    Ok(match handle::object_of(k, handle, Type::Process)? {
        Ok(object) => ps::by_object(k, object).ok_or(NtStatus::INVALID_HANDLE),
        Err(status) => Err(status),
    })
}

/// `ZwDuplicateObject(SourceProcessHandle, SourceHandle, TargetProcessHandle, TargetHandle, DesiredAccess, HandleAttributes, Options)`.
async fn duplicate(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (source, access, attributes, options) = (Handle(a.u64(1)), a.u32(4), a.u32(5), a.u32(6));
    let (from, target) = match (process_of(k, Handle(a.u64(0)))?, a.u64(2)) {
        (Ok(from), 0) => (from, None),
        (Ok(from), target) => match process_of(k, Handle(target))? {
            Ok(target) => (from, Some(target)),
            Err(status) => return Ok(status),
        },
        (Err(status), _) => return Ok(status),
    };
    let Some(found) = handle::in_process(k, source, from) else {
        return Ok(NtStatus::INVALID_HANDLE);
    };
    if let Some(target) = target {
        let mut copy = found.clone();
        copy.opened_by = k.caller();
        if options & SAME_ACCESS == 0 {
            copy.access = access;
        }
        if options & SAME_ATTRIBUTES == 0 {
            copy.inherit = attributes & OBJ_INHERIT != 0;
            copy.protected = false;
        }
        let kernel = attributes & OBJ_KERNEL_HANDLE != 0;
        let handle = handle::add_to(k, copy, target, kernel);
        if !a.va(3).is_null() {
            k.write(a.va(3), handle)?;
        }
    }
    if options & CLOSE_SOURCE != 0 {
        handle::drop_handle(k, source, found).await?;
    }
    Ok(NtStatus::SUCCESS)
}

/// `ZwQueryObject(Handle, ObjectInformationClass, ObjectInformation, ObjectInformationLength, ReturnLength)`.
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (handle, class, buffer, length, returned) = (Handle(a.u64(0)), a.u32(1), a.va(2), a.u32(3), a.va(4));
    let Some(found) = handle::find(k, handle)? else {
        return Ok(NtStatus::INVALID_HANDLE);
    };
    let write_length = |needed: u32| {
        if returned.is_null() {
            Ok(())
        } else {
            k.write(returned, needed)
        }
    };
    match class {
        BASIC => {
            if length != BASIC_SIZE {
                return Ok(NtStatus::INFO_LENGTH_MISMATCH);
            }
            let object = found.object;
            let handles = object.map_or(1, |object| handle::count(k, object));
            let pointers = object.map_or(0, |object| reference::count(k, object)) + handles as u64;
            k.fill(buffer, 0, BASIC_SIZE as usize)?;
            k.write(buffer, attributes_of(&found))?;
            k.write(buffer + 4_u64, found.access)?;
            k.write(buffer + 8_u64, u32::try_from(handles).unwrap_or(u32::MAX))?;
            k.write(buffer + 12_u64, u32::try_from(pointers).unwrap_or(u32::MAX))?;
            write_length(BASIC_SIZE)?;
            Ok(NtStatus::SUCCESS)
        }
        NAME => {
            let name = match found.object {
                Some(object) => name::of(k, object).unwrap_or_default(),
                None => found.name,
            };
            name::write(k, &name, buffer, length, returned)
        }
        TYPE => type_name(k, found.kind, buffer, length, returned),
        class => Err(k.not_modelled(format!(
            "ZwQueryObject with the information class {class} is not modelled"
        ))),
    }
}

/// A `PUBLIC_OBJECT_TYPE_INFORMATION`: the type's name, and 22 reserved fields.
fn type_name(k: &Kernel, kind: Type, buffer: Va, length: u32, returned: Va) -> Outcome<NtStatus> {
    const SIZE: usize = 16 + 22 * 4;
    let bytes = crate::rtl::unicode_string::encode(kind.name());
    let needed = u32::try_from(SIZE + bytes.len() + 2).expect("names of types are short");
    if !returned.is_null() {
        k.write(returned, needed)?;
    }
    if length < needed {
        return Ok(NtStatus::INFO_LENGTH_MISMATCH);
    }
    k.fill(buffer, 0, SIZE)?;
    let size = u16::try_from(bytes.len()).expect("names of types are short");
    k.write(buffer, size)?;
    k.write(buffer + 2_u64, size + 2)?;
    k.write(buffer + 8_u64, buffer + SIZE)?;
    k.write_bytes(buffer + SIZE, &bytes)?;
    k.write(buffer + SIZE + bytes.len(), 0_u16)?;
    Ok(NtStatus::SUCCESS)
}

fn attributes_of(found: &handle::Object) -> u32 {
    let inherit = if found.inherit { OBJ_INHERIT } else { 0 };
    let kernel = if found.is_kernel() { OBJ_KERNEL_HANDLE } else { 0 };
    inherit | kernel
}

/// `ZwSetInformationObject(Handle, ObjectInformationClass, ObjectInformation, ObjectInformationLength)`: `ObjectHandleFlagInformation` alone,
/// with `Inherit` and `ProtectFromClose`.
fn set(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (handle, class, buffer, length) = (Handle(a.u64(0)), a.u32(1), a.va(2), a.u32(3));
    if class != HANDLE_FLAGS {
        return Ok(NtStatus::INVALID_INFO_CLASS);
    }
    if length != 2 {
        return Ok(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let (inherit, protect): (u8, u8) = (k.read(buffer)?, k.read(buffer + 1_u64)?);
    if handle::find(k, handle)?.is_none() {
        return Ok(NtStatus::INVALID_HANDLE);
    }
    handle::with(k, handle, |found| {
        found.inherit = inherit != 0;
        found.protected = protect != 0;
    });
    Ok(NtStatus::SUCCESS)
}
