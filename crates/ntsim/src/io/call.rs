//! `IofCallDriver`: an IRP on its way down.

use std::rc::Rc;

use ntlayout::{device_object, driver_object, io_stack_location as stack, irp as layout};

use super::{
    device::{DO_POWER_INRUSH, DO_POWER_PAGABLE},
    irp::{self, IoStatus, Major, Passed, Record},
    pnp::{self, bus_driver},
    violation::{IoRule, verify, violation},
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.flow("IofCallDriver", 2, contract, |k, a| async move {
        call_driver(&k, a.va(0), a.va(1)).await
    });
    ddi.flow(INVALID_DEVICE_REQUEST, 2, contract, |k, a| async move {
        invalid_device_request(&k, a.va(1)).await
    });
}

/// The dispatch routine that Windows gives to the major functions that a driver leaves out.
pub(in crate::io) const INVALID_DEVICE_REQUEST: &str = "IopInvalidDeviceRequest";

async fn invalid_device_request(k: &Kernel, irp: Va) -> Outcome<NtStatus> {
    let status = NtStatus::INVALID_DEVICE_REQUEST;
    irp::write_status(k, irp, IoStatus { status, information: 0 })?;
    super::completion::complete(k, irp).await?;
    Ok(status)
}

/// Gives `irp` to the driver of `device`, with the next stack location; what its dispatch routine returns.
pub(crate) async fn call_driver(k: &Kernel, device: Va, irp: Va) -> Outcome<NtStatus> {
    let record = check_arguments(k, device, irp)?;
    let number: u8 = k.read(irp + layout::CURRENT_LOCATION)?;
    let Some(number) = number.checked_sub(1).filter(|&number| number > 0) else {
        return Err(k.bugcheck(BugCheck::new(
            Code::NO_MORE_IRP_STACK_LOCATIONS,
            [irp.get(), 0, 0, 0],
            "no-more-stack-locations",
            format!(
                "IRP {irp} is passed down below the {} drivers it was made for",
                record.stack_count()
            ),
        )));
    };
    let location = irp::location(irp, number);
    let major = Major(k.read(location + stack::MAJOR_FUNCTION)?);
    check_forwarding(k, &record, device, number, major)?;

    k.write(irp + layout::CURRENT_LOCATION, number)?;
    k.write(irp + layout::CURRENT_STACK_LOCATION, location)?;
    k.write(location + stack::DEVICE_OBJECT, device)?;
    let control: u8 = k.read(location + stack::CONTROL)?;
    let calls = record.sent(number, major, control & irp::SL_PENDING_RETURNED != 0);

    if pnp::is_pdo(k, device) {
        record.reached_bottom.set(true);
    }
    let status = if bus_driver::owns(k, device) {
        bus_driver::dispatch(k, device, irp, major).await?
    } else {
        let driver: Va = k.read(device + device_object::DRIVER_OBJECT)?;
        let entry = driver + driver_object::MAJOR_FUNCTION + usize::from(major.0) * 8;
        let routine: Va = k.read(entry)?;
        let returned = k
            .call(routine, &[device.get(), irp.get()])
            .label(dispatch_label(major))
            .await?;
        NtStatus((returned & 0xFFFF_FFFF) as u32)
    };
    // A completion routine may have sent it again meanwhile: then what is known of the location is no longer about this call.
    if !record.sent_again(number, calls) {
        check_dispatch(k, &record, number, device, status)?;
    }
    Ok(status)
}

fn check_arguments(k: &Kernel, device: Va, irp: Va) -> Outcome<Rc<Record>> {
    if device.is_null() {
        let message = format!("IRP {irp} is passed down to a null device object");
        return Err(violation(k, IoRule::NULL_DEVICE, irp, device, message));
    }
    if !k.io().borrow().devices.exists(device) {
        let message =
            format!("IRP {irp} is passed down to {device}, which is no device object, or one that was deleted");
        return Err(violation(k, IoRule::NOT_A_DEVICE, irp, device, message));
    }
    // Its memory is there while something is attached to it or refers to it, but its driver has let go of it.
    if pnp::is_pdo(k, device) && k.io().borrow().devices.is_deleted(device) {
        let message =
            format!("IRP {irp} is passed down to {device}, which its bus driver has deleted at IRP_MN_REMOVE_DEVICE");
        return Err(violation(k, IoRule::NOT_A_DEVICE, irp, device, message));
    }
    let record = k.io().borrow().irps.find(irp);
    record.ok_or_else(|| {
        let message = format!("{irp} is passed down to device {device}, but is no IRP, or one that was completed");
        violation(k, IoRule::NOT_AN_IRP, irp, device, message)
    })
}

