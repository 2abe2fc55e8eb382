//! Events: `KeInitializeEvent`, `KeSetEvent`, `KePulseEvent`, `KeClearEvent`, `KeResetEvent`, `KeReadStateEvent`.

use ntlayout::{dispatcher_header as header, kevent};

use super::{Irql, wait};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

/// `EVENT_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// `NotificationEvent`: stays signalled until it is cleared.
    Notification = 0,
    /// `SynchronizationEvent`: releases one wait and is clear again.
    Synchronization = 1,
}

/// `KeInitializeEvent`.
///
/// # Errors
/// When the object's memory cannot be written.
pub fn initialize(k: &Kernel, event: Va, kind: EventType, signalled: bool) -> Outcome<()> {
    wait::object::initialize(k, event, kind as u8, kevent::SIZE, i32::from(signalled))
}

/// `KeSetEvent`: returns the signal state before.
///
/// # Errors
/// When the object's memory cannot be accessed.
pub fn set(k: &Kernel, event: Va) -> Outcome<i32> {
    let before: i32 = k.read(event + header::SIGNAL_STATE)?;
    k.write(event + header::SIGNAL_STATE, 1_i32)?;
    wait::signalled(k, event)?;
    Ok(before)
}

/// `KePulseEvent`: lets those proceed who wait now, and clears the event. Returns the signal state before.
///
/// # Errors
/// When the object's memory cannot be accessed.
pub fn pulse(k: &Kernel, event: Va) -> Outcome<i32> {
    let before = set(k, event)?;
    k.write(event + header::SIGNAL_STATE, 0_i32)?;
    Ok(before)
}

/// `KeResetEvent`, and `KeClearEvent` when the result is not looked at: returns the signal state before.
///
/// # Errors
/// When the object's memory cannot be accessed.
pub fn reset(k: &Kernel, event: Va) -> Outcome<i32> {
    let before: i32 = k.read(event + header::SIGNAL_STATE)?;
    k.write(event + header::SIGNAL_STATE, 0_i32)?;
    Ok(before)
}

/// `KeReadStateEvent`.
///
/// # Errors
/// When the object's memory cannot be read.
pub fn state(k: &Kernel, event: Va) -> Outcome<i32> {
    k.read(event + header::SIGNAL_STATE)
}

/// Driver Verifier's code for `KeSetEvent` above `DISPATCH_LEVEL`.
const SET_ABOVE_DISPATCH: u64 = 0x80;

/// A caller that says a wait follows (`Wait`) must be able to wait.
pub(super) fn check_wait_follows(k: &Kernel, routine: &str, wait_follows: bool) -> Outcome<()> {
    let irql = k.irql();
    if wait_follows && irql > Irql::APC {
        let contract = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_KE_SET_EVENT);
        k.verify(contract.violation(&format!("{routine} with Wait"), irql))?;
    }
    Ok(())
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let at_dispatch = Contract::at_most(Irql::DISPATCH).by_rule(VerifierRule::IRQL_KE_DISPATCH_LTE);
    ddi.function("KeInitializeEvent", 3, Contract::ANY, |k, args| {
        let kind = match args.u32(1) {
            0 => EventType::Notification,
            _ => EventType::Synchronization,
        };
        initialize(k, args.va(0), kind, args.bool(2))
    });
    ddi.function("KeSetEvent", 3, Contract::ANY, |k, args| {
        let (event, wait_follows, irql) = (args.va(0), args.bool(2), k.irql());
        if irql > Irql::DISPATCH {
            k.verify(BugCheck::new(
                Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
                [SET_ABOVE_DISPATCH, u64::from(irql.0), event.get(), 0],
                "irql-contract",
                format!("KeSetEvent was called at {irql} for the event at {event}"),
            ))?;
        }
        check_wait_follows(k, "KeSetEvent", wait_follows)?;
        set(k, event)
    });
    ddi.function("KePulseEvent", 3, at_dispatch, |k, args| {
        check_wait_follows(k, "KePulseEvent", args.bool(2))?;
        pulse(k, args.va(0))
    });
    ddi.function("KeClearEvent", 1, at_dispatch, |k, args| {
        reset(k, args.va(0)).map(|_| ())
    });
    ddi.function("KeResetEvent", 1, at_dispatch, |k, args| reset(k, args.va(0)));
    ddi.function("KeReadStateEvent", 1, at_dispatch, |k, args| state(k, args.va(0)));
}
