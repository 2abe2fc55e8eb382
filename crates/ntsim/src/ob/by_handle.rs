//! From handles and names to objects and back: `ObReferenceObjectByHandle`, `ObReferenceObjectByPointer`, `ObReferenceObjectByName`,
//! `ObOpenObjectByPointer`, `ObOpenObjectByName`, `ObIsKernelHandle`.

use super::{
    attributes, callbacks,
    handle::{self, Handle, OBJ_KERNEL_HANDLE},
    namespace::{self, Found},
    object::{self, Type},
    reference, types,
};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Args, Contract, Registry},
    io,
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    ps,
    rtl::unicode_string,
    sched::Mode,
    status::NtStatus,
};

/// Offset of `GrantedAccess` in `OBJECT_HANDLE_INFORMATION`; `HandleAttributes` comes first.
const HANDLE_INFORMATION_ACCESS: usize = 4;

/// The pseudo handle of the current process.
pub(crate) const CURRENT_PROCESS: Handle = Handle(u64::MAX);
/// The pseudo handle of the current thread.
pub(crate) const CURRENT_THREAD: Handle = Handle(u64::MAX - 1);

pub(super) fn register(ddi: &mut Registry) {
    let by_rule = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_OB_PASSIVE);
    ddi.function("ObReferenceObjectByHandle", 6, by_rule, |k, a| {
        by_handle(k, a, a.va(4), a.va(5))
    });
    ddi.function("ObReferenceObjectByHandleWithTag", 7, by_rule, |k, a| {
        by_handle(k, a, a.va(5), a.va(6))
    });
    let dispatch = Contract::at_most(Irql::DISPATCH);
    for (name, arity) in [
        ("ObReferenceObjectByPointer", 4),
        ("ObReferenceObjectByPointerWithTag", 5),
    ] {
        ddi.function(name, arity, dispatch, |k, a| {
            let object = a.va(0);
            if !has_type(k, object, a.va(2)) {
                return Ok(NtStatus::OBJECT_TYPE_MISMATCH);
            }
            reference::reference(k, object)?;
            Ok(NtStatus::SUCCESS)
        });
    }
    let passive = Contract::exactly(Irql::PASSIVE);
    ddi.function("ObReferenceObjectByName", 8, passive, by_name);
    let apc = Contract::at_most(Irql::APC);
    ddi.flow("ObOpenObjectByPointer", 7, apc, |k, a| async move {
        open_by_pointer(&k, &a, a.va(6)).await
    });
    ddi.flow("ObOpenObjectByPointerWithTag", 8, apc, |k, a| async move {
        open_by_pointer(&k, &a, a.va(7)).await
    });
    ddi.flow("ObOpenObjectByName", 7, passive, |k, a| async move {
        open_by_name(&k, &a).await
    });
    ddi.function("ObIsKernelHandle", 1, Contract::ANY, |k, a| {
        let found = handle::is_kernel(k, Handle(a.u64(0)));
        Ok(found)
    });
}

fn mode_of(value: u8) -> Mode {
    if value == 0 { Mode::Kernel } else { Mode::User }
}

/// Whether `object` is of the type that an `OBJECT_TYPE` pointer asks for; a null pointer asks for none.
fn has_type(k: &Kernel, object: Va, asked: Va) -> bool {
    asked.is_null() || types::from_pointer(k, asked).is_some_and(|kind| object::type_of(k, object) == Some(kind))
}

/// `ObReferenceObjectByHandle(Handle, DesiredAccess, ObjectType, AccessMode, Object, HandleInformation)`.
fn by_handle(k: &Kernel, a: &Args, variable: Va, information: Va) -> Outcome<NtStatus> {
    let (handle, access, asked, mode) = (Handle(a.u64(0)), a.u32(1), a.va(2), mode_of(a.u8(3)));
    let (object, granted, inherit) = match handle {
        CURRENT_PROCESS => (ps::object(k, ps::current(k))?, u32::MAX, false),
        CURRENT_THREAD => (ps::current_thread_object(k), u32::MAX, false),
        handle => {
            let Some(found) = handle::find_for(k, handle, mode)? else {
                return refuse(k, variable, NtStatus::INVALID_HANDLE);
            };
            // A program may do what its handle allows; the kernel may do everything.
            if mode == Mode::User && access & !found.access != 0 {
                return refuse(k, variable, NtStatus::ACCESS_DENIED);
            }
            (handle::object_behind(k, handle, &found)?, found.access, found.inherit)
        }
    };
    if !has_type(k, object, asked) {
        return refuse(k, variable, NtStatus::OBJECT_TYPE_MISMATCH);
    }
    reference::reference(k, object)?;
    k.write(variable, object)?;
    if !information.is_null() {
        k.write(information, if inherit { handle::OBJ_INHERIT } else { 0 })?;
        k.write(information + HANDLE_INFORMATION_ACCESS, granted)?;
    }
    Ok(NtStatus::SUCCESS)
}

