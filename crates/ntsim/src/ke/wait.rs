//! Waiting: `KeWaitForSingleObject`, `KeDelayExecutionThread`.

use std::collections::{BTreeMap, VecDeque};

use ntlayout::dispatcher_header as header;

use super::Irql;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    sched::{ThreadId, VirtualTime, Woken},
    status::NtStatus,
    verifier::SyncObject,
};

/// Which threads wait for which object, in the order they began to.
#[derive(Debug, Default)]
pub struct Waits {
    waiters: BTreeMap<Va, VecDeque<ThreadId>>,
}

/// How long a wait may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// Until the object is signalled.
    Never,
    /// Not at all: looks at the object only.
    Poll,
    /// Until a point of virtual time.
    Until(VirtualTime),
}

impl Timeout {
    /// From the `PLARGE_INTEGER` that wait routines take: none, relative when negative, absolute otherwise.
    fn read(k: &Kernel, pointer: Va) -> Outcome<Self> {
        if pointer.is_null() {
            return Ok(Self::Never);
        }
        let value: i64 = k.read(pointer)?;
        Ok(match value {
            0 => Self::Poll,
            _ => Self::Until(super::time::due(k, value)),
        })
    }
}

/// An object has become signalled: lets those proceed whom its type lets proceed.
///
/// # Errors
/// When the object's memory cannot be accessed.
pub(super) fn signalled(k: &Kernel, object: Va) -> Outcome<()> {
    k.sync_release(SyncObject::Dispatcher(object.get()));
    let waiters: Vec<ThreadId> = {
        let mut ke = k.ke().borrow_mut();
        let all = ke.waits.waiters.remove(&object).unwrap_or_default();
        all.into()
    };
    if waiters.is_empty() {
        return Ok(());
    }
    let mut waiters = waiters.into_iter();
    if resets_itself(k.read(object + header::TYPE)?) {
        k.write(object + header::SIGNAL_STATE, 0_i32)?;
        let first = waiters.next();
        let rest: VecDeque<ThreadId> = waiters.collect();
        if !rest.is_empty() {
            k.ke().borrow_mut().waits.waiters.insert(object, rest);
        }
        if let Some(thread) = first {
            k.wake(thread);
        }
    } else {
        for thread in waiters {
            k.wake(thread);
        }
    }
    Ok(())
}

/// Whether an object of this type lets one wait proceed and is clear again: synchronization events and timers.
fn resets_itself(object_type: u8) -> bool {
    const SYNCHRONIZATION_EVENT: u8 = 1;
    const SYNCHRONIZATION_TIMER: u8 = 9;
    matches!(object_type, SYNCHRONIZATION_EVENT | SYNCHRONIZATION_TIMER)
}

/// `KeWaitForSingleObject`, for a wait that is neither alertable nor user-mode.
///
/// # Errors
/// When the current activity may not wait, or the object's memory cannot be accessed.
pub async fn for_single_object(k: &Kernel, object: Va, timeout: Timeout) -> Outcome<NtStatus> {
    let state: i32 = k.read(object + header::SIGNAL_STATE)?;
    if state > 0 {
        if resets_itself(k.read(object + header::TYPE)?) {
            k.write(object + header::SIGNAL_STATE, 0_i32)?;
        }
        k.sync_acquire(SyncObject::Dispatcher(object.get()));
        return Ok(NtStatus::SUCCESS);
    }
    let deadline = match timeout {
        Timeout::Poll => return Ok(NtStatus::TIMEOUT),
        Timeout::Never => None,
        Timeout::Until(deadline) => Some(deadline),
    };
    let thread = k.current_thread();
    k.ke()
        .borrow_mut()
        .waits
        .waiters
        .entry(object)
        .or_default()
        .extend(thread);
    match k.block(format!("the object at {object}"), deadline).await? {
        Woken::Signalled => {
            k.sync_acquire(SyncObject::Dispatcher(object.get()));
            Ok(NtStatus::SUCCESS)
        }
        Woken::TimedOut => {
            let mut ke = k.ke().borrow_mut();
            if let Some(waiters) = ke.waits.waiters.get_mut(&object) {
                waiters.retain(|&waiter| Some(waiter) != thread);
            }
            Ok(NtStatus::TIMEOUT)
        }
    }
}

/// Whether a thread waits for an object in a memory range, for the check of memory that is being freed.
#[must_use]
pub fn waited_within(k: &Kernel, start: Va, length: u64) -> Option<Va> {
    let ke = k.ke().borrow();
    let mut waited = ke
        .waits
        .waiters
        .iter()
        .filter(|(_, waiters)| !waiters.is_empty())
        .map(|(&object, _)| object);
    waited.find(|&object| object - start < length)
}

const WAIT_ABOVE_DISPATCH: u64 = 0x120;
const ENDLESS_WAIT_AT_DISPATCH: u64 = 0x121;
const WAIT_AT_DISPATCH: u64 = 0x122;

/// At `DISPATCH_LEVEL` a wait may only look; above, not even that.
fn check_irql(k: &Kernel, object: Va, timeout: Timeout, pointer: Va) -> Outcome<()> {
    let irql = k.irql();
    let subcode = match timeout {
        _ if irql > Irql::DISPATCH => WAIT_ABOVE_DISPATCH,
        Timeout::Never if irql == Irql::DISPATCH => ENDLESS_WAIT_AT_DISPATCH,
        Timeout::Until(_) if irql == Irql::DISPATCH => WAIT_AT_DISPATCH,
        _ => return Ok(()),
    };
    // Windows gives the address of the IRQL's value; here parameter 2 is the IRQL itself.
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [subcode, u64::from(irql.0), object.get(), pointer.get()],
        "wait-at-dispatch",
        format!(
            "KeWaitForSingleObject was called at {irql} for the object at {object}, with a timeout other than zero"
        ),
    )))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.flow("KeWaitForSingleObject", 5, Contract::ANY, |k, args| async move {
        let (object, pointer) = (args.va(0), args.va(4));
        let timeout = Timeout::read(&k, pointer)?;
        check_irql(&k, object, timeout, pointer)?;
        for_single_object(&k, object, timeout).await
    });
    ddi.flow(
        "KeDelayExecutionThread",
        3,
        Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_KE_APC_LTE_1),
        |k, args| async move {
            let timeout = Timeout::read(&k, args.va(2))?;
            let deadline = match timeout {
                Timeout::Until(deadline) => deadline,
                Timeout::Poll | Timeout::Never => k.now(),
            };
            k.block("a delay to pass", Some(deadline)).await?;
            Ok(NtStatus::SUCCESS)
        },
    );
}
