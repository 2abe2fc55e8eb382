//! Callbacks on handles of processes and threads: `ObRegisterCallbacks`, `ObUnRegisterCallbacks`, `ObGetFilterVersion`.

use ntlayout::unicode_string;

use super::{object::Type, types};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
    mm::Va,
    rtl,
    status::NtStatus,
};

/// `OB_FLT_REGISTRATION_VERSION`.
const VERSION: u16 = 0x0100;
/// `OB_OPERATION_HANDLE_CREATE`.
const HANDLE_CREATE: u32 = 1;
/// `OB_OPERATION_HANDLE_DUPLICATE`.
const HANDLE_DUPLICATE: u32 = 2;

/// Offsets in `OB_CALLBACK_REGISTRATION`.
mod registration {
    pub const COUNT: usize = 2;
    pub const ALTITUDE: usize = 8;
    pub const CONTEXT: usize = 24;
    pub const OPERATIONS: usize = 32;
}

/// Offsets in `OB_OPERATION_REGISTRATION`, and its size.
mod operation {
    pub const SIZE: usize = 32;
    pub const OBJECT_TYPE: usize = 0;
    pub const OPERATIONS: usize = 8;
    pub const PRE: usize = 16;
    pub const POST: usize = 24;
}

/// Offsets in `OB_PRE_OPERATION_INFORMATION` and `OB_POST_OPERATION_INFORMATION`, and the size of the larger.
mod information {
    pub const SIZE: usize = 48;
    pub const OPERATION: usize = 0;
    pub const FLAGS: usize = 4;
    pub const OBJECT: usize = 8;
    pub const OBJECT_TYPE: usize = 16;
    pub const CALL_CONTEXT: usize = 24;
    pub const PRE_PARAMETERS: usize = 32;
    pub const POST_STATUS: usize = 32;
    pub const POST_PARAMETERS: usize = 40;
}

/// Bytes of the parameters of an operation: `DesiredAccess`, `OriginalDesiredAccess`, and two processes for a duplicate.
const PARAMETERS_SIZE: usize = 24;

/// What a driver has registered for one type.
#[derive(Clone, Debug)]
struct Callback {
    kind: Type,
    operations: u32,
    pre: Va,
    post: Va,
    context: u64,
    altitude: String,
    registration: Va,
    by: Va,
}

/// All callbacks, those of higher altitude first.
#[derive(Debug, Default)]
struct Callbacks {
    all: Vec<Callback>,
}

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::APC);
    ddi.function("ObRegisterCallbacks", 2, contract, register_callbacks);
    ddi.function("ObUnRegisterCallbacks", 1, contract, |k, a| {
        let registration = a.va(0);
        let callbacks = k.state::<Callbacks>();
        let before = callbacks.borrow().all.len();
        callbacks
            .borrow_mut()
            .all
            .retain(|callback| callback.registration != registration);
        if callbacks.borrow().all.len() == before {
            return Err(k.bugcheck(BugCheck::new(
                Code::KMODE_EXCEPTION_NOT_HANDLED,
                [
                    NtStatus::ACCESS_VIOLATION.0.into(),
                    k.caller().get(),
                    0,
                    registration.get(),
                ],
                "unregistered-callbacks",
                format!(
                    "ObUnRegisterCallbacks was given {registration}, which is no registration, or one that is gone"
                ),
            )));
        }
        k.free_system(registration)
    });
    ddi.function("ObGetFilterVersion", 0, Contract::ANY, |_, _| Ok(u32::from(VERSION)));
}

