//! Event objects with handles and names: `IoCreateSynchronizationEvent`, `IoCreateNotificationEvent`, `ZwCreateEvent`, `ZwOpenEvent`,
//! `ZwSetEvent`, `ZwPulseEvent`, `ZwClearEvent`, `ZwResetEvent`; and waits by handle: `ZwWaitForSingleObject`,
//! `ZwWaitForMultipleObjects`.

use ntlayout::{file_object, kevent};

use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Args, Contract, Registry},
    ke::{
        Irql,
        event::{self, EventType},
        wait::{self, Timeout, WaitType},
    },
    kernel::Kernel,
    mm::Va,
    ob::{
        attributes,
        handle::{self, Handle, OBJ_KERNEL_HANDLE, ZW_CONTRACT},
        namespace::{self, Found, Start},
        object::{self, Type},
    },
    rtl::unicode_string,
    status::NtStatus,
};

/// `EVENT_ALL_ACCESS`.
const EVENT_ALL_ACCESS: u32 = 0x001F_0003;
/// `OBJ_OPENIF`.
const OBJ_OPENIF: u32 = 0x0000_0080;
/// `MAXIMUM_WAIT_OBJECTS`.
const MAXIMUM_WAIT_OBJECTS: u32 = 64;

fn new_event(k: &Kernel, kind: EventType, signalled: bool) -> Outcome<Va> {
    let object = object::create(k, Type::Event, kevent::SIZE)?;
    event::initialize(k, object, kind, signalled)?;
    Ok(object)
}

fn existing(k: &Kernel, found: Result<Found, NtStatus>) -> Result<Va, NtStatus> {
    match found? {
        Found::Object(object) if object::type_of(k, object) == Some(Type::Event) => Ok(object),
        _ => Err(NtStatus::OBJECT_TYPE_MISMATCH),
    }
}

/// `IoCreateSynchronizationEvent` and `IoCreateNotificationEvent`: null when the name is another object's, or cannot be had.
fn create_named(k: &Kernel, name: Va, handle: Va, kind: EventType) -> Outcome<Va> {
    let name = unicode_string::read(k, name)?;
    let object = match namespace::find(k, &name, false)? {
        Err(NtStatus::OBJECT_NAME_NOT_FOUND) => {
            let object = new_event(k, kind, true)?;
            if namespace::insert(k, Start::Root, &name, object)?.is_err() {
                object::destroy(k, object)?;
                return Ok(Va::NULL);
            }
            object
        }
        found => match existing(k, found) {
            Ok(object) => object,
            Err(_) => return Ok(Va::NULL),
        },
    };
    let opened = handle::open_object(k, object, EVENT_ALL_ACCESS, OBJ_KERNEL_HANDLE);
    k.write(handle, opened)?;
    Ok(object)
}

/// `ZwCreateEvent(EventHandle, DesiredAccess, ObjectAttributes, EventType, InitialState)`.
fn create(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let attributes = match attributes::read(k, a.va(2))? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    let kind = match a.u32(3) {
        0 => EventType::Notification,
        1 => EventType::Synchronization,
        _ => return Ok(NtStatus::INVALID_PARAMETER_4),
    };
    let new = new_event(k, kind, a.bool(4))?;
    let (object, status) = match &attributes.name {
        None => (new, NtStatus::SUCCESS),
        Some(name) => match namespace::insert(k, attributes.start, name, new)? {
            Ok(()) => (new, NtStatus::SUCCESS),
            Err(status) => {
                object::destroy(k, new)?;
                if status != NtStatus::OBJECT_NAME_COLLISION || attributes.flags & OBJ_OPENIF == 0 {
                    return Ok(status);
                }
                match existing(k, attributes.find(k, false)?) {
                    Ok(object) => (object, NtStatus::OBJECT_NAME_EXISTS),
                    Err(status) => return Ok(status),
                }
            }
        },
    };
    let opened = handle::open_object(k, object, a.u32(1), attributes.flags);
    k.write(a.va(0), opened)?;
    Ok(status)
}

