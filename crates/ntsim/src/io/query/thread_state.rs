//! What the I/O manager keeps for each thread: its stack, the top-level IRP, the device to verify, and whether errors are shown.

use std::collections::{BTreeMap, BTreeSet};

use ntlayout::irp;

use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::Stack,
};

/// By KTHREAD.
#[derive(Debug, Default)]
struct Threads {
    top_level_irp: BTreeMap<Va, Va>,
    device_to_verify: BTreeMap<Va, Va>,
    /// Threads that do not want hard errors to be shown.
    quiet: BTreeSet<Va>,
}

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoGetStackLimits", 2, contract, |k, a| {
        let stack = stack(k);
        k.write(a.va(0), stack.limit)?;
        k.write(a.va(1), stack.top)
    });
    ddi.function("IoWithinStackLimits", 2, contract, |k, a| {
        let (start, length, stack) = (a.va(0), a.u64(1), stack(k));
        let end = start.get().checked_add(length);
        Ok(start >= stack.limit && end.is_some_and(|end| end <= stack.top.get()))
    });
    let at_most_apc = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_IO_APC_LTE);
    ddi.function("IoGetInitialStack", 0, at_most_apc, |k, _| Ok(stack(k).top));

    ddi.function("IoGetTopLevelIrp", 0, contract, |k, _| {
        let thread = current(k);
        let state = k.state::<Threads>();
        let irp = state.borrow().top_level_irp.get(&thread).copied();
        Ok(irp.unwrap_or(Va::NULL))
    });
    ddi.function("IoSetTopLevelIrp", 1, contract, |k, a| {
        let thread = current(k);
        k.state::<Threads>().borrow_mut().top_level_irp.insert(thread, a.va(0));
        Ok(())
    });

    let by_rule = contract.by_rule(VerifierRule::IRQL_IO_DISPATCH);
    ddi.function("IoGetDeviceToVerify", 1, by_rule, |k, a| {
        let state = k.state::<Threads>();
        let device = state.borrow().device_to_verify.get(&a.va(0)).copied();
        Ok(device.unwrap_or(Va::NULL))
    });
    ddi.function("IoSetDeviceToVerify", 2, by_rule, |k, a| {
        set_device_to_verify(k, a.va(0), a.va(1));
        Ok(())
    });
    // The thread is the one that the request comes from.
    ddi.function("IoSetHardErrorOrVerifyDevice", 2, contract, |k, a| -> Outcome<()> {
        let thread: Va = k.read(a.va(0) + irp::THREAD)?;
        set_device_to_verify(k, thread, a.va(1));
        Ok(())
    });
    ddi.function("IoSetThreadHardErrorMode", 1, Contract::at_most(Irql::APC), |k, a| {
        let thread = current(k);
        let state = k.state::<Threads>();
        let quiet = &mut state.borrow_mut().quiet;
        let was_quiet = if a.bool(0) {
            quiet.remove(&thread)
        } else {
            !quiet.insert(thread)
        };
        Ok(!was_quiet)
    });
}

fn set_device_to_verify(k: &Kernel, thread: Va, device: Va) {
    let state = k.state::<Threads>();
    state.borrow_mut().device_to_verify.insert(thread, device);
}

/// The current thread's KTHREAD; null where none is, in a DPC that no thread was interrupted for.
fn current(k: &Kernel) -> Va {
    k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread))
}

/// The stack that the calling code runs on.
fn stack(k: &Kernel) -> Stack {
    k.with_activity(|activity| activity.stack)
        .expect("an export is called by an activity")
}