fn check_forwarding(k: &Kernel, record: &Record, device: Va, number: u8, major: Major) -> Outcome<()> {
    let irp = record.irp();
    let location = irp::location(irp, number);
    let cancel_routine: Va = k.read(irp + layout::CANCEL_ROUTINE)?;
    if !cancel_routine.is_null() {
        let message = format!("IRP {irp} is passed down while its cancel routine {cancel_routine} is set");
        verify(k, IoRule::FORWARDED_CANCELLABLE, irp, device, message)?;
    }
    let control: u8 = k.read(location + stack::CONTROL)?;
    // After IoSkipCurrentIrpStackLocation the next location is the driver's own, and keeps its mark.
    let skipped = record.was_used(number) && record.passed(number).is_none();
    if control & irp::SL_PENDING_RETURNED != 0 && !skipped {
        let message = format!("IRP {irp} is passed down with the pending flag set in the next stack location");
        verify(k, IoRule::CONTROL_NOT_ZEROED, irp, device, message)?;
    }
    let passive_only = matches!(
        major,
        Major::PNP | Major::CREATE | Major::CLEANUP | Major::CLOSE | Major::SYSTEM_CONTROL
    );
    let pagable = major == Major::POWER && needs_passive_level(k, device)?;
    let irql = k.irql();
    if (passive_only || pagable) && irql > Irql::PASSIVE {
        let message = format!("{} IRP {irp} is passed down at {irql}", major.name());
        verify(k, IoRule::FORWARDED_AT_WRONG_IRQL, irp, device, message)?;
    }
    check_not_understood(k, record, device, location, major)?;
    check_status_passed_down(k, irp, device, major)
}

/// A driver passes down what it does not know as it came. Minor functions that the system does not have no driver knows; Driver Verifier sends
/// some of those.
fn check_not_understood(k: &Kernel, record: &Record, device: Va, location: Va, major: Major) -> Outcome<()> {
    let Some(initial) = record.initial_status() else {
        return Ok(());
    };
    let minor: u8 = k.read(location + stack::MINOR_FUNCTION)?;
    let (known, rule) = match major {
        Major::PNP => (pnp::Minor(minor).exists(), IoRule::PNP_STATUS_CHANGED),
        Major::POWER => (crate::po::Minor(minor).exists(), IoRule::STATUS_CHANGED),
        _ => return Ok(()),
    };
    let irp = record.irp();
    let IoStatus { status, information } = irp::read_status(k, irp)?;
    if known || (status == initial && information == 0) {
        return Ok(());
    }
    let name = major.name();
    if status == initial {
        let message = format!(
            "{name} IRP {irp} has the minor function {minor:#x}, which no driver knows, but is passed down with Information {information:#x}: \
             leave IoStatus of what the driver does not handle alone"
        );
        verify(k, IoRule::INFORMATION_CHANGED, irp, device, message)?;
    }
    let message = format!(
        "{name} IRP {irp} has the minor function {minor:#x}, which no driver knows, but is passed down with {status} instead of {initial}: \
         leave IoStatus of what the driver does not handle alone"
    );
    verify(k, rule, irp, device, message)
}

/// Whether the drivers of a device must be called at `PASSIVE_LEVEL` with power IRPs ("Setting Device Object Flags for Power Management").
fn needs_passive_level(k: &Kernel, device: Va) -> Outcome<bool> {
    let flags: u32 = k.read(device + device_object::FLAGS)?;
    Ok(flags & DO_POWER_PAGABLE != 0 && flags & DO_POWER_INRUSH == 0)
}

