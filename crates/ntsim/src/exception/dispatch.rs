//! The first phase: who handles the exception? Each frame's handler is asked, from the innermost one outwards.

use super::{
    Exception, NESTED_CALL, NONCONTINUABLE, STACK_INVALID,
    layout::{self, Block, HandledFrame, MachineState},
    place::{self, Beyond, Machinery, Place},
    raise_status,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    kernel::Kernel,
    mm::Va,
    report,
    sched::{Frame, HostFrame},
    status::NtStatus,
    trace::Event,
};

/// What the processor and the system's trap handler put on the stack before any handler is looked for.
const TRAP_FRAMES: u64 = 0x300;

/// `EXCEPTION_DISPOSITION`.
pub(super) mod disposition {
    pub(crate) const CONTINUE_EXECUTION: u32 = 0;
    pub(crate) const CONTINUE_SEARCH: u32 = 1;
    pub(crate) const NESTED_EXCEPTION: u32 = 2;
}

/// The processor cannot even put a trap frame on the stack.
pub(super) fn double_fault(k: &Kernel, what: &str) -> BugCheck {
    const DOUBLE_FAULT: u64 = 8;
    let (pointer, stack) = k
        .with_activity(|activity| (activity.stack_pointer(), activity.stack))
        .map_or((Va::NULL, None), |(pointer, stack)| (pointer, Some(stack)));
    let stack = stack.map_or_else(String::new, |stack| format!(" ({} to {})", stack.limit, stack.top));
    BugCheck::new(
        Code::UNEXPECTED_KERNEL_MODE_TRAP,
        [DOUBLE_FAULT, 0, 0, 0],
        "double-fault",
        format!("{what}, but the stack pointer {pointer} leaves no room in the kernel stack{stack}"),
    )
}

/// Dispatches an exception that was raised in this step.
///
/// # Errors
/// When nothing handles it: the machine has stopped.
pub(crate) fn dispatch(k: &Kernel, exception: Exception) -> Outcome<()> {
    // The routine that raised it is left: nothing of it runs any more.
    let abandoned = k.with_activity(|activity| match activity.frames.last() {
        Some(Frame::Host(_)) => activity.frames.pop(),
        _ => None,
    });
    drop(abandoned);
    let at = k
        .with_activity(|activity| match activity.frames.last() {
            Some(Frame::Guest(guest)) => Some((activity.frames.len() - 1, guest.registers.stack_pointer())),
            _ => None,
        })
        .flatten();
    let Some((frame, stack_pointer)) = at else {
        return Err(k.bugcheck_at(exception.unhandled, Some(exception.stack)));
    };
    k.trace(Event::ExceptionRaised {
        status: exception.code,
        address: exception.address,
    });
    if !place::in_stack(k, Va(stack_pointer.get().wrapping_sub(TRAP_FRAMES) & !7)) {
        let what = format!("an exception was raised at {} ({})", exception.address, exception.code);
        let bugcheck = double_fault(k, &what);
        return Err(k.bugcheck_at(bugcheck, Some(exception.stack)));
    }
    if !anyone_to_ask(k, frame) {
        return Err(k.bugcheck_at(exception.unhandled, Some(exception.stack)));
    }
    let flow = Box::pin(search(k.clone(), exception, frame));
    k.with_activity(|activity| {
        activity.frames.push(Frame::Host(HostFrame {
            machinery: Some(Machinery::Search),
            ..HostFrame::new("RtlDispatchException", flow)
        }));
    });
    Ok(())
}

/// Whether there is a frame with an exception handler.
fn anyone_to_ask(k: &Kernel, frame: usize) -> bool {
    let mut next = Place::of_frame(k, frame);
    while let Some(mut place) = next {
        if place.at_end() {
            next = match place.beyond(k) {
                Beyond::Guest(place) | Beyond::Nested(place) | Beyond::Collided { place, .. } => Some(place),
                Beyond::Routine(_, place) => place,
                Beyond::End => None,
            };
            continue;
        }
        let located = place::locate(k, place.pc());
        match place.unwind(k, located.as_ref()) {
            Some(Some(frame)) if !place::in_stack(k, Va(frame.establisher)) => return false,
            Some(Some(frame)) if frame.handler.is_some_and(|handler| handler.exception) => return true,
            Some(_) => next = Some(place),
            None => return false,
        }
    }
    false
}

