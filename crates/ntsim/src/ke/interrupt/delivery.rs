//! Interrupts on their way to processors, and what their service routines answer.

use super::{Input, Interrupt, Routine, Source, fault, source_irql, synchronize};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::Va,
    report::{self, StackEntry},
    sched::{Activity, ActivityKind, Stack},
    trace::{Counter, Event},
};

/// How often in a row a source may interrupt without going quiet before it counts as a storm.
const STORM: u32 = 500;

/// What could interrupt a processor now.
///
/// A line that nobody has ever connected to is masked. One that everybody has left is not looked away from: a device that asserts it is a
/// fault. Messages are not masked at all.
pub(crate) fn deliverable(k: &Kernel, processor: usize) -> Option<Source> {
    let irql = k.scheduler().borrow().processors[processor].irql;
    let hardware = k.watch().hardware.borrow();
    let messages = hardware.messages_pending();
    let ke = k.ke().borrow();
    let lines = ke
        .interrupts
        .inputs
        .keys()
        .copied()
        .filter(|source| matches!(source, Source::Line(line) if hardware.line_asserted(*line)));
    lines
        .chain(messages.into_iter().map(Source::Message))
        .filter(|&source| !ke.interrupts.in_service(source) && ke.interrupts.reaches(source, processor))
        .map(|source| (source_irql(k, source), source))
        .filter(|&(level, _)| irql < level)
        // The highest level first; of equals, the lowest line.
        .max_by_key(|&(level, source)| (level, std::cmp::Reverse(source)))
        .map(|(_, source)| source)
}

/// Interrupts a processor.
pub(crate) fn deliver(k: &Kernel, processor: usize, source: Source) {
    let level = source_irql(k, source);
    if let Source::Message(vector) = source {
        k.watch().hardware.borrow_mut().take_message(vector);
    }
    if let Some(bugcheck) = unserved(k, source) {
        // Nothing has come yet that could be stopped: the machine has.
        let _ = k.bugcheck(bugcheck);
        return;
    }
    k.count(Counter::InterruptsDelivered);
    with_input(k, source, |input| {
        input.in_service = Some(processor);
        input.in_a_row += 1;
    });
    let flow = service(k.clone(), source);
    let kind = ActivityKind::Interrupt { source };
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
    k.trace(Event::InterruptDelivered { source, interrupted });
}

/// What is wrong with an interrupt that nobody is connected to; none when somebody is.
fn unserved(k: &Kernel, source: Source) -> Option<crate::bugcheck::BugCheck> {
    let latest = with_input(k, source, |input| (input.chain.is_empty(), input.latest));
    match (source, latest) {
        (_, Some((false, _))) | (Source::Line(_), None) => None,
        (Source::Line(line), Some((true, latest))) => Some(fault::unserved_line(k, line, &latest)),
        (Source::Message(vector), _) => Some(fault::unserved_message(k, vector)),
    }
}

fn with_input<T>(k: &Kernel, source: Source, work: impl FnOnce(&mut Input) -> T) -> Option<T> {
    k.ke().borrow_mut().interrupts.inputs.get_mut(&source).map(work)
}

/// An interrupt over an interrupt goes on below it on the same stack.
pub(in crate::ke) fn below_nested(activities: &[Activity], stack: Stack) -> Va {
    let nested = activities
        .iter()
        .rev()
        .find(|activity| matches!(activity.kind, ActivityKind::Interrupt { .. }));
    nested.map_or(stack.top, Activity::stack_pointer)
}

/// Runs a source's service routines until one claims the interrupt, then ends the interrupt.
async fn service(k: Kernel, source: Source) -> Outcome<u64> {
    let chain = with_input(&k, source, |input| input.chain.clone()).unwrap_or_default();
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
    k.trace(Event::InterruptServiced { source, claimed });
    let again = interrupts_again(&k, source);
    let in_a_row = with_input(&k, source, |input| {
        input.in_service = None;
        if !again {
            input.in_a_row = 0;
        }
        input.in_a_row
    });
    let waiters = k.ke().borrow().interrupts.disconnecting.clone();
    waiters.wake_all(&k);
    if let (Some(in_a_row @ STORM..), Some(first)) = (in_a_row, chain.first()) {
        let bugcheck = fault::storm(&k, first, chain.len() > 1, in_a_row, claimed);
        let stack = last_look(&k, source).unwrap_or_else(|| vec![entry_of(&k, first)]);
        return Err(k.bugcheck_at(bugcheck, Some(stack)));
    }
    Ok(0)
}

fn interrupts_again(k: &Kernel, source: Source) -> bool {
    let hardware = k.watch().hardware.borrow();
    match source {
        Source::Line(line) => hardware.line_asserted(line),
        Source::Message(vector) => hardware.messages_pending().contains(&vector),
    }
}

/// The driver has accessed a device: where it did, in case its interrupt turns out to be a storm.
pub(crate) fn note_device_access(k: &Kernel) {
    let Some(ActivityKind::Interrupt { source }) = k.activity() else {
        return;
    };
    let about_to_storm = with_input(k, source, |input| input.in_a_row >= STORM);
    if about_to_storm != Some(true) {
        return;
    }
    let stack = report::call_stack(k, false);
    with_input(k, source, |input| input.last_look = Some(stack));
}

fn last_look(k: &Kernel, source: Source) -> Option<Vec<StackEntry>> {
    with_input(k, source, |input| input.last_look.take()).flatten()
}

/// The service routine itself, for one that has not looked at its device at all.
fn entry_of(k: &Kernel, interrupt: &Interrupt) -> StackEntry {
    report::guest_entry(k, interrupt.routine.address(), true)
}

async fn run_routine(k: &Kernel, interrupt: &Interrupt) -> Outcome<bool> {
    let old = k.raise_irql(interrupt.synchronize_irql);
    synchronize::lock(k, interrupt).await?;
    let (object, context) = (interrupt.object.get(), interrupt.context.get());
    let call = match interrupt.routine {
        Routine::Service(routine) => k.call(routine, &[object, context]),
        Routine::MessageService(routine, message) => k.call(routine, &[object, context, message.into()]),
    };
    let rax = call.label("ISR").await?;
    synchronize::unlock(k, interrupt)?;
    k.lower_irql(old);
    // BOOLEAN: the low byte alone.
    Ok(rax & 0xFF != 0)
}
