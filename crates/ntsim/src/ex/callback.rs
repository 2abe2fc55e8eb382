//! Callback objects: `ExCreateCallback`, `ExRegisterCallback`, `ExUnregisterCallback`, `ExNotifyCallback`.
//!
//! Whoever notifies an object has every routine called that is registered with it, in the order of registration, in its own context.

use std::collections::BTreeMap;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    ob::{
        attributes,
        namespace::{self, Found, Start},
        object::{self, Body, Type},
        reference,
    },
    sched::WaitQueue,
    status::NtStatus,
    verifier::SyncObject,
};

/// The callback objects that Windows creates for drivers.
const SYSTEM: [&str; 3] = [
    "\\Callback\\SetSystemTime",
    "\\Callback\\PowerState",
    "\\Callback\\ProcessorAdd",
];

#[derive(Debug, Default)]
struct Callbacks {
    objects: BTreeMap<Va, Callback>,
    /// The object of each registration.
    registrations: BTreeMap<Va, Va>,
    /// Threads that wait for a routine to return before its registration goes.
    waiters: WaitQueue,
}

#[derive(Debug, Default)]
struct Callback {
    multiple: bool,
    /// In the order of registration.
    routines: Vec<Registration>,
}

#[derive(Clone, Copy, Debug)]
struct Registration {
    handle: Va,
    routine: Va,
    context: u64,
    /// How many calls of it are under way.
    running: u32,
    /// It is being unregistered: it is not called any more.
    leaving: bool,
}

fn with<T>(k: &Kernel, work: impl FnOnce(&mut Callbacks) -> T) -> T {
    work(&mut k.state::<Callbacks>().borrow_mut())
}

fn new(k: &Kernel, start: Start, name: &str, multiple: bool, permanent: bool) -> Outcome<Result<Va, NtStatus>> {
    let object = object::create_opaque(k, Type::Callback, Body::Other, permanent)?;
    if let Err(status) = namespace::insert(k, start, name, object)? {
        object::destroy(k, object)?;
        return Ok(Err(status));
    }
    let callback = Callback {
        multiple,
        ..Callback::default()
    };
    with(k, |callbacks| callbacks.objects.insert(object, callback));
    Ok(Ok(object))
}

/// `ExCreateCallback`.
fn create(k: &Kernel, variable: Va, attributes: Va, create: bool, multiple: bool) -> Outcome<NtStatus> {
    let attributes = match attributes::read(k, attributes)? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    let Some(name) = attributes.name.clone() else {
        return Ok(NtStatus::UNSUCCESSFUL);
    };
    let system = SYSTEM.iter().any(|known| known.eq_ignore_ascii_case(&name));
    let found = match attributes.find(k, false)? {
        Ok(Found::Object(object)) if object::type_of(k, object) == Some(Type::Callback) => Ok(object),
        Ok(_) => Err(NtStatus::OBJECT_TYPE_MISMATCH),
        Err(NtStatus::OBJECT_NAME_NOT_FOUND) if system => new(k, attributes.start, &name, true, true)?,
        Err(NtStatus::OBJECT_NAME_NOT_FOUND) if create => {
            new(k, attributes.start, &name, multiple, attributes.permanent())?
        }
        Err(status) => Err(status),
    };
    Ok(match found {
        Ok(object) => {
            reference::reference(k, object)?;
            k.write(variable, object)?;
            NtStatus::SUCCESS
        }
        Err(status) => status,
    })
}

/// `ExRegisterCallback`: the handle of the registration; null when the object takes one routine only and has it.
fn register_routine(k: &Kernel, object: Va, routine: Va, context: u64) -> Outcome<Va> {
    check_object(k, "ExRegisterCallback", object)?;
    let full = with(k, |callbacks| {
        let callback = callbacks.objects.get(&object);
        callback.is_none_or(|callback| !callback.multiple && !callback.routines.is_empty())
    });
    if full {
        return Ok(Va::NULL);
    }
    let handle = k.allocate_system(0x38, "CALLBACK_REGISTRATION")?;
    let new = Registration {
        handle,
        routine,
        context,
        running: 0,
        leaving: false,
    };
    with(k, |callbacks| {
        callbacks.registrations.insert(handle, object);
        if let Some(callback) = callbacks.objects.get_mut(&object) {
            callback.routines.push(new);
        }
    });
    Ok(handle)
}

