//! What drivers ask of their own stacks: `RtlLookupFunctionEntry`, `RtlVirtualUnwind`, `RtlCaptureContext`, `RtlRestoreContext`.

use super::{
    dispatch::not_through,
    layout::{self, MachineState},
    place::{self, Beyond, Place},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
    sched::Frame,
};

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("RtlLookupFunctionEntry", 3, Contract::ANY, |k, a| {
        let Some(located) = place::locate(k, a.va(0)) else {
            return Ok(Va::NULL);
        };
        k.write(a.va(1), located.base)?;
        Ok(located.base + u64::from(located.function.entry))
    });
    ddi.function("RtlVirtualUnwind", 8, Contract::ANY, virtual_unwind);
    ddi.function("RtlCaptureContext", 1, Contract::ANY, |k, a| {
        let frame = place::innermost(k);
        let place = frame.and_then(|frame| Place::of_frame(k, frame));
        let Some(place) = place else {
            return Ok(());
        };
        let state = MachineState {
            registers: place.registers,
            flags: flags_of(k, place.frame),
        };
        layout::write_context(k, a.va(0), &state)
    });
    ddi.flow("RtlRestoreContext", 2, Contract::ANY, |k, a: Args| async move {
        let state = layout::read_context(&k, a.va(0))?;
        let frame = owner_of(&k, Va(state.registers.rsp()))?;
        k.restore(frame, &state).await
    });
}

fn flags_of(k: &Kernel, frame: usize) -> u32 {
    let flags = k.with_activity(|activity| match activity.frames.get(frame) {
        Some(Frame::Guest(guest)) => guest.registers.flags(),
        _ => 0,
    });
    (flags.unwrap_or(0) & 0xFFFF_FFFF) as u32
}

/// The guest frame whose part of the stack holds `stack_pointer`.
fn owner_of(k: &Kernel, stack_pointer: Va) -> Outcome<usize> {
    let mut at = place::innermost(k);
    while let Some(frame) = at {
        let end = k.with_activity(|activity| match activity.frames.get(frame) {
            Some(Frame::Guest(guest)) => guest.return_stack_pointer,
            _ => Va::NULL,
        });
        if end.is_some_and(|end| stack_pointer <= end) {
            return Ok(frame);
        }
        let Some(place) = Place::inside(k, frame) else {
            break;
        };
        at = match place.beyond(k) {
            Beyond::Guest(place) | Beyond::Nested(place) | Beyond::Collided { place, .. } => Some(place.frame),
            Beyond::Routine(routine, Some(_)) => return Err(not_through(k, routine)),
            Beyond::Routine(_, None) | Beyond::End => None,
        };
    }
    Err(k.bugcheck(super::dispatch::double_fault(
        k,
        &format!("RtlRestoreContext was to go on with rsp {stack_pointer}"),
    )))
}

/// `RtlVirtualUnwind(HandlerType, ImageBase, ControlPc, FunctionEntry, ContextRecord, HandlerData, EstablisherFrame, ContextPointers)`.
fn virtual_unwind(k: &Kernel, a: &Args) -> Outcome<Va> {
    const EXCEPTION_HANDLER: u32 = 1;
    const UNWIND_HANDLER: u32 = 2;
    let (kind, base, control_pc, context) = (a.u32(0), a.va(1), a.va(2), a.va(4));
    let (handler_data, establisher) = (a.va(5), a.va(6));
    let mut state = layout::read_context(k, context)?;
    let located = place::locate(k, control_pc).filter(|located| located.base == base);
    let mut place = Place {
        frame: 0,
        registers: state.registers,
    };
    let Some(undone) = place.unwind(k, located.as_ref()) else {
        return Err(crate::exception::raise_status(
            k,
            "RtlVirtualUnwind",
            crate::status::NtStatus::BAD_STACK,
        ));
    };
    state.registers = place.registers;
    layout::write_context(k, context, &state)?;
    let Some(frame) = undone else {
        return Ok(Va::NULL);
    };
    k.write(establisher, frame.establisher)?;
    let wanted = frame.handler.filter(|handler| {
        (handler.exception && kind & EXCEPTION_HANDLER != 0) || (handler.unwind && kind & UNWIND_HANDLER != 0)
    });
    let Some(handler) = wanted else {
        return Ok(Va::NULL);
    };
    k.write(handler_data, base + u64::from(handler.data))?;
    Ok(base + u64::from(handler.routine))
}
