//! Plug and Play notification: `IoRegisterPlugPlayNotification`, `IoUnregisterPlugPlayNotification`,
//! `IoUnregisterPlugPlayNotificationEx`.
//!
//! Changes of device interfaces are told by a thread of the system's, in their order, after the fact. Drivers are asked about, and told of, the
//! removal of a target device within the removal. Hardware profiles never change here.

use std::collections::BTreeMap;

use ntlayout::file_object;

use super::{
    device,
    device_interface::Guid,
    pnp::{self, DeviceState},
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
    mm::Va,
    rtl::unicode_string,
    sched::{ThreadId, ThreadSpec, WaitQueue},
    status::NtStatus,
};

/// `EventCategoryHardwareProfileChange`, `EventCategoryDeviceInterfaceChange`, `EventCategoryTargetDeviceChange`,
/// `EventCategoryKernelSoftRestart`.
const HARDWARE_PROFILE: u32 = 1;
const DEVICE_INTERFACE: u32 = 2;
const TARGET_DEVICE: u32 = 3;
const KERNEL_SOFT_RESTART: u32 = 4;
/// `PNPNOTIFY_DEVICE_INTERFACE_INCLUDE_EXISTING_INTERFACES`.
const INCLUDE_EXISTING: u32 = 1;

/// The version of the notification structures.
const VERSION: u16 = 1;
/// Bytes of `DEVICE_INTERFACE_CHANGE_NOTIFICATION`, and where its fields lie.
const INTERFACE_SIZE: usize = 48;
const INTERFACE_CLASS: usize = 20;
const INTERFACE_LINK: usize = 40;
/// Bytes of `TARGET_DEVICE_REMOVAL_NOTIFICATION`, and where its file object lies.
const TARGET_SIZE: usize = 32;
const TARGET_FILE: usize = 24;
/// `Event` of each.
const EVENT: usize = 4;

/// The `GUID_…` of an event: all differ in the last digit of their first field.
fn event(number: u32) -> Guid {
    Guid::from_fields(number, 0x46F0, 0x11D0, [0xB0, 0x8F, 0x00, 0x60, 0x97, 0x13, 0x05, 0x3F])
}

/// `GUID_DEVICE_INTERFACE_ARRIVAL`, `GUID_DEVICE_INTERFACE_REMOVAL`.
const ARRIVAL: u32 = 0xCB3A_4004;
const REMOVAL: u32 = 0xCB3A_4005;
/// `GUID_TARGET_DEVICE_QUERY_REMOVE`, `GUID_TARGET_DEVICE_REMOVE_CANCELLED`, `GUID_TARGET_DEVICE_REMOVE_COMPLETE`.
const QUERY_REMOVE: u32 = 0xCB3A_4006;
const REMOVE_CANCELLED: u32 = 0xCB3A_4007;
const REMOVE_COMPLETE: u32 = 0xCB3A_4008;

/// What a driver wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Interfaces(Guid),
    /// The physical device object, and the file object that it was registered with.
    Target(Va, Va),
    /// What never happens here.
    Nothing,
}

/// A registration.
#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    callback: Va,
    context: Va,
    /// The threads that are in its callback.
    running: Vec<ThreadId>,
    waiters: WaitQueue,
}

/// Something to tell about interfaces.
#[derive(Clone, Debug)]
struct Change {
    class: Guid,
    link: String,
    event: u32,
}

/// All registrations, and what is to be told.
#[derive(Debug, Default)]
struct Notifications {
    entries: BTreeMap<Va, Entry>,
    queue: Vec<Change>,
    /// A thread tells what is in the queue.
    telling: bool,
}

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.flow("IoRegisterPlugPlayNotification", 7, contract, |k, a| async move {
        register_notification(&k, &a).await
    });
    for name in ["IoUnregisterPlugPlayNotification", "IoUnregisterPlugPlayNotificationEx"] {
        let waits = name == "IoUnregisterPlugPlayNotificationEx";
        ddi.flow(name, 1, contract, move |k, a| async move {
            unregister(&k, a.va(0), waits, name).await
        });
    }
}

