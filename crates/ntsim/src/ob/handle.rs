//! Handles: `ZwClose`, `NtClose`, `ObCloseHandle`.
//!
//! A handle that was opened with `OBJ_KERNEL_HANDLE` is a kernel handle: valid in every process. One that a driver opens without it in a
//! system thread is valid in the System process alone. One that is opened in a program's thread without it belongs to the program, which
//! can close or replace it at any time: a driver that uses it as its own is stopped, as by Driver Verifier. Numbers are not used again,
//! so that a closed handle is never mistaken for another.

use std::{collections::BTreeMap, fmt};

use super::object::{self, Body, Type};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    io,
    ke::Irql,
    kernel::Kernel,
    mm::{GuestValue, Va},
    ps::{self, ProcessId},
    sched::Mode,
    status::NtStatus,
};

/// `OBJ_KERNEL_HANDLE` of `OBJECT_ATTRIBUTES::Attributes`.
pub const OBJ_KERNEL_HANDLE: u32 = 0x0000_0200;
/// `OBJ_INHERIT`.
pub(crate) const OBJ_INHERIT: u32 = 0x0000_0002;

/// Kernel handles are told from a program's by their upper bits.
const KERNEL_HANDLES: u64 = 0xFFFF_FFFF_8000_0000;
/// Handles are multiples of it.
const STEP: u64 = 4;

/// Driver Verifier's code for a program's handle that a driver uses as its own.
const USER_HANDLE: u64 = 0xF6;
/// Parameter 2 of `INVALID_KERNEL_HANDLE` for a handle that is protected from being closed.
const CLOSED_PROTECTED: u64 = 0;
/// Parameter 2 of `INVALID_KERNEL_HANDLE` for a handle that is none.
const CLOSED_INVALID: u64 = 1;

/// The contract of the Zw routines, by Driver Verifier's rule.
pub const ZW_CONTRACT: Contract = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_ZW_PASSIVE);

/// A `HANDLE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(pub u64);

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl GuestValue for Handle {
    const SIZE: usize = 8;

    fn from_guest(bytes: &[u8]) -> Self {
        Self(u64::from_guest(bytes))
    }

    fn to_guest(self, bytes: &mut [u8]) {
        self.0.to_guest(bytes);
    }
}

/// Where a handle is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// In every process, for the kernel.
    Kernel,
    /// In one process.
    Process(ProcessId),
}

/// What a handle stands for.
#[derive(Clone, Debug)]
pub struct Object {
    /// The type of the object.
    pub kind: Type,
    /// The object; none for a registry key, which has no body.
    pub object: Option<Va>,
    /// The object's name.
    pub name: String,
    /// The access rights that the handle carries.
    pub access: u32,
    /// The instruction after the call that opened it.
    pub opened_by: Va,
    /// It is inherited by child processes.
    pub inherit: bool,
    /// It may not be closed.
    pub protected: bool,
    scope: Scope,
    /// A program has opened it, not a driver.
    by_program: bool,
}

impl Object {
    /// Whether the handle is a kernel handle.
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        self.scope == Scope::Kernel
    }
}

/// All open handles.
#[derive(Debug, Default)]
pub struct Handles {
    open: BTreeMap<Handle, Object>,
    count: u64,
}

impl Handles {
    /// Those that drivers have open, with what they stand for.
    pub(super) fn of_drivers(&self) -> impl Iterator<Item = (Handle, &Object)> {
        let open = self.open.iter().filter(|(_, object)| !object.by_program);
        open.map(|(&handle, object)| (handle, object))
    }

    fn add(&mut self, object: Object) -> Handle {
        self.count += 1;
        let number = self.count * STEP;
        let handle = Handle(if object.is_kernel() {
            KERNEL_HANDLES | number
        } else {
            number
        });
        self.open.insert(handle, object);
        handle
    }
}

/// Opens a handle of the registry key called `name`, with the given rights and `OBJ_xxx` attributes.
#[must_use]
pub fn open(k: &Kernel, name: String, access: u32, attributes: u32) -> Handle {
    open_any(k, Type::Key, None, name, access, attributes)
}

