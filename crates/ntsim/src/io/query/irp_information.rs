//! What is kept of an IRP beside its fields, and what is asked about it: priority, activity, session, access, whether it is synchronous.

use std::collections::BTreeMap;

use ntlayout::{file_object, io_stack_location as stack, irp as layout};

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    io::irp,
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::Mode,
    status::NtStatus,
};

/// `FO_SYNCHRONOUS_IO` of a file object.
const SYNCHRONOUS_IO: u32 = 0x0000_0002;
/// `IRP_PAGING_IO`, `IRP_SYNCHRONOUS_API`, `IRP_SYNCHRONOUS_PAGING_IO`.
const IRP_SYNCHRONOUS: u32 = 0x0000_0004;
const IRP_SYNCHRONOUS_PAGING: u32 = 0x0000_0040;
/// Where the priority of an IRP lies in its flags: one more than the hint, so that 0 stands for none.
const PRIORITY_SHIFT: u32 = 17;
const PRIORITY_MASK: u32 = 7 << PRIORITY_SHIFT;
/// `IoPriorityNormal`, and the first number behind `IoPriorityCritical`.
const PRIORITY_NORMAL: u32 = 2;
const PRIORITIES: u32 = 5;
/// The session of programs. Session 0 is that of services and of the system.
const SESSION: u32 = 1;

/// The activity that an IRP belongs to, by IRP.
#[derive(Debug, Default)]
struct Activities(BTreeMap<Va, [u8; 16]>);

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoGetIoPriorityHint", 1, Contract::ANY, |k, a| {
        let flags: u32 = k.read(a.va(0) + layout::FLAGS)?;
        let stored = (flags & PRIORITY_MASK) >> PRIORITY_SHIFT;
        Ok(stored.checked_sub(1).unwrap_or(PRIORITY_NORMAL))
    });
    ddi.function("IoSetIoPriorityHint", 2, Contract::ANY, |k, a| {
        let hint = a.u32(1);
        if hint >= PRIORITIES {
            return Ok(NtStatus::INVALID_PARAMETER);
        }
        let flags: u32 = k.read(a.va(0) + layout::FLAGS)?;
        let flags = flags & !PRIORITY_MASK | (hint + 1) << PRIORITY_SHIFT;
        k.write(a.va(0) + layout::FLAGS, flags)?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("IoGetActivityIdIrp", 2, contract, |k, a| {
        let state = k.state::<Activities>();
        let known = state.borrow().0.get(&a.va(0)).copied();
        match known {
            Some(id) => {
                k.write_bytes(a.va(1), &id)?;
                Ok(NtStatus::SUCCESS)
            }
            None => Ok(NtStatus::NOT_FOUND),
        }
    });
    ddi.function("IoSetActivityIdIrp", 2, contract, |k, a| {
        let state = k.state::<Activities>();
        if a.va(1).is_null() {
            state.borrow_mut().0.remove(&a.va(0));
            return Ok(NtStatus::SUCCESS);
        }
        let mut id = [0; 16];
        k.read_into(a.va(1), &mut id)?;
        state.borrow_mut().0.insert(a.va(0), id);
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("IoGetRequestorSessionId", 2, contract, |k, a| {
        let from_program = is_of_program(k, a.va(0))?;
        k.write(a.va(1), if from_program { SESSION } else { 0 })?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("IoIsOperationSynchronous", 1, contract, |k, a| {
        is_synchronous(k, a.va(0))
    });
    ddi.function("IoValidateDeviceIoControlAccess", 2, contract, validate_access);
}

/// Whether the request comes from a program's thread.
fn is_of_program(k: &Kernel, irp: Va) -> Outcome<bool> {
    let thread: Va = k.read(irp + layout::THREAD)?;
    let scheduler = k.scheduler().borrow();
    let mut threads = scheduler.threads.iter();
    Ok(threads.any(|found| found.object == thread && found.mode == Mode::User))
}

/// By its flags, or because of how its file was opened.
fn is_synchronous(k: &Kernel, irp: Va) -> Outcome<bool> {
    let flags: u32 = k.read(irp + layout::FLAGS)?;
    if flags & (IRP_SYNCHRONOUS | IRP_SYNCHRONOUS_PAGING) != 0 {
        return Ok(true);
    }
    let location = irp::current_location(k, irp)?;
    let file: Va = k.read(location + stack::FILE_OBJECT)?;
    if file.is_null() {
        return Ok(false);
    }
    let flags: u32 = k.read(file + file_object::FLAGS)?;
    Ok(flags & SYNCHRONOUS_IO != 0)
}

/// `IoValidateDeviceIoControlAccess(Irp, RequiredAccess)`: `FILE_READ_ACCESS` and `FILE_WRITE_ACCESS` are the rights to read and write.
fn validate_access(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const READ_AND_WRITE: u32 = 3;
    let (irp, required) = (a.va(0), a.u32(1));
    if required & !READ_AND_WRITE != 0 {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    if k.read::<u8>(irp + layout::REQUESTOR_MODE)? == 0 {
        return Ok(NtStatus::SUCCESS);
    }
    let location = irp::current_location(k, irp)?;
    let file: Va = k.read(location + stack::FILE_OBJECT)?;
    let file = k.io().borrow().files.get(&file).cloned();
    Ok(match file {
        Some(file) if file.allows(required) => NtStatus::SUCCESS,
        Some(_) => NtStatus::ACCESS_DENIED,
        None => NtStatus::INVALID_PARAMETER,
    })
}
