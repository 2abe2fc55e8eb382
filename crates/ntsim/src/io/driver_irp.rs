//! IRPs that drivers make: `IoAllocateIrp`, `IoFreeIrp`, `IoInitializeIrp`, `IoReuseIrp`.
//!
//! Whoever makes an IRP by these ends it: its completion routine returns `STATUS_MORE_PROCESSING_REQUIRED`, and the IRP is freed, or used
//! again ("Creating IRPs for Drivers"). One that goes on past that routine would come to an I/O manager that knows no thread for it.

use std::rc::Rc;

use ntlayout::irp as layout;

use super::{
    irp::{self, Origin, Record},
    violation::{IoRule, violation},
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ex,
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
    trace::{Counter, Event},
};

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoAllocateIrp", 2, contract, |k, a| {
        Ok(allocate(k, a.u8(0))?.map_or(Va::NULL, |record| record.irp()))
    });
    ddi.function("IoFreeIrp", 1, contract, |k, a| free(k, a.va(0)));
    ddi.function("IoInitializeIrp", 3, contract, |k, a| {
        initialize(k, a.va(0), a.u16(1), a.u8(2))
    });
    ddi.function("IoReuseIrp", 2, contract, |k, a| reuse(k, a.va(0), NtStatus(a.u32(1))));
}

/// The most stack locations of an IRP. Their number is a `CCHAR`, which is signed; the location above the highest one is counted as well.
const MOST_LOCATIONS: u8 = 126;

/// `IoAllocateIrp`; none for a number of stack locations that no IRP has.
pub(super) fn allocate(k: &Kernel, stack_size: u8) -> Outcome<Option<Rc<Record>>> {
    if stack_size > MOST_LOCATIONS {
        return Ok(None);
    }
    let irp = k.allocate_system(irp::size(stack_size), "IRP")?;
    irp::initialize(k, irp, stack_size)?;
    let record = irp::enter(k, irp, stack_size, Origin::Driver, None, None, None);
    k.count(Counter::IrpsCreated);
    k.trace(Event::IrpCreated {
        irp,
        what: record.what(),
    });
    Ok(Some(record))
}

/// `IoFreeIrp`.
fn free(k: &Kernel, irp: Va) -> Outcome<()> {
    // Touches the IRP: one that was freed is found as such.
    k.read::<u16>(irp + layout::TYPE)?;
    let record = k.io().borrow().irps.find(irp);
    let Some(record) = record.filter(|record| record.origin() != Origin::DriverMemory) else {
        let message = format!("IoFreeIrp was given {irp}, which is no IRP that IoAllocateIrp has made");
        return Err(violation(k, IoRule::FREED_NO_IRP, irp, Va::NULL, message));
    };
    if record.origin() == Origin::IoManager {
        let message = format!(
            "IoFreeIrp was given IRP {irp} ({}), which the I/O manager frees when it has been completed",
            record.what()
        );
        return Err(violation(k, IoRule::FREED_THREADS_IRP, irp, Va::NULL, message));
    }
    check_back(k, &record, IoRule::FREED_IN_USE, "freed")?;
    k.io().borrow_mut().irps.retire(irp, k.caller());
    ex::pool::check_idle(k, irp, irp::size(record.stack_count()) as u64)?;
    k.free_system(irp)
}

/// `IoInitializeIrp`, for an IRP in the driver's own memory of `size` bytes.
fn initialize(k: &Kernel, irp: Va, size: u16, stack_size: u8) -> Outcome<()> {
    if let Some(record) = k.io().borrow().irps.find(irp) {
        check_back(k, &record, IoRule::REINITIALIZED_IN_USE, "initialized")?;
        if record.origin() != Origin::DriverMemory {
            let message =
                format!("IoInitializeIrp was given IRP {irp}, which has been allocated as one: IoReuseIrp is for that");
            return Err(violation(k, IoRule::INITIALIZED_ALLOCATED, irp, Va::NULL, message));
        }
    }
    if usize::from(size) < irp::size(stack_size) {
        let message = format!("IoInitializeIrp was given {size} bytes for an IRP with {stack_size} stack locations");
        return Err(misused(k, irp, "irp-too-small", message));
    }
    if stack_size > MOST_LOCATIONS {
        return Err(k.not_modelled(format!(
            "IoInitializeIrp with {stack_size} stack locations is not modelled: an IRP has {MOST_LOCATIONS} at most"
        )));
    }
    irp::initialize(k, irp, stack_size)?;
    irp::enter(k, irp, stack_size, Origin::DriverMemory, None, None, None);
    Ok(())
}

/// `IoReuseIrp`: as new, with `status`.
fn reuse(k: &Kernel, irp: Va, status: NtStatus) -> Outcome<()> {
    k.read::<u16>(irp + layout::TYPE)?;
    let record = k.io().borrow().irps.find(irp);
    let Some(record) = record.filter(|record| record.origin() == Origin::Driver) else {
        let message = format!("IoReuseIrp was given {irp}, which is no IRP that IoAllocateIrp has made");
        return Err(misused(k, irp, "irp-not-reusable", message));
    };
    check_back(k, &record, IoRule::REINITIALIZED_IN_USE, "used again")?;
    irp::initialize(k, irp, record.stack_count())?;
    k.write(irp + layout::IO_STATUS, status)
}

/// The driver must have its IRP back before it does anything else with it.
fn check_back(k: &Kernel, record: &Record, rule: IoRule, done: &str) -> Outcome<()> {
    if !record.is_under_way() {
        return Ok(());
    }
    let (irp, what) = (record.irp(), record.what());
    let message = format!("IRP {irp} ({what}) is {done} while a lower driver has it");
    Err(violation(k, rule, irp, Va::NULL, message))
}

/// A driver's own IRP was completed past the completion routine that should have taken it back.
pub(super) fn not_reclaimed(k: &Kernel, record: &Record) -> Halted {
    let (irp, what) = (record.irp(), record.what());
    let message = format!(
        "IRP {irp} ({what}) was made by a driver, and was completed without a completion routine of that driver's returning \
         STATUS_MORE_PROCESSING_REQUIRED"
    );
    misused(k, irp, "irp-not-reclaimed", message)
}

/// Memory of a driver's is being freed: no IRP in it may be under way.
pub(super) fn memory_freed(k: &Kernel, start: Va, length: u64) -> Outcome<()> {
    let inside: Vec<Rc<Record>> = {
        let io = k.io().borrow();
        let within = io.irps.live().filter(|record| record.irp() - start < length);
        within
            .filter(|record| record.origin() == Origin::DriverMemory)
            .cloned()
            .collect()
    };
    for record in inside {
        check_back(k, &record, IoRule::FREED_IN_USE, "freed")?;
        k.io().borrow_mut().irps.retire(record.irp(), k.caller());
    }
    Ok(())
}

fn misused(k: &Kernel, irp: Va, rule: &'static str, message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::DRIVER_IRP.subcode, irp.get(), 0, 0],
        rule,
        message,
    ))
}