fn find<T>(k: &Kernel, object: Va, handle: Va, work: impl FnOnce(&mut Registration) -> T) -> Option<T> {
    with(k, |callbacks| {
        let routines = &mut callbacks.objects.get_mut(&object)?.routines;
        let routine = routines.iter_mut().find(|routine| routine.handle == handle)?;
        Some(work(routine))
    })
}

/// `ExUnregisterCallback`: returns when no call of the routine is under way.
async fn unregister(k: &Kernel, handle: Va) -> Outcome<()> {
    let object = with(k, |callbacks| callbacks.registrations.remove(&handle));
    let Some(object) = object else {
        let message = format!("ExUnregisterCallback was given {handle}, which is no handle of a registered callback");
        return Err(misuse(k, handle, message));
    };
    find(k, object, handle, |routine| routine.leaving = true);
    while find(k, object, handle, |routine| routine.running) > Some(0) {
        let waiters = with(k, |callbacks| callbacks.waiters.clone());
        waiters.wait(k, format!("the callback {handle} to return")).await?;
    }
    with(k, |callbacks| {
        if let Some(callback) = callbacks.objects.get_mut(&object) {
            callback.routines.retain(|routine| routine.handle != handle);
        }
    });
    k.sync_acquire(SyncObject::Dispatcher(handle.get()));
    k.free_system(handle)
}

/// `ExNotifyCallback`.
async fn notify(k: &Kernel, object: Va, arguments: [u64; 2]) -> Outcome<()> {
    let handles: Vec<Va> = with(k, |callbacks| {
        let routines = callbacks.objects.get(&object).map(|callback| &callback.routines);
        routines.into_iter().flatten().map(|routine| routine.handle).collect()
    });
    for handle in handles {
        let called = find(k, object, handle, |routine| {
            (!routine.leaving).then(|| {
                routine.running += 1;
                *routine
            })
        });
        let Some(Some(called)) = called else {
            continue;
        };
        k.call(called.routine, &[called.context, arguments[0], arguments[1]])
            .label("callback routine")
            .await?;
        k.sync_release(SyncObject::Dispatcher(handle.get()));
        find(k, object, handle, |routine| routine.running -= 1);
        let waiters = with(k, |callbacks| callbacks.waiters.clone());
        waiters.wake_all(k);
    }
    Ok(())
}

/// Notifies one of the system's own objects, if a driver has opened it.
///
/// # Errors
/// When a driver's routine breaks a rule.
pub(crate) async fn notify_system(k: &Kernel, name: &str, arguments: [u64; 2]) -> Outcome<()> {
    if with(k, |callbacks| callbacks.objects.is_empty()) {
        return Ok(());
    }
    match namespace::find(k, name, false)? {
        Ok(Found::Object(object)) => notify(k, object, arguments).await,
        _ => Ok(()),
    }
}

fn check_object(k: &Kernel, routine: &str, object: Va) -> Outcome<()> {
    if object::type_of(k, object) == Some(Type::Callback) {
        return Ok(());
    }
    Err(misuse(
        k,
        object,
        format!("{routine} was given {object}, which is no callback object"),
    ))
}

fn misuse(k: &Kernel, what: Va, message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::CALLBACK.subcode, what.get(), 0, 0],
        "callback-misused",
        message,
    ))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_EX_PASSIVE);
    ddi.function("ExCreateCallback", 4, passive, |k, a| {
        create(k, a.va(0), a.va(1), a.bool(2), a.bool(3))
    });
    let apc = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_EX_APC_LTE);
    ddi.function("ExRegisterCallback", 3, apc, |k, a| {
        register_routine(k, a.va(0), a.va(1), a.u64(2))
    });
    ddi.flow("ExUnregisterCallback", 1, apc, |k, a| async move {
        unregister(&k, a.va(0)).await
    });
    ddi.flow(
        "ExNotifyCallback",
        3,
        Contract::at_most(Irql::DISPATCH),
        |k, a| async move {
            check_object(&k, "ExNotifyCallback", a.va(0))?;
            notify(&k, a.va(0), [a.u64(1), a.u64(2)]).await
        },
    );
}

#[cfg(test)]
mod tests;
