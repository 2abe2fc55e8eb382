//! An IRP passed down by the I/O manager's help: `IoForwardIrpSynchronously`, `IoSetCompletionRoutineEx`.

use std::collections::BTreeMap;

use ntlayout::{io_stack_location as stack, irp as layout};

use super::{call_driver, image_users, irp};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::WaitQueue,
    status::NtStatus,
};

/// The completion routine of IRPs that are forwarded.
const COMPLETED: &str = "IopForwardedIrpCompleted";

/// The IRPs that are being forwarded, by the context of their completion routine; gone when they have come back.
#[derive(Debug, Default)]
struct Forwarded(BTreeMap<Va, WaitQueue>);

pub(super) fn register(ddi: &mut Registry) {
    ddi.flow(
        "IoForwardIrpSynchronously",
        2,
        Contract::at_most(Irql::APC),
        |k, a| async move { forward(&k, a.va(0), a.va(1)).await },
    );
    ddi.function(COMPLETED, 3, Contract::at_most(Irql::DISPATCH), |k, a| {
        let waiters = k.state::<Forwarded>().borrow_mut().0.remove(&a.va(2));
        if let Some(waiters) = waiters {
            waiters.wake_all(k);
        }
        Ok(NtStatus::MORE_PROCESSING_REQUIRED)
    });
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoSetCompletionRoutineEx", 7, contract, set_completion_routine);
}

/// Passes the IRP to `device` and waits until it comes back: false when it has no stack location left.
async fn forward(k: &Kernel, device: Va, irp: Va) -> Outcome<bool> {
    if k.read::<u8>(irp + layout::CURRENT_LOCATION)? <= 1 {
        return Ok(false);
    }
    let (current, next) = (irp::current_location(k, irp)?, irp::next_location(k, irp)?);
    let parameters = k.read_bytes(current, stack::COMPLETION_ROUTINE)?;
    k.write_bytes(next, &parameters)?;
    let context = k.allocate_system(8, "the context of a forwarded IRP")?;
    let always = irp::SL_INVOKE_ON_SUCCESS | irp::SL_INVOKE_ON_ERROR | irp::SL_INVOKE_ON_CANCEL;
    write_routine(k, next, k.routine_address(COMPLETED), context, always)?;
    let state = k.state::<Forwarded>();
    let waiters = WaitQueue::default();
    state.borrow_mut().0.insert(context, waiters.clone());
    call_driver(k, device, irp).await?;
    while state.borrow().0.contains_key(&context) {
        waiters
            .wait(k, format!("IRP {irp} to come back from device {device}"))
            .await?;
    }
    k.free_system(context)?;
    Ok(true)
}

fn write_routine(k: &Kernel, location: Va, routine: Va, context: Va, control: u8) -> Outcome<()> {
    k.write(location + stack::COMPLETION_ROUTINE, routine)?;
    k.write(location + stack::CONTEXT, context)?;
    k.write(location + stack::CONTROL, control)
}

/// `IoSetCompletionRoutineEx(DeviceObject, Irp, CompletionRoutine, Context, InvokeOnSuccess, InvokeOnError, InvokeOnCancel)`.
fn set_completion_routine(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let flags = [
        (4, irp::SL_INVOKE_ON_SUCCESS),
        (5, irp::SL_INVOKE_ON_ERROR),
        (6, irp::SL_INVOKE_ON_CANCEL),
    ];
    let control = flags
        .into_iter()
        .filter(|&(index, _)| a.bool(index))
        .map(|(_, flag)| flag)
        .sum();
    let irp = a.va(1);
    let next = irp::next_location(k, irp)?;
    write_routine(k, next, a.va(2), a.va(3), control)?;
    let number = k.read::<u8>(irp + layout::CURRENT_LOCATION)? - 1;
    let record = k.io().borrow().irps.find(irp);
    if let Some(record) = record {
        let driver = image_users::enter(k, a.va(0))?;
        let before = record.kept_drivers.borrow_mut().insert(number, driver);
        if let Some(before) = before {
            image_users::leave(k, before);
        }
    }
    Ok(NtStatus::SUCCESS)
}