/// Opens a handle of an object, with the given rights and `OBJ_xxx` attributes, for a driver.
#[must_use]
pub fn open_object(k: &Kernel, object: Va, access: u32, attributes: u32) -> Handle {
    let kind = object::type_of(k, object).unwrap_or(Type::ObjectType);
    let name = described(k, object, kind);
    open_any(k, kind, Some(object), name, access, attributes)
}

/// Opens a handle of an object for the program that the current thread belongs to.
#[must_use]
pub fn open_for_program(k: &Kernel, object: Va, access: u32) -> Handle {
    let kind = object::type_of(k, object).unwrap_or(Type::ObjectType);
    let opened = Object {
        kind,
        object: Some(object),
        name: described(k, object, kind),
        access,
        opened_by: Va::NULL,
        inherit: false,
        protected: false,
        scope: Scope::Process(ps::current(k)),
        by_program: true,
    };
    k.state::<Handles>().borrow_mut().add(opened)
}

fn open_any(k: &Kernel, kind: Type, object: Option<Va>, name: String, access: u32, attributes: u32) -> Handle {
    let scope = if attributes & OBJ_KERNEL_HANDLE != 0 {
        Scope::Kernel
    } else {
        Scope::Process(ps::current(k))
    };
    let opened = Object {
        kind,
        object,
        name,
        access,
        opened_by: k.caller(),
        inherit: attributes & OBJ_INHERIT != 0,
        protected: false,
        scope,
        by_program: false,
    };
    let handle = k.state::<Handles>().borrow_mut().add(opened);
    k.note_made(Va(handle.0));
    handle
}

/// An object in words, for reports.
fn described(k: &Kernel, object: Va, kind: Type) -> String {
    super::name::of(k, object).unwrap_or_else(|| format!("the {kind} object {object}"))
}

/// How many handles of an object are open.
pub(crate) fn count(k: &Kernel, object: Va) -> usize {
    let handles = k.state::<Handles>();
    let handles = handles.borrow();
    handles.open.values().filter(|open| open.object == Some(object)).count()
}

/// What an open handle stands for, to a driver that uses it as its own; none when it is not open here.
///
/// # Errors
/// When it belongs to a program.
pub fn find(k: &Kernel, handle: Handle) -> Outcome<Option<Object>> {
    let Some(found) = visible(k, handle) else {
        return Ok(None);
    };
    if matches!(found.scope, Scope::Process(process) if process != ProcessId::SYSTEM) {
        let name = found.name;
        return Err(k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [USER_HANDLE, handle.0, 0, 0],
            "user-handle-used",
            format!(
                "the handle {handle} of {name} was opened in a program's thread without OBJ_KERNEL_HANDLE: it is the program's"
            ),
        )));
    }
    Ok(Some(found))
}

/// What an open handle stands for in the current process, whoever may use it.
fn visible(k: &Kernel, handle: Handle) -> Option<Object> {
    let found = k.state::<Handles>().borrow().open.get(&handle).cloned()?;
    let here = match found.scope {
        Scope::Kernel => true,
        Scope::Process(process) => process == ps::current(k),
    };
    here.then_some(found)
}

/// What an open handle stands for when it is used on behalf of `mode`: a program cannot use the kernel's handles.
///
/// # Errors
/// When a driver uses a program's handle as its own.
pub(crate) fn find_for(k: &Kernel, handle: Handle, mode: Mode) -> Outcome<Option<Object>> {
    match mode {
        Mode::Kernel => find(k, handle),
        Mode::User => Ok(visible(k, handle).filter(|found| !found.is_kernel())),
    }
}

/// The object of a type that an open handle stands for.
///
/// # Errors
/// When the handle belongs to a program.
pub(crate) fn object_of(k: &Kernel, handle: Handle, kind: Type) -> Outcome<Result<Va, NtStatus>> {
    let Some(found) = find(k, handle)? else {
        return Ok(Err(NtStatus::INVALID_HANDLE));
    };
    Ok(match found.object {
        Some(object) if found.kind == kind => Ok(object),
        _ => Err(NtStatus::OBJECT_TYPE_MISMATCH),
    })
}

/// Works on an open handle's books.
pub(crate) fn with<T>(k: &Kernel, handle: Handle, work: impl FnOnce(&mut Object) -> T) -> Option<T> {
    let handles = k.state::<Handles>();
    let mut handles = handles.borrow_mut();
    handles.open.get_mut(&handle).map(work)
}

