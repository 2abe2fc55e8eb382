//! `IofCompleteRequest`: an IRP on its way up.
//!
//! Windows ends a thread's request by an APC in that thread, some time after the last completion routine; until then the IRP's
//! memory stays. Here the request ends, and the memory goes, before `IofCompleteRequest` returns: a driver must not look at an
//! IRP that it has completed, and here it cannot do so unnoticed.

use ntlayout::{io_stack_location as stack, irp as layout};

use super::{
    image_users,
    irp::{self, Passed, Record},
    violation::{IoRule, verify, violation_in},
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.flow("IofCompleteRequest", 2, contract, |k, a| async move {
        check_status_set(&k, a.va(0))?;
        complete(&k, a.va(0)).await
    });
}

/// Completes `irp` from its current stack location upwards: calls the completion routines that the drivers above have set,
/// until one of them keeps the IRP; past the last one the request has ended.
pub(crate) async fn complete(k: &Kernel, irp: Va) -> Outcome<()> {
    let record = live(k, irp)?;
    check_completion(k, &record)?;
    let completion = record.completions.get() + 1;
    record.completions.set(completion);
    k.yield_now().await?;

    let stack_count = record.stack_count();
    loop {
        let number: u8 = k.read(irp + layout::CURRENT_LOCATION)?;
        if number > stack_count {
            return record.finish(k);
        }
        let location = irp::location(irp, number);
        let control: u8 = k.read(location + stack::CONTROL)?;
        let routine: Va = k.read(location + stack::COMPLETION_ROUTINE)?;
        let context: u64 = k.read(location + stack::CONTEXT)?;
        let pending = control & irp::SL_PENDING_RETURNED != 0;
        let status: NtStatus = k.read(irp + layout::IO_STATUS)?;
        let cancelled: u8 = k.read(irp + layout::CANCEL)?;

        if !pending && record.expects_pending(number) {
            return never_marked(k, &record, location);
        }
        record.set_passed(number, Passed { status, pending });
        k.write(irp + layout::PENDING_RETURNED, u8::from(pending))?;
        k.write(irp + layout::CURRENT_LOCATION, number + 1)?;
        let above = irp::location(irp, number + 1);
        k.write(irp + layout::CURRENT_STACK_LOCATION, above)?;
        clear(k, location)?;

        let invoke = (status.is_success() && control & irp::SL_INVOKE_ON_SUCCESS != 0)
            || (!status.is_success() && control & irp::SL_INVOKE_ON_ERROR != 0)
            || (cancelled != 0 && control & irp::SL_INVOKE_ON_CANCEL != 0);
        let kept_driver = record.kept_drivers.borrow_mut().remove(&number);
        let leave = || {
            if let Some(driver) = kept_driver {
                image_users::leave(k, driver);
            }
        };
        if !invoke {
            leave();
            // What a completion routine would have to do itself.
            if pending && number < stack_count {
                irp::mark_pending(k, irp)?;
            }
            continue;
        }
        let device: Va = if number < stack_count {
            k.read(above + stack::DEVICE_OBJECT)?
        } else {
            Va::NULL
        };
        let arguments = [device.get(), irp.get(), context];
        if record.comes_back(number) {
            k.io().borrow_mut().irps.cancelled.remove(&irp);
        }
        record.in_routine.set(true);
        let answer = k.call(routine, &arguments).label("completion routine").await?;
        leave();
        record.in_routine.set(false);
        if NtStatus((answer & 0xFFFF_FFFF) as u32) == NtStatus::MORE_PROCESSING_REQUIRED {
            return Ok(());
        }
        if record.completions.get() != completion || record.result().is_some() {
            return Err(completed_twice(k, irp));
        }
        if pending && number < stack_count {
            check_propagated(k, &record, above, device, routine)?;
        }
    }
}

/// A driver must set `IoStatus` before it completes an IRP. Windows starts with zeros there, which look like success.
///
/// Zeros that the driver has stored are told from those by who has stored there last. A driver that has passed the IRP down may leave the
/// lower driver's status, and one that was given a PnP or power IRP leaves the status that its sender has set.
fn check_status_set(k: &Kernel, irp: Va) -> Outcome<()> {
    let Some(record) = k.io().borrow().irps.find(irp) else {
        return Ok(());
    };
    let number: u8 = k.read(irp + layout::CURRENT_LOCATION)?;
    let below = 1..number.min(record.stack_count() + 1);
    let others = record.initial_status().is_some() || below.into_iter().any(|number| record.was_used(number));
    let io_status = irp::read_status(k, irp)?;
    let zeros = io_status.status == NtStatus::SUCCESS && io_status.information == 0;
    if others || !zeros || k.last_store(irp + layout::IO_STATUS, 4).is_some() {
        return Ok(());
    }
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::STATUS_NOT_SET.subcode, irp.get(), 0, 0],
        "io-status-not-set",
        format!(
            "IRP {irp} ({}) was completed without IoStatus having been set: set Status and Information first",
            record.what()
        ),
    )))
}

