//! Handles of processes and threads: `ZwOpenProcess`, `ZwOpenThread`, `ZwTerminateProcess`, `ZwYieldExecution`, `ZwDelayExecution`.

use super::{
    process::{self, ProcessId},
    thread,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    ke::time,
    kernel::Kernel,
    mm::Va,
    ob::{
        attributes, by_handle,
        handle::{Handle, ZW_CONTRACT},
        process_of_handle,
    },
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwOpenProcess", "NtOpenProcess"] {
        ddi.flow(name, 4, ZW_CONTRACT, |k, a| async move {
            open(&k, &a, process_of_client).await
        });
    }
    for name in ["ZwOpenThread", "NtOpenThread"] {
        ddi.flow(name, 4, ZW_CONTRACT, |k, a| async move {
            open(&k, &a, thread_of_client).await
        });
    }
    ddi.function("ZwTerminateProcess", 2, ZW_CONTRACT, |k, a| {
        let found = match process_of_handle(k, Handle(a.u64(0)))? {
            Ok(found) => found,
            Err(status) => return Ok(status),
        };
        if process::find(k, found).is_some_and(|found| found.exited.is_some()) {
            return Ok(NtStatus::PROCESS_IS_TERMINATING);
        }
        Err(k.not_modelled(
            "ZwTerminateProcess is not modelled: the machine's programs end when their script does, not in the middle of it",
        ))
    });
    ddi.flow("ZwYieldExecution", 0, ZW_CONTRACT, |k, _| async move {
        k.yield_now().await?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.flow("ZwDelayExecution", 2, ZW_CONTRACT, |k, a| async move {
        let interval: i64 = k.read(a.va(1))?;
        let deadline = time::due(&k, interval);
        k.block("a delay to pass", Some(deadline)).await?;
        Ok(NtStatus::SUCCESS)
    });
}

/// `(ProcessHandle, DesiredAccess, ObjectAttributes, ClientId)`
async fn open(k: &Kernel, a: &Args, find: fn(&Kernel, u64, u64) -> Outcome<Result<Va, NtStatus>>) -> Outcome<NtStatus> {
    let attributes = match attributes::read(k, a.va(2))? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    let client = a.va(3);
    // Processes and threads have no names here, as on Windows, where only a few debuggers give them some.
    if attributes.name.is_some() || client.is_null() {
        return Ok(NtStatus::INVALID_PARAMETER_MIX);
    }
    let (of_process, of_thread): (u64, u64) = (k.read(client)?, k.read(client + 8_u64)?);
    let object = match find(k, of_process, of_thread)? {
        Ok(object) => object,
        Err(status) => return Ok(status),
    };
    let handle = by_handle::open(k, object, a.u32(1), attributes.flags).await?;
    k.write(a.va(0), handle)?;
    Ok(NtStatus::SUCCESS)
}

fn process_of_client(k: &Kernel, of_process: u64, of_thread: u64) -> Outcome<Result<Va, NtStatus>> {
    let found = if of_thread == 0 {
        live(k, of_process)
    } else {
        let thread = thread::by_id(k, of_thread).filter(|&thread| !k.has_ended(thread));
        let found = thread.map(|thread| process::of_thread(k, thread));
        found.filter(|&found| of_process == 0 || process::number(found) == of_process)
    };
    match found {
        Some(found) => process::object(k, found).map(Ok),
        None if of_thread == 0 => Ok(Err(NtStatus::INVALID_PARAMETER)),
        None => Ok(Err(NtStatus::INVALID_CID)),
    }
}

fn live(k: &Kernel, number: u64) -> Option<ProcessId> {
    let found = process::by_number(k, number)?;
    let ended = process::find(k, found).is_some_and(|found| found.exited.is_some());
    (!ended).then_some(found)
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of two, and the other can fail")]
fn thread_of_client(k: &Kernel, of_process: u64, of_thread: u64) -> Outcome<Result<Va, NtStatus>> {
    let found = thread::by_id(k, of_thread).filter(|&thread| !k.has_ended(thread));
    let found = found.filter(|&thread| of_process == 0 || process::number(process::of_thread(k, thread)) == of_process);
    Ok(found.map(|thread| k.thread_object(thread)).ok_or(NtStatus::INVALID_CID))
}