/// Whether a handle is a kernel handle.
pub(crate) fn is_kernel(k: &Kernel, handle: Handle) -> bool {
    let handles = k.state::<Handles>();
    let handles = handles.borrow();
    handles.open.get(&handle).is_some_and(Object::is_kernel)
}

/// What an open handle stands for in a process.
pub(crate) fn in_process(k: &Kernel, handle: Handle, process: ProcessId) -> Option<Object> {
    let found = k.state::<Handles>().borrow().open.get(&handle).cloned()?;
    let here = match found.scope {
        Scope::Kernel => process == ProcessId::SYSTEM,
        Scope::Process(owner) => owner == process,
    };
    here.then_some(found)
}

/// Opens a handle like another one, in a process or for the kernel.
pub(crate) fn add_to(k: &Kernel, mut copy: Object, process: ProcessId, kernel: bool) -> Handle {
    copy.scope = if kernel { Scope::Kernel } else { Scope::Process(process) };
    // What is in a program's table is closed by the program, or when it ends.
    copy.by_program = !kernel && process != ProcessId::SYSTEM;
    let handle = k.state::<Handles>().borrow_mut().add(copy);
    k.note_made(Va(handle.0));
    handle
}

/// The object that an open handle stands for. A registry key gets a body when a driver first asks for one.
pub(crate) fn object_behind(k: &Kernel, handle: Handle, found: &Object) -> Outcome<Va> {
    if let Some(object) = found.object {
        return Ok(object);
    }
    let object = object::create_opaque(k, found.kind, Body::Key(found.name.clone()), false)?;
    with(k, handle, |found| found.object = Some(object));
    Ok(object)
}

/// `ZwClose`, called by a driver.
pub(crate) async fn close(k: &Kernel, handle: Handle) -> Outcome<NtStatus> {
    let Some(found) = find(k, handle)? else {
        return Err(not_closed(
            k,
            handle,
            CLOSED_INVALID,
            format!("ZwClose was given {handle}, which is no open handle"),
        ));
    };
    if found.protected {
        let message = format!("ZwClose was given {handle}, which is protected from being closed");
        return Err(not_closed(k, handle, CLOSED_PROTECTED, message));
    }
    drop_handle(k, handle, found).await?;
    Ok(NtStatus::SUCCESS)
}

fn not_closed(k: &Kernel, handle: Handle, why: u64, message: String) -> crate::bugcheck::Halted {
    k.bugcheck(BugCheck::new(
        Code::INVALID_KERNEL_HANDLE,
        [handle.0, why, 0, 0],
        "invalid-handle-closed",
        message,
    ))
}

/// `CloseHandle`: a program closes one of its handles.
///
/// # Errors
/// When a driver breaks a rule meanwhile.
pub(crate) async fn close_for_program(k: &Kernel, handle: Handle) -> Outcome<NtStatus> {
    let found = k.state::<Handles>().borrow().open.get(&handle).cloned();
    match found {
        Some(found) if found.by_program || !found.is_kernel() => {
            drop_handle(k, handle, found).await?;
            Ok(NtStatus::SUCCESS)
        }
        _ => Ok(NtStatus::INVALID_HANDLE),
    }
}

/// Takes an open handle away.
pub(crate) async fn drop_handle(k: &Kernel, handle: Handle, found: Object) -> Outcome<()> {
    k.state::<Handles>().borrow_mut().open.remove(&handle);
    let Some(object) = found.object else {
        return crate::cm::handle_closed(k, handle);
    };
    if found.kind == Type::File {
        let left = count(k, object);
        io::handle_closed(k, object, left).await?;
    }
    object::released(k, object).await
}

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwClose", "NtClose"] {
        ddi.flow(
            name,
            1,
            ZW_CONTRACT,
            |k, a| async move { close(&k, Handle(a.u64(0))).await },
        );
    }
    ddi.flow(
        "ObCloseHandle",
        2,
        Contract::exactly(Irql::PASSIVE),
        |k, a| async move {
            let (handle, mode) = (Handle(a.u64(0)), a.u8(1));
            if mode == 0 {
                return close(&k, handle).await;
            }
            close_for_program(&k, handle).await
        },
    );
}