/// `ObRegisterCallbacks(CallbackRegistration, RegistrationHandle)`.
fn register_callbacks(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (at, variable) = (a.va(0), a.va(1));
    let (version, count): (u16, u16) = (k.read(at)?, k.read(at + registration::COUNT)?);
    if version & 0xFF00 != VERSION || count == 0 {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let altitude = rtl::unicode_string::read(k, at + registration::ALTITUDE)?;
    let context = k.read(at + registration::CONTEXT)?;
    let operations: Va = k.read(at + registration::OPERATIONS)?;
    if altitude.is_empty() || operations.is_null() {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let taken = k
        .state::<Callbacks>()
        .borrow()
        .all
        .iter()
        .any(|callback| callback.altitude == altitude);
    if taken {
        return Ok(NtStatus::FLT_INSTANCE_ALTITUDE_COLLISION);
    }
    let mut found = Vec::new();
    for index in 0..usize::from(count) {
        let entry = operations + index * operation::SIZE;
        let pointer: Va = k.read(entry + operation::OBJECT_TYPE)?;
        let kind = types::from_pointer(k, k.read(pointer)?);
        let asked: u32 = k.read(entry + operation::OPERATIONS)?;
        let (pre, post): (Va, Va) = (k.read(entry + operation::PRE)?, k.read(entry + operation::POST)?);
        let Some(kind) = kind.filter(|kind| matches!(kind, Type::Process | Type::Thread)) else {
            return Ok(NtStatus::INVALID_PARAMETER);
        };
        if asked & (HANDLE_CREATE | HANDLE_DUPLICATE) == 0 || (pre.is_null() && post.is_null()) {
            return Ok(NtStatus::INVALID_PARAMETER);
        }
        found.push((kind, asked, pre, post));
    }
    let object = k.allocate_system(unicode_string::SIZE, "registration of object callbacks")?;
    let by = k.caller();
    let callbacks = k.state::<Callbacks>();
    let mut callbacks = callbacks.borrow_mut();
    callbacks
        .all
        .extend(found.into_iter().map(|(kind, operations, pre, post)| Callback {
            kind,
            operations,
            pre,
            post,
            context,
            altitude: altitude.clone(),
            registration: object,
            by,
        }));
    callbacks
        .all
        .sort_by(|one, other| rank(&other.altitude).total_cmp(&rank(&one.altitude)));
    drop(callbacks);
    k.write(variable, object)?;
    Ok(NtStatus::SUCCESS)
}

/// An altitude is a decimal number in words.
fn rank(altitude: &str) -> f64 {
    altitude.parse().unwrap_or(0.0)
}

/// A handle that is about to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Creation {
    pub object: Va,
    pub kind: Type,
    pub access: u32,
    pub kernel: bool,
}

fn of(k: &Kernel, creation: &Creation) -> Vec<Callback> {
    let callbacks = k.state::<Callbacks>();
    let callbacks = callbacks.borrow();
    let concerned = |callback: &&Callback| callback.kind == creation.kind && callback.operations & HANDLE_CREATE != 0;
    callbacks.all.iter().filter(concerned).cloned().collect()
}

/// Asks the drivers that watch: the access that is left. They can take rights away from a program's handle, and add none.
pub(super) async fn before(k: &Kernel, creation: &Creation) -> Outcome<u32> {
    let mut access = creation.access;
    for callback in of(k, creation).into_iter().filter(|callback| !callback.pre.is_null()) {
        let (information, parameters) = describe(k, creation)?;
        k.write(parameters, access)?;
        k.write(parameters + 4_u64, creation.access)?;
        k.write(information + information::PRE_PARAMETERS, parameters)?;
        k.call(callback.pre, &[callback.context, information.get()])
            .label("object callback")
            .await?;
        let left: u32 = k.read(parameters)?;
        if !creation.kernel {
            access &= left;
        }
        k.free_system(parameters)?;
        k.free_system(information)?;
    }
    Ok(access)
}

/// Tells the drivers that watch that the handle was made.
pub(super) async fn after(k: &Kernel, creation: &Creation, granted: u32) -> Outcome<()> {
    let callbacks = of(k, creation);
    // The lowest altitude comes first on the way back.
    for callback in callbacks.into_iter().rev().filter(|callback| !callback.post.is_null()) {
        let (information, parameters) = describe(k, creation)?;
        k.write(parameters, granted)?;
        k.write(information + information::POST_STATUS, NtStatus::SUCCESS)?;
        k.write(information + information::POST_PARAMETERS, parameters)?;
        k.call(callback.post, &[callback.context, information.get()])
            .label("object callback")
            .await?;
        k.free_system(parameters)?;
        k.free_system(information)?;
    }
    Ok(())
}

fn describe(k: &Kernel, creation: &Creation) -> Outcome<(Va, Va)> {
    let information = k.allocate_system(information::SIZE, "OB_PRE_OPERATION_INFORMATION")?;
    let parameters = k.allocate_system(PARAMETERS_SIZE, "OB_PRE_OPERATION_PARAMETERS")?;
    k.write(information + information::OPERATION, HANDLE_CREATE)?;
    k.write(information + information::FLAGS, u32::from(creation.kernel))?;
    k.write(information + information::OBJECT, creation.object)?;
    let kind = types::object_of(k, creation.kind)?;
    k.write(information + information::OBJECT_TYPE, kind)?;
    k.write(information + information::CALL_CONTEXT, 0_u64)?;
    Ok((information, parameters))
}

/// The registrations that drivers have not given back.
pub(super) fn left(k: &Kernel) -> Vec<Leftover> {
    let callbacks = k.state::<Callbacks>();
    let callbacks = callbacks.borrow();
    callbacks
        .all
        .iter()
        .map(|callback| {
            let (kind, by) = (callback.kind, callback.by);
            let what = format!("the object callbacks for {kind} handles, registered at {by}, were never unregistered");
            Leftover::new(callback.registration, what)
        })
        .collect()
}