/// `ZwOpenEvent(EventHandle, DesiredAccess, ObjectAttributes)`.
fn open(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let attributes = match attributes::read(k, a.va(2))? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    match existing(k, attributes.find(k, false)?) {
        Ok(object) => {
            let opened = handle::open_object(k, object, a.u32(1), attributes.flags);
            k.write(a.va(0), opened)?;
            Ok(NtStatus::SUCCESS)
        }
        Err(status) => Ok(status),
    }
}

/// Changes the event behind a handle; the state before goes to `previous`, unless that is null.
fn change(k: &Kernel, handle: Handle, previous: Va, work: Change) -> Outcome<NtStatus> {
    let object = match handle::object_of(k, handle, Type::Event)? {
        Ok(object) => object,
        Err(status) => return Ok(status),
    };
    let before = work(k, object)?;
    if !previous.is_null() {
        k.write(previous, before)?;
    }
    Ok(NtStatus::SUCCESS)
}

/// What a wait for the object behind a handle waits for.
fn waitable(k: &Kernel, handle: Handle) -> Outcome<Result<Va, NtStatus>> {
    let Some(found) = handle::find(k, handle)? else {
        return Ok(Err(NtStatus::INVALID_HANDLE));
    };
    Ok(match (found.kind, found.object) {
        (Type::Event | Type::Mutant | Type::Semaphore | Type::Timer | Type::Process | Type::Thread, Some(object)) => {
            Ok(object)
        }
        (Type::File, Some(file)) => Ok(file + file_object::EVENT),
        _ => Err(NtStatus::OBJECT_TYPE_MISMATCH),
    })
}

async fn wait_for_one(k: &Kernel, handle: Handle, timeout: Va) -> Outcome<NtStatus> {
    let object = match waitable(k, handle)? {
        Ok(object) => object,
        Err(status) => return Ok(status),
    };
    let timeout = Timeout::read(k, timeout)?;
    wait::for_single_object(k, object, timeout).await
}

/// `ZwWaitForMultipleObjects(Count, Handles, WaitType, Alertable, Timeout)`.
async fn wait_for_several(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let count = a.u32(0);
    if !(1..=MAXIMUM_WAIT_OBJECTS).contains(&count) {
        return Ok(NtStatus::INVALID_PARAMETER_1);
    }
    let kind = match a.u32(2) {
        0 => WaitType::All,
        1 => WaitType::Any,
        _ => return Ok(NtStatus::INVALID_PARAMETER_3),
    };
    let mut objects = Vec::new();
    for index in 0..u64::from(count) {
        let handle: Handle = k.read(a.va(1) + index * 8)?;
        match waitable(k, handle)? {
            Ok(object) => objects.push(object),
            Err(status) => return Ok(status),
        }
    }
    let timeout = Timeout::read(k, a.va(4))?;
    wait::for_objects(k, objects, kind, timeout).await
}

/// What a routine does to an event: the signal state before.
type Change = fn(&Kernel, Va) -> Outcome<i32>;

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_IO_PASSIVE_3);
    for (name, kind) in [
        ("IoCreateSynchronizationEvent", EventType::Synchronization),
        ("IoCreateNotificationEvent", EventType::Notification),
    ] {
        ddi.function(name, 2, passive, move |k, a| create_named(k, a.va(0), a.va(1), kind));
    }
    ddi.function("ZwCreateEvent", 5, ZW_CONTRACT, create);
    ddi.function("ZwOpenEvent", 3, ZW_CONTRACT, open);
    let changes: [(&'static str, usize, Change); 4] = [
        ("ZwSetEvent", 2, event::set),
        ("ZwPulseEvent", 2, event::pulse),
        ("ZwResetEvent", 2, event::reset),
        ("ZwClearEvent", 1, event::reset),
    ];
    for (name, arity, work) in changes {
        ddi.function(name, arity, ZW_CONTRACT, move |k, a| {
            let previous = if arity == 2 { a.va(1) } else { Va::NULL };
            change(k, Handle(a.u64(0)), previous, work)
        });
    }
    ddi.flow("ZwWaitForSingleObject", 3, ZW_CONTRACT, |k, a| async move {
        wait_for_one(&k, Handle(a.u64(0)), a.va(2)).await
    });
    ddi.flow("ZwWaitForMultipleObjects", 5, ZW_CONTRACT, |k, a| async move {
        wait_for_several(&k, &a).await
    });
}

#[cfg(test)]
mod tests;
