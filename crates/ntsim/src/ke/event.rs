//! Events: `KeInitializeEvent`, `KeSetEvent`, `KeClearEvent`, `KeResetEvent`, `KeReadStateEvent`.

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

/// What the object's header says its size is, in units of four bytes.
#[expect(clippy::cast_possible_truncation, reason = "a KEVENT has 24 bytes")]
const SIZE_IN_WORDS: u8 = (kevent::SIZE / 4) as u8;

/// `KeInitializeEvent`.
///
/// # Errors
/// When the object's memory cannot be written.
pub fn initialize(k: &Kernel, event: Va, kind: EventType, signalled: bool) -> Outcome<()> {
    k.write(event + header::TYPE, kind as u8)?;
    k.write(event + header::SIGNALLING, 0_u8)?;
    k.write(event + header::OBJECT_SIZE, SIZE_IN_WORDS)?;
    k.write(event + header::SIGNAL_STATE, i32::from(signalled))?;
    let list = event + header::WAIT_LIST_HEAD;
    k.write(list, list)?;
    k.write(list + 8_u64, list)
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
        if wait_follows && irql > Irql::APC {
            let contract = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_KE_SET_EVENT);
            k.verify(contract.violation("KeSetEvent with Wait", irql))?;
        }
        set(k, event)
    });
    ddi.function("KeClearEvent", 1, at_dispatch, |k, args| {
        reset(k, args.va(0)).map(|_| ())
    });
    ddi.function("KeResetEvent", 1, at_dispatch, |k, args| reset(k, args.va(0)));
    ddi.function("KeReadStateEvent", 1, at_dispatch, |k, args| state(k, args.va(0)));
}