/// `(EventCategory, EventCategoryFlags, EventCategoryData, DriverObject, CallbackRoutine, Context, NotificationEntry)`.
async fn register_notification(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (category, flags, data) = (a.u32(0), a.u32(1), a.va(2));
    let wanted = match category {
        DEVICE_INTERFACE => {
            let mut class = [0; 16];
            k.read_into(data, &mut class)?;
            Wanted::Interfaces(Guid(class))
        }
        TARGET_DEVICE => {
            let opened: Va = k.read(data + file_object::DEVICE_OBJECT)?;
            let pdo = device::bottom_of_stack(k, opened);
            if pnp::instance_path(k, pdo).is_none() {
                return Ok(NtStatus::NOT_SUPPORTED);
            }
            Wanted::Target(pdo, data)
        }
        HARDWARE_PROFILE | KERNEL_SOFT_RESTART => Wanted::Nothing,
        _ => return Ok(NtStatus::INVALID_PARAMETER),
    };
    let entry = k.allocate_system(16, "a registration for PnP notification")?;
    k.note_made(entry);
    let made = Entry {
        wanted,
        callback: a.va(4),
        context: a.va(5),
        running: Vec::new(),
        waiters: WaitQueue::default(),
    };
    k.state::<Notifications>().borrow_mut().entries.insert(entry, made);
    k.write(a.va(6), entry)?;
    if let Wanted::Interfaces(class) = wanted
        && flags & INCLUDE_EXISTING != 0
    {
        let existing: Vec<String> = {
            let io = k.io().borrow();
            io.interfaces
                .enabled(class)
                .map(|found| (found.pdo, found.link.clone()))
                .collect::<Vec<_>>()
        }
        .into_iter()
        .filter(|&(pdo, _)| is_active(k, pdo))
        .map(|(_, link)| link)
        .collect();
        for link in existing {
            let change = Change {
                class,
                link,
                event: ARRIVAL,
            };
            tell(k, entry, &change).await?;
        }
    }
    Ok(NtStatus::SUCCESS)
}

/// Whether the interfaces of a device can be opened.
fn is_active(k: &Kernel, pdo: Va) -> bool {
    let there = DeviceState::Started..DeviceState::SurpriseRemoved;
    pnp::state(k, pdo).is_some_and(|state| there.contains(&state))
}

async fn unregister(k: &Kernel, entry: Va, waits: bool, routine: &str) -> Outcome<NtStatus> {
    let removed = k.state::<Notifications>().borrow_mut().entries.remove(&entry);
    let Some(removed) = removed else {
        return Err(k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [VerifierRule::NOTIFICATION.subcode, entry.get(), 0, 0],
            "notification-not-registered",
            format!("{routine} was given {entry}, which is no registration, or none any more"),
        )));
    };
    k.note_freed(entry);
    let own = k.current_thread();
    if waits && removed.running.iter().any(|&thread| Some(thread) != own) {
        removed.waiters.wait(k, "a PnP notification callback to return").await?;
    }
    k.free_system(entry)?;
    Ok(NtStatus::SUCCESS)
}

/// Calls the callback of `entry`, unless it was unregistered meanwhile: what it returned.
async fn call(k: &Kernel, entry: Va, notification: Va) -> Outcome<NtStatus> {
    let state = k.state::<Notifications>();
    let thread = k.current_thread();
    let found = {
        let mut state = state.borrow_mut();
        state.entries.get_mut(&entry).map(|entry| {
            entry.running.extend(thread);
            (entry.callback, entry.context, entry.waiters.clone())
        })
    };
    let Some((callback, context, waiters)) = found else {
        return Ok(NtStatus::SUCCESS);
    };
    let arguments = [notification.get(), context.get()];
    let returned = k.call(callback, &arguments).label("PnP notification callback").await?;
    if let Some(entry) = state.borrow_mut().entries.get_mut(&entry) {
        entry.running.retain(|&running| Some(running) != thread);
    }
    waiters.wake_all(k);
    Ok(NtStatus((returned & 0xFFFF_FFFF) as u32))
}

/// Tells one driver of a change of an interface.
async fn tell(k: &Kernel, entry: Va, change: &Change) -> Outcome<()> {
    let notification = k.allocate_system(INTERFACE_SIZE + 16, "DEVICE_INTERFACE_CHANGE_NOTIFICATION")?;
    let link = notification + INTERFACE_SIZE;
    write_header(k, notification, INTERFACE_SIZE, change.event)?;
    k.write_bytes(notification + INTERFACE_CLASS, &change.class.0)?;
    unicode_string::write_new(k, link, &change.link)?;
    k.write(notification + INTERFACE_LINK, link)?;
    // What it returns is of no consequence.
    call(k, entry, notification).await?;
    let buffer: Va = k.read(link + ntlayout::unicode_string::BUFFER)?;
    k.free_system(buffer)?;
    k.free_system(notification)
}

