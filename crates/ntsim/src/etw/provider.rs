//! Providers: `EtwRegister`, `EtwUnregister`, `EtwWrite` and its forms, `EtwEventEnabled`, `EtwProviderEnabled`, `EtwSetInformation`,
//! `EtwActivityIdControl`.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
    mm::Va,
    status::NtStatus,
};

/// The most data descriptors of an event.
const MOST_DESCRIPTORS: u32 = 128;

/// Registered providers, the activity of each thread, and the number of the last activity that was made.
#[derive(Debug, Default)]
struct Etw {
    providers: BTreeSet<Va>,
    activities: BTreeMap<Va, [u8; 16]>,
    last_activity: u64,
}

pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE);
    ddi.function("EtwRegister", 4, passive, |k, a| register_provider(k, a.va(3)));
    // What the macros of software tracing call instead.
    ddi.function("EtwRegisterClassicProvider", 5, passive, |k, a| {
        register_provider(k, a.va(4))
    });
    ddi.function("EtwUnregister", 1, passive, |k, a| {
        let handle = a.va(0);
        if !k.state::<Etw>().borrow_mut().providers.remove(&handle) {
            return Ok(NtStatus::INVALID_HANDLE);
        }
        k.note_freed(handle);
        k.free_system(handle)?;
        Ok(NtStatus::SUCCESS)
    });
    // Each with its number of arguments, and which of them counts the data descriptors.
    let writes = [("EtwWrite", 5, 3), ("EtwWriteTransfer", 6, 4), ("EtwWriteEx", 9, 7)];
    for (name, arity, descriptors) in writes {
        ddi.function(name, arity, Contract::ANY, move |k, a| {
            if !is_registered(k, a.va(0)) {
                return Ok(NtStatus::INVALID_HANDLE);
            }
            if a.u32(descriptors) > MOST_DESCRIPTORS {
                return Ok(NtStatus::INVALID_PARAMETER);
            }
            Ok(NtStatus::SUCCESS)
        });
    }
    ddi.function("EtwWriteString", 5, Contract::ANY, |k, a| Ok(status_of(k, a.va(0))));
    ddi.function("EtwSetInformation", 4, Contract::at_most(Irql::APC), |k, a| {
        Ok(status_of(k, a.va(0)))
    });
    ddi.function("EtwEventEnabled", 2, Contract::ANY, |_, _| Ok(false));
    ddi.function("EtwProviderEnabled", 3, Contract::ANY, |_, _| Ok(false));
    ddi.function("EtwActivityIdControl", 2, Contract::ANY, activity);
}

fn is_registered(k: &Kernel, handle: Va) -> bool {
    k.state::<Etw>().borrow().providers.contains(&handle)
}

fn status_of(k: &Kernel, handle: Va) -> NtStatus {
    if is_registered(k, handle) {
        NtStatus::SUCCESS
    } else {
        NtStatus::INVALID_HANDLE
    }
}

/// Makes a registration handle. The callback of a provider that nobody enables is never called.
fn register_provider(k: &Kernel, variable: Va) -> Outcome<NtStatus> {
    if variable.is_null() {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let handle = k.allocate_system(16, "the registration of an event provider")?;
    k.note_made(handle);
    k.state::<Etw>().borrow_mut().providers.insert(handle);
    k.write(variable, handle)?;
    Ok(NtStatus::SUCCESS)
}

/// `EtwActivityIdControl(ControlCode, ActivityId)`.
fn activity(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const GET: u32 = 1;
    const SET: u32 = 2;
    const CREATE: u32 = 3;
    const GET_SET: u32 = 4;
    const CREATE_SET: u32 = 5;
    let (code, at) = (a.u32(0), a.va(1));
    let thread = k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread));
    let state = k.state::<Etw>();
    let current = state.borrow().activities.get(&thread).copied().unwrap_or_default();
    let mut given = [0; 16];
    if matches!(code, SET | GET_SET) {
        k.read_into(at, &mut given)?;
    }
    match code {
        GET => k.write_bytes(at, &current)?,
        SET => {
            state.borrow_mut().activities.insert(thread, given);
        }
        GET_SET => {
            k.write_bytes(at, &current)?;
            state.borrow_mut().activities.insert(thread, given);
        }
        CREATE => {
            let made = new_activity(&mut state.borrow_mut());
            k.write_bytes(at, &made)?;
        }
        CREATE_SET => {
            let made = new_activity(&mut state.borrow_mut());
            state.borrow_mut().activities.insert(thread, made);
            k.write_bytes(at, &current)?;
        }
        _ => return Ok(NtStatus::INVALID_PARAMETER),
    }
    Ok(NtStatus::SUCCESS)
}

/// An identifier that was not given out before.
fn new_activity(etw: &mut Etw) -> [u8; 16] {
    etw.last_activity += 1;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&etw.last_activity.to_le_bytes());
    id
}

/// The providers that were not unregistered: their callbacks would run in an image that is gone.
pub(crate) fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let state = k.state::<Etw>();
    let state = state.borrow();
    let left = state.providers.iter();
    left.map(|&handle| Leftover::new(handle, format!("the event provider {handle} was never unregistered")))
        .collect()
}
