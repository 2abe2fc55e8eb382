//! Handles that drivers open: `ZwClose`.
//!
//! A handle that was opened with `OBJ_KERNEL_HANDLE`, or in a system thread, is a kernel handle: valid in every thread. One that was
//! opened in a program's thread without it belongs to the program, which can close or replace it at any time: a driver that uses it is
//! stopped, as by Driver Verifier. Numbers are not used again, so that a closed handle is never mistaken for another.

use std::{collections::BTreeMap, fmt};

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{GuestValue, Va},
    sched::Mode,
    status::NtStatus,
};

/// `OBJ_KERNEL_HANDLE` of `OBJECT_ATTRIBUTES::Attributes`.
pub const OBJ_KERNEL_HANDLE: u32 = 0x0000_0200;

/// Kernel handles are told from a program's by their upper bits.
const KERNEL_HANDLES: u64 = 0xFFFF_FFFF_8000_0000;
/// Handles are multiples of it.
const STEP: u64 = 4;

/// Driver Verifier's code for a program's handle that a driver uses as its own.
const USER_HANDLE: u64 = 0xF6;
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

/// What a handle stands for. Registry keys are all that drivers open here.
#[derive(Clone, Debug)]
pub struct Object {
    /// The object's name.
    pub name: String,
    /// The access rights that the handle carries.
    pub access: u32,
    /// The instruction after the call that opened it.
    pub opened_by: Va,
    /// It belongs to a program.
    user: bool,
}

/// All open handles.
#[derive(Debug, Default)]
pub struct Handles {
    open: BTreeMap<Handle, Object>,
    count: u64,
}

impl Handles {
    /// Those that are open, with what they stand for.
    pub(super) fn open(&self) -> impl Iterator<Item = (Handle, &Object)> {
        self.open.iter().map(|(&handle, object)| (handle, object))
    }
}

/// Opens a handle of the object called `name`, with the given rights and `OBJ_xxx` attributes.
#[must_use]
pub fn open(k: &Kernel, name: String, access: u32, attributes: u32) -> Handle {
    let in_program = k
        .current_thread()
        .is_some_and(|thread| k.thread_mode(thread) == Mode::User);
    let user = in_program && attributes & OBJ_KERNEL_HANDLE == 0;
    let handles = k.state::<Handles>();
    let mut handles = handles.borrow_mut();
    handles.count += 1;
    let number = handles.count * STEP;
    let handle = Handle(if user { number } else { KERNEL_HANDLES | number });
    let object = Object {
        name,
        access,
        opened_by: k.caller(),
        user,
    };
    handles.open.insert(handle, object);
    k.note_made(Va(handle.0));
    handle
}

/// What an open handle stands for; none when it is not open.
///
/// # Errors
/// When it belongs to a program.
pub fn find(k: &Kernel, handle: Handle) -> Outcome<Option<Object>> {
    let found = k.state::<Handles>().borrow().open.get(&handle).cloned();
    match found {
        Some(Object { user: true, name, .. }) => Err(k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [USER_HANDLE, handle.0, 0, 0],
            "user-handle-used",
            format!("the handle {handle} of {name} was opened in a program's thread without OBJ_KERNEL_HANDLE: it is the program's"),
        ))),
        found => Ok(found),
    }
}

/// `ZwClose`.
fn close(k: &Kernel, handle: Handle) -> Outcome<NtStatus> {
    if find(k, handle)?.is_none() {
        return Err(k.bugcheck(BugCheck::new(
            Code::INVALID_KERNEL_HANDLE,
            [handle.0, CLOSED_INVALID, 0, 0],
            "invalid-handle-closed",
            format!("ZwClose was given {handle}, which is no open handle"),
        )));
    }
    k.state::<Handles>().borrow_mut().open.remove(&handle);
    Ok(NtStatus::SUCCESS)
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("ZwClose", 1, ZW_CONTRACT, |k, a| close(k, Handle(a.u64(0))));
}