fn write_header(k: &Kernel, at: Va, size: usize, number: u32) -> Outcome<()> {
    k.write(at, VERSION)?;
    k.write(at + 2_u64, u16::try_from(size).expect("a small structure"))?;
    k.write_bytes(at + EVENT, &event(number).0)
}

/// An interface has become active, or is none any more: whoever wants to know is told soon.
pub(super) fn interface_changed(k: &Kernel, class: Guid, link: &str, active: bool) {
    let event = if active { ARRIVAL } else { REMOVAL };
    let state = k.state::<Notifications>();
    let begin = {
        let mut state = state.borrow_mut();
        let anybody = state
            .entries
            .values()
            .any(|entry| entry.wanted == Wanted::Interfaces(class));
        if anybody {
            state.queue.push(Change {
                class,
                link: link.to_owned(),
                event,
            });
        }
        anybody && !std::mem::replace(&mut state.telling, anybody)
    };
    if begin {
        k.spawn(
            ThreadSpec::system("PnP notification"),
            |k| async move { tell_all(&k).await },
        );
    }
}

/// The device's interfaces that drivers have enabled become active, or go, with the device.
pub(super) fn device_changed(k: &Kernel, pdo: Va, active: bool) {
    let interfaces: Vec<(Guid, String)> = {
        let io = k.io().borrow();
        let own = io.interfaces.all_enabled().filter(|found| found.pdo == pdo);
        own.map(|found| (found.class, found.link.clone())).collect()
    };
    for (class, link) in interfaces {
        interface_changed(k, class, &link, active);
    }
}

/// A driver has enabled or disabled an interface.
pub(super) fn interface_set(k: &Kernel, link: &str, enabled: bool) {
    let found = {
        let io = k.io().borrow();
        io.interfaces
            .find(link)
            .map(|found| (found.pdo, found.class, found.link.clone()))
    };
    if let Some((pdo, class, link)) = found
        && (is_active(k, pdo) || !enabled)
    {
        interface_changed(k, class, &link, enabled);
    }
}

async fn tell_all(k: &Kernel) -> Outcome<()> {
    let state = k.state::<Notifications>();
    loop {
        let change = {
            let mut state = state.borrow_mut();
            if state.queue.is_empty() {
                state.telling = false;
                return Ok(());
            }
            state.queue.remove(0)
        };
        let entries: Vec<Va> = {
            let state = state.borrow();
            let all = state.entries.iter();
            all.filter(|(_, entry)| entry.wanted == Wanted::Interfaces(change.class))
                .map(|(&entry, _)| entry)
                .collect()
        };
        for entry in entries {
            tell(k, entry, &change).await?;
        }
    }
}

/// Tells those who have registered for the target device `pdo`; the first status that is an error, when the event is a question.
async fn tell_target(k: &Kernel, pdo: Va, number: u32) -> Outcome<NtStatus> {
    let state = k.state::<Notifications>();
    let entries: Vec<(Va, Va)> = {
        let state = state.borrow();
        let all = state.entries.iter();
        all.filter_map(|(&entry, found)| match found.wanted {
            Wanted::Target(target, file) if target == pdo => Some((entry, file)),
            _ => None,
        })
        .collect()
    };
    for (entry, file) in entries {
        let notification = k.allocate_system(TARGET_SIZE, "TARGET_DEVICE_REMOVAL_NOTIFICATION")?;
        write_header(k, notification, TARGET_SIZE, number)?;
        k.write(notification + TARGET_FILE, file)?;
        let status = call(k, entry, notification).await?;
        k.free_system(notification)?;
        if number == QUERY_REMOVE && !status.is_success() {
            return Ok(status);
        }
    }
    Ok(NtStatus::SUCCESS)
}

/// The device is to be removed: a driver that has registered for it can refuse.
pub(super) async fn query_remove(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    tell_target(k, pdo, QUERY_REMOVE).await
}

/// The device is not removed after all.
pub(super) async fn remove_cancelled(k: &Kernel, pdo: Va) -> Outcome<()> {
    tell_target(k, pdo, REMOVE_CANCELLED).await.map(|_| ())
}

/// The device is removed, or has gone.
pub(super) async fn remove_complete(k: &Kernel, pdo: Va) -> Outcome<()> {
    tell_target(k, pdo, REMOVE_COMPLETE).await.map(|_| ())
}

/// The registrations that are left.
pub(super) fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let state = k.state::<Notifications>();
    let state = state.borrow();
    let entries = state.entries.keys();
    entries
        .map(|&entry| {
            let what = format!("the registration {entry} for PnP notification was never unregistered");
            Leftover::new(entry, what)
        })
        .collect()
}