/// A driver that fails a PnP or power IRP completes it: what goes down has succeeded so far, or nobody has handled it.
fn check_status_passed_down(k: &Kernel, irp: Va, device: Va, major: Major) -> Outcome<()> {
    let rule = match major {
        Major::PNP => IoRule::FAILED_PNP_PASSED_DOWN,
        Major::POWER => IoRule::FAILED_POWER_PASSED_DOWN,
        _ => return Ok(()),
    };
    let status = irp::read_status(k, irp)?.status;
    if status.is_success() || status == NtStatus::NOT_SUPPORTED {
        return Ok(());
    }
    let message = format!("{} IRP {irp} is passed down with {status}", major.name());
    verify(k, rule, irp, device, message)
}

/// A driver returns from a dispatch routine: what it returned must fit what it did with the IRP.
///
/// The rules are those of "Handling IRPs": a dispatch routine completes the IRP and returns its status, passes it down and
/// returns the lower driver's, or marks it pending and returns `STATUS_PENDING`.
fn check_dispatch(k: &Kernel, record: &Record, location_number: u8, device: Va, returned: NtStatus) -> Outcome<()> {
    let irp = record.irp();
    let what = record.what();
    let fail = |rule, message: String| verify(k, rule, irp, device, message);
    if returned.0 == u32::MAX {
        let message = format!("the dispatch routine for {what} returned 0xFFFFFFFF for IRP {irp}, which is no status");
        return fail(IoRule::ILLEGAL_STATUS, message);
    }
    match (returned == NtStatus::PENDING, record.passed(location_number)) {
        (true, Some(Passed { pending: true, .. })) | (false, Some(Passed { pending: false, .. })) => {}
        (true, None) => {
            let control: u8 = k.read(irp::location(irp, location_number) + stack::CONTROL)?;
            let marked = control & irp::SL_PENDING_RETURNED != 0;
            if !marked && record.passed_on(location_number) {
                // What it returned is the lower driver's answer, perhaps; its completion routine marks the IRP then, and has yet to run.
                record.expect_pending(location_number);
            } else if !marked {
                return fail(
                    IoRule::RETURNED_PENDING_ONLY,
                    format!(
                        "the dispatch routine for {what} returned STATUS_PENDING for IRP {irp}, which is not marked pending"
                    ),
                );
            }
        }
        (true, Some(Passed { pending: false, .. })) => {
            return fail(
                IoRule::RETURNED_PENDING_ONLY,
                format!(
                    "the dispatch routine for {what} returned STATUS_PENDING for IRP {irp}, which was completed without being marked pending"
                ),
            );
        }
        // The mark may be that of a driver above, which has passed its own stack location on.
        (false, Some(Passed { pending: true, .. })) if record.was_marked_above(location_number) => {}
        (false, Some(Passed { pending: true, .. })) => {
            return fail(
                IoRule::MARKED_PENDING_ONLY,
                format!("the dispatch routine for {what} returned {returned} for IRP {irp}, which was marked pending"),
            );
        }
        (false, None) => {
            return fail(
                IoRule::NEITHER_COMPLETED_NOR_PENDING,
                format!(
                    "the dispatch routine for {what} returned {returned} for IRP {irp}, which it has neither completed nor passed down"
                ),
            );
        }
    }
    match record.passed(location_number) {
        Some(passed) if returned != NtStatus::PENDING && passed.status != returned => fail(
            IoRule::STATUS_INCONSISTENT,
            format!(
                "the dispatch routine for {what} returned {returned} for IRP {irp}, which was completed with {}",
                passed.status
            ),
        ),
        _ => Ok(()),
    }
}

/// What traces and reports call a dispatch routine.
const fn dispatch_label(major: Major) -> &'static str {
    match major {
        Major::CREATE => "dispatch IRP_MJ_CREATE",
        Major::CLOSE => "dispatch IRP_MJ_CLOSE",
        Major::READ => "dispatch IRP_MJ_READ",
        Major::WRITE => "dispatch IRP_MJ_WRITE",
        Major::DEVICE_CONTROL => "dispatch IRP_MJ_DEVICE_CONTROL",
        Major::CLEANUP => "dispatch IRP_MJ_CLEANUP",
        Major::POWER => "dispatch IRP_MJ_POWER",
        Major::SYSTEM_CONTROL => "dispatch IRP_MJ_SYSTEM_CONTROL",
        Major::PNP => "dispatch IRP_MJ_PNP",
        _ => "dispatch",
    }
}
