//! Interrupts: delivery to processors, service routines, and what synchronises with them.
//!
//! Lines are level-triggered, as PCI's are: a line that is still asserted after its service routines have run interrupts
//! again. While one processor services a line no other is interrupted by it.

use std::collections::BTreeMap;

use super::{Irql, spin_lock};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::Registry,
    kernel::Kernel,
    mm::Va,
    report::{self, StackEntry},
    sched::{Activity, ActivityKind, Stack, WaitQueue},
    trace::{Counter, Event},
    verifier::SyncObject,
};

/// A connected interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// The KINTERRUPT.
    pub object: Va,
    /// The service routine.
    pub routine: Va,
    /// What it is given.
    pub context: Va,
    /// The device's line.
    pub line: u32,
    /// The IRQL the line interrupts at.
    pub irql: Irql,
    /// The IRQL the service routine runs at: that of the highest line it shares a lock with.
    pub synchronize_irql: Irql,
    /// The lock that is held around the service routine.
    pub spin_lock: Va,
}

/// How often in a row a line may interrupt without going low before it counts as a storm.
const STORM: u32 = 500;

#[derive(Debug, Default)]
struct Line {
    chain: Vec<Interrupt>,
    in_service: Option<usize>,
    /// Deliveries since the line was last seen low after service.
    in_a_row: u32,
    /// Where the driver last looked at its device in the delivery that makes it a storm.
    last_look: Option<Vec<StackEntry>>,
}

/// All interrupt lines that somebody has connected to.
#[derive(Debug, Default)]
pub struct Interrupts {
    lines: BTreeMap<u32, Line>,
    /// Threads that wait for a service routine to return.
    disconnecting: WaitQueue,
}

impl Interrupts {
    fn find(&self, object: Va) -> Option<Interrupt> {
        let mut all = self.lines.values().flat_map(|line| &line.chain);
        all.find(|interrupt| interrupt.object == object).copied()
    }
}

/// The IRQL of a line.
pub(crate) fn line_irql(k: &Kernel, line: u32) -> Irql {
    let ke = k.ke().borrow();
    let chain = ke.interrupts.lines.get(&line).map(|line| &line.chain);
    chain
        .and_then(|chain| chain.first())
        .map_or(Irql::PASSIVE, |interrupt| interrupt.irql)
}

/// Connects an interrupt: from now on, even before this returns to the driver, its routine may run.
pub fn connect(k: &Kernel, interrupt: Interrupt) {
    k.sync_release(SyncObject::Interrupt(interrupt.spin_lock.get()));
    k.ke()
        .borrow_mut()
        .interrupts
        .lines
        .entry(interrupt.line)
        .or_default()
        .chain
        .push(interrupt);
    k.trace(Event::InterruptConnected {
        line: interrupt.line,
        irql: interrupt.irql,
    });
}

/// Disconnects an interrupt, and returns when its routine does not run any more and will not run again.
///
/// # Errors
/// When the current activity may not wait, or the device still asserts the line that nobody serves any more.
pub async fn disconnect(k: &Kernel, object: Va) -> Outcome<()> {
    let found = k.ke().borrow().interrupts.find(object);
    let Some(interrupt) = found else {
        return Ok(());
    };
    let line = interrupt.line;
    let waiters = {
        let mut ke = k.ke().borrow_mut();
        if let Some(line) = ke.interrupts.lines.get_mut(&line) {
            line.chain.retain(|other| other.object != object);
        }
        ke.interrupts.disconnecting.clone()
    };
    while in_service(k, line) {
        waiters.wait(k, "an interrupt service routine to return").await?;
    }
    k.sync_acquire(SyncObject::Interrupt(interrupt.spin_lock.get()));
    k.trace(Event::InterruptDisconnected { line });
    let unserved = k
        .ke()
        .borrow()
        .interrupts
        .lines
        .get(&line)
        .is_none_or(|line| line.chain.is_empty());
    if unserved && k.watch().hardware.borrow().line_asserted(line) {
        return Err(k.bugcheck(storm(
            &interrupt,
            false,
            "interrupt-after-disconnect",
            "is still asserted after the driver disconnected from it: the device was not quieted",
        )));
    }
    Ok(())
}

fn in_service(k: &Kernel, line: u32) -> bool {
    let ke = k.ke().borrow();
    ke.interrupts
        .lines
        .get(&line)
        .is_some_and(|line| line.in_service.is_some())
}

