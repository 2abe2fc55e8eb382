//! Objects on kernel stacks: their memory goes when the function returns that has them as local variables.

use super::violation;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ke::{dpc, timer},
    kernel::Kernel,
    mm::{Va, layout},
    sched::{Activity, ActivityKind, thread::ThreadState},
};

/// The timers that were set, and DPCs that were queued, on a stack.
#[derive(Debug, Default)]
struct OnStacks(Vec<Va>);

/// Kernel stacks lie here, and nothing else.
fn is_stack(va: Va) -> bool {
    va - layout::STACKS < 1 << 40
}

/// Whether `va` lies on the stack that the calling code runs on.
pub(crate) fn on_current_stack(k: &Kernel, va: Va) -> bool {
    is_stack(va) && k.with_activity(|activity| activity.stack.contains(va)).unwrap_or(false)
}

/// An object at `va` is in use from now on: if it lies on a stack, it must not be in use any more when its function returns.
pub(crate) fn put_on_stack(k: &Kernel, va: Va) {
    if is_stack(va) {
        let objects = k.state::<OnStacks>();
        let mut objects = objects.borrow_mut();
        if !objects.0.contains(&va) {
            objects.0.push(va);
        }
    }
}

/// Looks for objects in use on the current stack, below the stack pointer: in the frame of a function that has returned.
///
/// # Errors
/// When there is one.
pub(crate) fn check_frames(k: &Kernel) -> Outcome<()> {
    let objects = k.state::<OnStacks>();
    if objects.borrow().0.is_empty() {
        return Ok(());
    }
    let current = k.with_activity(|activity| (activity.stack, activity.stack_pointer()));
    let Some((stack, stack_pointer)) = current else {
        return Ok(());
    };
    let dead: Vec<Va> = {
        let mut objects = objects.borrow_mut();
        let all = objects.0.iter().copied();
        let (dead, live) = all.partition(|&va| stack.contains(va) && va < stack_pointer);
        objects.0 = live;
        dead
    };
    for object in dead {
        let (kind, what) = if timer::is_set(k, object) {
            (0, "timer at {} is set")
        } else if dpc::queued_within(k, object, 1).is_some() {
            (1, "DPC at {} is queued")
        } else {
            continue;
        };
        let what = what.replace("{}", &object.to_string());
        return Err(k.bugcheck(BugCheck::new(
            Code::TIMER_OR_DPC_INVALID,
            [kind, object.get(), stack.limit.get(), stack_pointer.get()],
            "object-in-dead-memory",
            format!("the {what}, but the function has returned whose local variable it is"),
        )));
    }
    Ok(())
}

/// Where the stack is in use whose part `va` is: from which address on; none when nothing runs on it any more.
fn live_part(k: &Kernel, va: Va) -> Option<Va> {
    let scheduler = k.scheduler().borrow();
    let on_processors = scheduler.processors.iter().flat_map(|processor| &processor.activities);
    let parked = scheduler.threads.iter().filter_map(|thread| match &thread.state {
        ThreadState::Ready(activity) | ThreadState::Waiting(activity, _) => Some(&**activity),
        ThreadState::Running | ThreadState::Terminated => None,
    });
    let on_it = on_processors
        .chain(parked)
        .filter(|activity| activity.stack.contains(va));
    on_it.map(Activity::stack_pointer).min()
}

/// Checks that an object which `routine` was given does not lie in the frame of a function that has returned.
///
/// # Errors
/// When it does.
pub(crate) fn check_live_stack(k: &Kernel, object: Va, routine: &str) -> Outcome<()> {
    if !is_stack(object) || matches!(k.activity(), Some(ActivityKind::Interrupt { .. })) {
        return Ok(());
    }
    if live_part(k, object).is_some_and(|live| object >= live) {
        return Ok(());
    }
    let parameters = [VerifierRule::OBJECT_IN_USE.subcode, object.get(), 0, 0];
    let message = format!(
        "{routine} was given the object at {object} on a kernel stack, but the function has returned whose local variable it was"
    );
    Err(k.bugcheck(violation(parameters, "object-in-dead-memory", message)))
}
