//! PnP IRPs on their way through a device's stack.

use ntlayout::{device_object, io_stack_location as stack};

use super::Minor;
use crate::{
    bugcheck::Outcome,
    io::{
        device,
        file::send_and_wait,
        irp::{self, IoStatus, Major, Record},
        violation::{IoRule, verify, violation},
    },
    kernel::Kernel,
    mm::Va,
    sched::Mode,
    status::NtStatus,
    trace::Event,
};

/// Sends the PnP IRP `minor` with `parameters` in its first stack location, as the PnP manager does with queries: how it ended.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn query(k: &Kernel, pdo: Va, minor: Minor, parameters: [u64; 4]) -> Outcome<IoStatus> {
    send(k, pdo, minor, |k, location| {
        for (index, value) in parameters.into_iter().enumerate() {
            k.write(location + stack::PARAMETERS + 8 * index, value)?;
        }
        Ok(())
    })
    .await
}

/// Sends a PnP IRP to the top of the device's stack and waits for its end. `parameters` fills in the stack location.
pub(super) async fn send(
    k: &Kernel,
    pdo: Va,
    minor: Minor,
    parameters: impl FnOnce(&Kernel, Va) -> Outcome<()>,
) -> Outcome<IoStatus> {
    let top = device::top_of_stack(k, pdo)?;
    let record = irp::allocate(
        k,
        irp::Spec {
            major: Major::PNP,
            minor: minor.0,
            stack_size: k.read(top + device_object::STACK_SIZE)?,
            file: None,
            status: Some(NtStatus::NOT_SUPPORTED),
            mode: Mode::Kernel,
            finish: None,
        },
    )?;
    parameters(k, irp::next_location(k, record.irp())?)?;
    k.trace(Event::Note(format!("{} sent", minor.name())));
    let io_status = send_and_wait(k, top, &record).await?;
    check_handled(k, &record, top, minor, io_status.status)?;
    Ok(io_status)
}

/// PnP IRPs are passed down to the bus driver unless a driver fails them.
fn check_handled(k: &Kernel, record: &Record, top: Va, minor: Minor, status: NtStatus) -> Outcome<()> {
    let (irp, name) = (record.irp(), minor.name());
    if minor.must_succeed() && !status.is_success() {
        let message = format!("{name} ended with {status}, but must not fail");
        return Err(violation(k, IoRule::CANNOT_BE_FAILED, irp, top, message));
    }
    if record.reached_bottom.get() {
        return Ok(());
    }
    if !minor.exists() {
        let message = format!(
            "a PnP request with the minor function {:#x}, which no driver knows, was completed with {status} instead of being passed down",
            minor.0
        );
        return verify(k, IoRule::COMPLETED_NOT_UNDERSTOOD, irp, top, message);
    }
    if status.is_success() {
        let message = format!("{name} was completed with {status} without being passed down");
        return verify(k, IoRule::COMPLETED_NOT_PASSED_DOWN, irp, top, message);
    }
    if status == NtStatus::NOT_SUPPORTED {
        let message = format!("{name}, which the driver does not handle, was completed instead of being passed down");
        return verify(k, IoRule::COMPLETED_UNTOUCHED, irp, top, message);
    }
    Ok(())
}