/// `RtlDispatchException`.
async fn search(k: Kernel, exception: Exception, frame: usize) -> Outcome<u64> {
    let k = &k;
    let block = Block::at(place::reserve_stack(k, Block::SIZE)?);
    let raised_at = if exception.after_call {
        Place::of_frame(k, frame)
    } else {
        Place::inside(k, frame)
    };
    let (Some(raised_at), Some(start)) = (raised_at, Place::of_frame(k, frame)) else {
        return Err(k.bugcheck_at(exception.unhandled, Some(exception.stack)));
    };
    let flags = k
        .with_activity(|activity| match activity.frames.get(frame) {
            Some(Frame::Guest(guest)) => guest.registers.flags(),
            _ => 0,
        })
        .unwrap_or(0);
    let state = MachineState {
        registers: raised_at.registers,
        flags: (flags & 0xFFFF_FFFF) as u32,
    };
    layout::write_record(k, block.record, &exception)?;
    layout::write_context(k, block.context, &state)?;
    match ask_everyone(k, &block, &start).await? {
        Answer::Continue if layout::flags_of(k, block.record)? & NONCONTINUABLE != 0 => Err(raise_status(
            k,
            "RtlDispatchException (a filter answered EXCEPTION_CONTINUE_EXECUTION to an exception that cannot be continued)",
            NtStatus::NONCONTINUABLE_EXCEPTION,
        )),
        Answer::Continue => {
            let state = layout::read_context(k, block.context)?;
            k.trace(Event::ExceptionContinued {
                address: Va(state.registers.rip),
            });
            k.restore(frame, &state).await
        }
        Answer::Nobody => Err(k.bugcheck_at(exception.unhandled, Some(exception.stack))),
    }
}

enum Answer {
    /// Execution goes on with the `CONTEXT`.
    Continue,
    Nobody,
}

async fn ask_everyone(k: &Kernel, block: &Block, start: &Place) -> Outcome<Answer> {
    let mut place = *start;
    let mut scope_index = 0;
    let mut nested_until = None;
    let mut crossed: Option<&'static str> = None;
    loop {
        if place.at_end() {
            let flags = layout::flags_of(k, block.record)?;
            match place.beyond(k) {
                Beyond::Guest(next) => place = next,
                Beyond::Nested(next) => {
                    layout::set_flags(k, block.record, flags | NESTED_CALL)?;
                    nested_until = Some(next.registers.rsp());
                    place = next;
                }
                Beyond::Collided {
                    place: next,
                    dispatcher,
                } => {
                    scope_index = k.read(dispatcher + ntlayout::dispatcher_context::SCOPE_INDEX)?;
                    place = next;
                }
                Beyond::Routine(routine, Some(next)) => {
                    crossed = crossed.or(Some(routine));
                    place = next;
                }
                Beyond::Routine(_, None) | Beyond::End => return Ok(Answer::Nobody),
            }
            continue;
        }
        let control_pc = place.pc();
        let located = place::locate(k, control_pc);
        let Some(frame) = place.unwind(k, located.as_ref()) else {
            return Ok(Answer::Nobody);
        };
        let (Some(located), Some(frame)) = (located, frame) else {
            continue;
        };
        let establisher = Va(frame.establisher);
        if !place::in_stack(k, establisher) {
            let flags = layout::flags_of(k, block.record)?;
            layout::set_flags(k, block.record, flags | STACK_INVALID)?;
            return Ok(Answer::Nobody);
        }
        if let Some(handler) = frame.handler.filter(|handler| handler.exception) {
            if let Some(routine) = crossed {
                return Err(not_through(k, routine));
            }
            let handled = HandledFrame {
                control_pc,
                image_base: located.base,
                function: located.function,
                establisher,
                handler,
                target_ip: Va::NULL,
                scope_index: std::mem::take(&mut scope_index),
            };
            if ask(k, block, &handled, &place).await? {
                return Ok(Answer::Continue);
            }
        }
        if nested_until.is_some_and(|until| frame.establisher >= until) {
            nested_until = None;
            let flags = layout::flags_of(k, block.record)?;
            layout::set_flags(k, block.record, flags & !NESTED_CALL)?;
        }
    }
}

/// Asks the handler of one frame. Says whether execution goes on where the exception was raised.
async fn ask(k: &Kernel, block: &Block, handled: &HandledFrame, caller: &Place) -> Outcome<bool> {
    let caller = MachineState {
        registers: caller.registers,
        flags: 0,
    };
    layout::write_context(k, block.frame_context, &caller)?;
    layout::write_dispatcher(k, block.dispatcher, handled, block.frame_context)?;
    let arguments = [block.record, handled.establisher, block.context, block.dispatcher].map(Va::get);
    let routine = handled.image_base + u64::from(handled.handler.routine);
    let answer = k
        .call(routine, &arguments)
        .label("exception handler")
        .may_change_irql()
        .await?;
    match (answer & 0xFFFF_FFFF) as u32 {
        disposition::CONTINUE_EXECUTION => Ok(true),
        disposition::CONTINUE_SEARCH => Ok(false),
        disposition::NESTED_EXCEPTION => {
            let flags = layout::flags_of(k, block.record)?;
            layout::set_flags(k, block.record, flags | NESTED_CALL)?;
            Ok(false)
        }
        other => Err(raise_status(
            k,
            &format!("RtlDispatchException (the handler at {routine} answered {other:#x})"),
            NtStatus::INVALID_DISPOSITION,
        )),
    }
}

/// An exception would leave `routine`, whose state the model would lose.
pub(super) fn not_through(k: &Kernel, routine: &'static str) -> crate::bugcheck::Halted {
    let bugcheck = BugCheck::not_modelled(format!(
        "an exception leaves {routine}, which has called the code that raised it, for a handler of its caller, which is not modelled"
    ));
    k.bugcheck_at(bugcheck, Some(report::call_stack(k, false)))
}