fn storm(interrupt: &Interrupt, chained: bool, rule: &'static str, what: &str) -> BugCheck {
    let chained = if chained { 2 } else { 1 };
    BugCheck::new(
        Code::HARDWARE_INTERRUPT_STORM,
        [
            interrupt.routine.get(),
            interrupt.context.get(),
            interrupt.object.get(),
            chained,
        ],
        rule,
        format!("interrupt line {} {what}", interrupt.line),
    )
}

/// A line that could interrupt a processor now.
pub(crate) fn deliverable(k: &Kernel, processor: usize) -> Option<u32> {
    let irql = k.scheduler().borrow().processors[processor].irql;
    let ke = k.ke().borrow();
    let hardware = k.watch().hardware.borrow();
    ke.interrupts
        .lines
        .iter()
        .filter(|(_, line)| line.in_service.is_none())
        .filter_map(|(&number, line)| Some((line.chain.first()?.irql, number)))
        .filter(|&(level, number)| irql < level && hardware.line_asserted(number))
        // The highest level first; of equals, the lowest line.
        .max_by_key(|&(level, number)| (level, std::cmp::Reverse(number)))
        .map(|(_, number)| number)
}

/// Interrupts a processor.
pub(crate) fn deliver(k: &Kernel, processor: usize, number: u32) {
    let level = line_irql(k, number);
    k.count(Counter::InterruptsDelivered);
    if let Some(line) = k.ke().borrow_mut().interrupts.lines.get_mut(&number) {
        line.in_service = Some(processor);
        line.in_a_row += 1;
    }
    let flow = service(k.clone(), number);
    let kind = ActivityKind::Interrupt { line: number };
    let interrupted = {
        let mut scheduler = k.scheduler().borrow_mut();
        let this = &mut scheduler.processors[processor];
        let mut activity = Activity::new(kind, "interrupt dispatch", Box::pin(flow), this.interrupt_stack);
        activity.stack_base = below_nested(&this.activities, this.interrupt_stack);
        activity.resume_irql = this.irql;
        this.irql = level;
        this.activities.push(activity);
        this.activities[this.activities.len() - 1].resume_irql
    };
    k.trace(Event::InterruptDelivered {
        line: number,
        interrupted,
    });
}

/// An interrupt over an interrupt goes on below it on the same stack.
fn below_nested(activities: &[Activity], stack: Stack) -> Va {
    let nested = activities
        .iter()
        .rev()
        .find(|activity| matches!(activity.kind, ActivityKind::Interrupt { .. }));
    nested.map_or(stack.top, Activity::stack_pointer)
}

/// Runs a line's service routines until one claims the interrupt, then ends the interrupt.
async fn service(k: Kernel, number: u32) -> Outcome<u64> {
    let chain = chain_of(&k, number);
    let mut claimed = false;
    for interrupt in &chain {
        claimed = run_routine(&k, interrupt).await?;
        if claimed {
            break;
        }
    }
    if claimed {
        k.count(Counter::InterruptsClaimed);
    }
    k.trace(Event::InterruptServiced { line: number, claimed });
    let asserted = k.watch().hardware.borrow().line_asserted(number);
    let (in_a_row, waiters) = {
        let mut ke = k.ke().borrow_mut();
        let waiters = ke.interrupts.disconnecting.clone();
        let line = ke.interrupts.lines.entry(number).or_default();
        line.in_service = None;
        if !asserted {
            line.in_a_row = 0;
        }
        (line.in_a_row, waiters)
    };
    waiters.wake_all(&k);
    if in_a_row >= STORM
        && let Some(first) = chain.first()
    {
        let answer = if claimed { "claimed" } else { "not claimed" };
        let what =
            format!("has interrupted {in_a_row} times in a row without going low, and was {answer} the last time");
        let bugcheck = storm(first, chain.len() > 1, "interrupt-storm", &what);
        let stack = last_look(&k, number).unwrap_or_else(|| vec![entry_of(&k, first)]);
        return Err(k.bugcheck_at(bugcheck, Some(stack)));
    }
    Ok(0)
}

/// The driver has accessed a device: where it did, in case its interrupt turns out to be a storm.
pub(crate) fn note_device_access(k: &Kernel) {
    let Some(ActivityKind::Interrupt { line: number }) = k.activity() else {
        return;
    };
    let about_to_storm = |line: &Line| line.in_a_row >= STORM;
    if !k
        .ke()
        .borrow()
        .interrupts
        .lines
        .get(&number)
        .is_some_and(about_to_storm)
    {
        return;
    }
    let stack = report::call_stack(k, false);
    if let Some(line) = k.ke().borrow_mut().interrupts.lines.get_mut(&number) {
        line.last_look = Some(stack);
    }
}