/// A driver has returned `STATUS_PENDING` for an IRP that was then completed without having been marked pending by it.
fn never_marked(k: &Kernel, record: &Record, location: Va) -> Outcome<()> {
    let (irp, device) = (record.irp(), k.read(location + stack::DEVICE_OBJECT)?);
    let message = format!(
        "the dispatch routine of device {device} returned STATUS_PENDING for IRP {irp} ({}), which it has passed down, but IRP and routine \
         never marked it pending: IoMarkIrpPending comes before IoCallDriver, or the dispatch routine returns what IoCallDriver did",
        record.what()
    );
    verify(k, IoRule::RETURNED_PENDING_ONLY, irp, device, message)
}

/// The books on an IRP that is about to be completed.
fn live(k: &Kernel, irp: Va) -> Outcome<std::rc::Rc<Record>> {
    let record = k.io().borrow().irps.find(irp);
    let record = record.ok_or_else(|| completed_twice(k, irp))?;
    let location: u8 = k.read(irp + layout::CURRENT_LOCATION)?;
    if location > record.stack_count() {
        return Err(completed_twice(k, irp));
    }
    Ok(record)
}

fn completed_twice(k: &Kernel, irp: Va) -> crate::bugcheck::Halted {
    let message = match k.io().borrow().irps.completed_by(irp) {
        Some(by) => format!("IRP {irp} was completed already, from {by}"),
        None => format!("IRP {irp} is being completed, but nobody below has it to complete"),
    };
    k.bugcheck(BugCheck::new(
        Code::MULTIPLE_IRP_COMPLETE_REQUESTS,
        [irp.get(), 0, 0, 0],
        "irp-completed-twice",
        message,
    ))
}

fn check_completion(k: &Kernel, record: &Record) -> Outcome<()> {
    let irp = record.irp();
    let status = irp::read_status(k, irp)?.status;
    if status == NtStatus::PENDING || status.0 == u32::MAX {
        return Err(k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_IOMANAGER_VIOLATION,
            [IoRule::COMPLETED_PENDING.code, status.0.into(), irp.get(), 0],
            IoRule::COMPLETED_PENDING.name,
            format!("IRP {irp} ({}) was completed with {status}", record.what()),
        )));
    }
    let cancel_routine: Va = k.read(irp + layout::CANCEL_ROUTINE)?;
    if !cancel_routine.is_null() {
        return Err(k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_IOMANAGER_VIOLATION,
            [IoRule::COMPLETED_CANCELLABLE.code, cancel_routine.get(), irp.get(), 0],
            IoRule::COMPLETED_CANCELLABLE.name,
            format!(
                "IRP {irp} ({}) was completed while its cancel routine {cancel_routine} is set",
                record.what()
            ),
        )));
    }
    Ok(())
}

fn check_propagated(k: &Kernel, record: &Record, above: Va, device: Va, routine: Va) -> Outcome<()> {
    let control: u8 = k.read(above + stack::CONTROL)?;
    if control & irp::SL_PENDING_RETURNED != 0 {
        return Ok(());
    }
    let irp = record.irp();
    Err(violation_in(
        k,
        IoRule::PENDING_NOT_PROPAGATED,
        routine,
        irp,
        device,
        format!(
            "the completion routine {routine} let IRP {irp} ({}) go on with PendingReturned set, but did not mark it pending: it is to call \
             IoMarkIrpPending when Irp->PendingReturned is set",
            record.what()
        ),
    ))
}

/// Empties a stack location that is done with; its major function and device stay for debuggers.
fn clear(k: &Kernel, location: Va) -> Outcome<()> {
    k.write(location + stack::MINOR_FUNCTION, 0_u8)?;
    k.write(location + stack::FLAGS, 0_u8)?;
    k.write(location + stack::CONTROL, 0_u8)?;
    k.fill(
        location + stack::PARAMETERS,
        0,
        stack::DEVICE_OBJECT - stack::PARAMETERS,
    )?;
    k.write(location + stack::FILE_OBJECT, Va::NULL)
}