/// The variable is null when there is no object.
fn refuse(k: &Kernel, variable: Va, status: NtStatus) -> Outcome<NtStatus> {
    k.write(variable, Va::NULL)?;
    Ok(status)
}

/// `ObReferenceObjectByName(ObjectName, Attributes, AccessState, DesiredAccess, ObjectType, AccessMode, ParseContext, Object)`.
fn by_name(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let path = unicode_string::read(k, a.va(0))?;
    let (asked, variable) = (a.va(4), a.va(7));
    let object = match namespace::find(k, &path, false)? {
        Ok(Found::Object(object)) => object,
        Ok(Found::Device { device, rest }) if rest.is_empty() => device,
        Ok(_) => return refuse(k, variable, NtStatus::OBJECT_TYPE_MISMATCH),
        Err(status) => return refuse(k, variable, status),
    };
    if !has_type(k, object, asked) {
        return refuse(k, variable, NtStatus::OBJECT_TYPE_MISMATCH);
    }
    reference::reference(k, object)?;
    k.write(variable, object)?;
    Ok(NtStatus::SUCCESS)
}

/// `ObOpenObjectByPointer(Object, HandleAttributes, PassedAccessState, DesiredAccess, ObjectType, AccessMode, Handle)`.
async fn open_by_pointer(k: &Kernel, a: &Args, variable: Va) -> Outcome<NtStatus> {
    let (object, attributes, access, asked) = (a.va(0), a.u32(1), a.u32(3), a.va(4));
    if object::type_of(k, object).is_none() {
        return Err(reference::bad_reference(
            k,
            object,
            format!("ObOpenObjectByPointer was given {object}, which is no object, or one that is gone"),
        ));
    }
    if !has_type(k, object, asked) {
        return refuse(k, variable, NtStatus::OBJECT_TYPE_MISMATCH);
    }
    let handle = open(k, object, access, attributes).await?;
    k.write(variable, handle)?;
    Ok(NtStatus::SUCCESS)
}

/// Opens a handle of an object. Drivers that watch the opening of processes and threads are asked first.
pub(crate) async fn open(k: &Kernel, object: Va, access: u32, attributes: u32) -> Outcome<Handle> {
    let kind = object::type_of(k, object);
    let watched = kind.filter(|kind| matches!(kind, Type::Process | Type::Thread));
    let Some(kind) = watched else {
        if kind == Some(Type::File) {
            io::handle_created(k, object)?;
        }
        return Ok(handle::open_object(k, object, access, attributes));
    };
    let creation = callbacks::Creation {
        object,
        kind,
        access,
        kernel: attributes & OBJ_KERNEL_HANDLE != 0,
    };
    let access = callbacks::before(k, &creation).await?;
    let handle = handle::open_object(k, object, access, attributes);
    callbacks::after(k, &creation, access).await?;
    Ok(handle)
}

/// `ObOpenObjectByName(ObjectAttributes, ObjectType, AccessMode, AccessState, DesiredAccess, ParseContext, Handle)`.
async fn open_by_name(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (asked, access, variable) = (a.va(1), a.u32(4), a.va(6));
    let attributes = match attributes::read(k, a.va(0))? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    let object = match attributes.find(k, false)? {
        Ok(Found::Object(object)) => object,
        Ok(_) => {
            let name = attributes.name.unwrap_or_default();
            return Err(k.not_modelled(format!(
                "ObOpenObjectByName of {name}, a device, file or registry key, is not modelled: use ZwCreateFile or ZwOpenKey"
            )));
        }
        Err(status) => return Ok(status),
    };
    if !has_type(k, object, asked) {
        return Ok(NtStatus::OBJECT_TYPE_MISMATCH);
    }
    let handle = open(k, object, access, attributes.flags).await?;
    k.write(variable, handle)?;
    Ok(NtStatus::SUCCESS)
}