fn last_look(k: &Kernel, number: u32) -> Option<Vec<StackEntry>> {
    let mut ke = k.ke().borrow_mut();
    ke.interrupts.lines.get_mut(&number)?.last_look.take()
}

/// The service routine itself, for one that has not looked at its device at all.
fn entry_of(k: &Kernel, interrupt: &Interrupt) -> StackEntry {
    let code = k.watch().code.borrow();
    StackEntry::Guest {
        address: interrupt.routine,
        rva: code.as_ref().and_then(|code| code.rva(interrupt.routine)),
        innermost: true,
    }
}

fn chain_of(k: &Kernel, number: u32) -> Vec<Interrupt> {
    let ke = k.ke().borrow();
    ke.interrupts
        .lines
        .get(&number)
        .map(|line| line.chain.clone())
        .unwrap_or_default()
}

async fn run_routine(k: &Kernel, interrupt: &Interrupt) -> Outcome<bool> {
    let old = k.raise_irql(interrupt.synchronize_irql);
    lock(k, interrupt).await?;
    let arguments = [interrupt.object.get(), interrupt.context.get()];
    let rax = k.call(interrupt.routine, &arguments).label("ISR").await?;
    unlock(k, interrupt)?;
    k.lower_irql(old);
    // BOOLEAN: the low byte alone.
    Ok(rax & 0xFF != 0)
}

async fn lock(k: &Kernel, interrupt: &Interrupt) -> Outcome<()> {
    spin_lock::acquire_raised(k, interrupt.spin_lock).await?;
    k.sync_acquire(SyncObject::Interrupt(interrupt.spin_lock.get()));
    Ok(())
}

fn unlock(k: &Kernel, interrupt: &Interrupt) -> Outcome<()> {
    k.sync_release(SyncObject::Interrupt(interrupt.spin_lock.get()));
    spin_lock::release_raised(k, interrupt.spin_lock)
}

/// `KeSynchronizeExecution`: runs a routine with the service routine kept out.
///
/// # Errors
/// When the interrupt is not connected or the IRQL is above that of the service routine.
pub async fn synchronize_execution(k: &Kernel, object: Va, routine: Va, context: Va) -> Outcome<bool> {
    let interrupt = connected(k, object, "KeSynchronizeExecution")?;
    check_level(k, &interrupt, "KeSynchronizeExecution")?;
    let old = k.raise_irql(interrupt.synchronize_irql);
    lock(k, &interrupt).await?;
    let rax = k.call(routine, &[context.get()]).label("SynchCritSection").await?;
    unlock(k, &interrupt)?;
    k.lower_irql(old);
    Ok(rax & 0xFF != 0)
}

fn connected(k: &Kernel, object: Va, what: &str) -> Outcome<Interrupt> {
    let found = k.ke().borrow().interrupts.find(object);
    found.ok_or_else(|| {
        k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [crate::bugcheck::VerifierRule::NOT_CONNECTED.subcode, object.get(), 0, 0],
            "interrupt-not-connected",
            format!("{what} was given {object}, which is no connected interrupt"),
        ))
    })
}

fn check_level(k: &Kernel, interrupt: &Interrupt, what: &str) -> Outcome<()> {
    let contract = crate::ddi::Contract::at_most(interrupt.synchronize_irql);
    if contract.allows(k.irql()) {
        return Ok(());
    }
    Err(k.bugcheck(contract.violation(what, k.irql())))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    use crate::ddi::Contract;
    ddi.flow("KeSynchronizeExecution", 3, Contract::ANY, |k, args| async move {
        synchronize_execution(&k, args.va(0), args.va(1), args.va(2)).await
    });
    ddi.flow("KeAcquireInterruptSpinLock", 1, Contract::ANY, |k, args| async move {
        let interrupt = connected(&k, args.va(0), "KeAcquireInterruptSpinLock")?;
        check_level(&k, &interrupt, "KeAcquireInterruptSpinLock")?;
        let old = k.raise_irql(interrupt.synchronize_irql);
        lock(&k, &interrupt).await?;
        Ok(old)
    });
    ddi.function("KeReleaseInterruptSpinLock", 2, Contract::ANY, |k, args| {
        let interrupt = connected(k, args.va(0), "KeReleaseInterruptSpinLock")?;
        unlock(k, &interrupt)?;
        super::irql::lower(k, Irql(args.u8(1)))
    });
}
