//! The second phase: the stack is unwound to the frame that handles the exception. `RtlUnwindEx`, `RtlUnwind`, `_local_unwind`.

use std::{cell::RefCell, rc::Rc};

use super::{
    COLLIDED_UNWIND, EXIT_UNWIND, Exception, TARGET_UNWIND, UNWINDING,
    dispatch::{disposition, not_through},
    layout::{self, Block, HandledFrame, MachineState},
    place::{self, Beyond, Located, Machinery, Place},
    raise_status,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::{Args, Contract, Registry},
    image::UnwoundFrame,
    kernel::Kernel,
    mm::Va,
    sched::Frame,
    status::NtStatus,
    trace::Event,
};

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    for (name, arity) in [("RtlUnwindEx", 6), ("RtlUnwind", 4)] {
        ddi.flow(name, arity, Contract::ANY, |k, a: Args| async move {
            let target = Target {
                frame: a.va(0),
                ip: a.va(1),
                record: a.va(2),
                value: a.u64(3),
            };
            unwind(&k, target).await
        });
    }
    ddi.flow("_local_unwind", 2, Contract::ANY, |k, a: Args| async move {
        let target = Target {
            frame: a.va(0),
            ip: a.va(1),
            record: Va::NULL,
            value: 0,
        };
        unwind(&k, target).await
    });
}

/// Where the stack is unwound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Its establisher frame. Null: the whole stack.
    pub frame: Va,
    /// Where execution goes on.
    pub ip: Va,
    /// The `EXCEPTION_RECORD` to show to termination handlers, if there is one.
    pub record: Va,
    /// What rax is then.
    pub value: u64,
}

/// Calls the termination handlers of the frames up to the target, and goes on there. Returns only when the machine has stopped.
///
/// # Errors
/// When the target is not there.
pub(super) async fn unwind(k: &Kernel, target: Target) -> Outcome<u64> {
    let block = Block::at(place::reserve_stack(k, Block::SIZE)?);
    let mut unwinding = Unwinding {
        record: own_record(k, &block, target)?,
        block,
        target,
        flags: UNWINDING | if target.frame.is_null() { EXIT_UNWIND } else { 0 },
        scope_index: 0,
    };
    let Some(mut place) = place::innermost(k).and_then(|frame| Place::of_frame(k, frame)) else {
        return Err(unwinding.lost(k));
    };
    loop {
        if place.at_end() {
            place = unwinding.cross(k, &place)?;
            continue;
        }
        let before = place;
        let located = place::locate(k, place.pc());
        let Some(undone) = place.unwind(k, located.as_ref()) else {
            return Err(unwinding.lost(k));
        };
        let (Some(located), Some(frame)) = (located, undone) else {
            continue;
        };
        if unwinding.leave(k, &before, &located, &frame).await? {
            return arrive(k, &before, target).await;
        }
    }
}

/// The record that termination handlers are shown: the exception's, or one that says that this is an unwind.
fn own_record(k: &Kernel, block: &Block, target: Target) -> Outcome<Va> {
    if !target.record.is_null() {
        return Ok(target.record);
    }
    let unhandled = BugCheck::new(Code::KMODE_EXCEPTION_NOT_HANDLED, [0; 4], "unwind", "an unwind");
    let exception = Exception {
        address: k.caller(),
        code: NtStatus::UNWIND,
        ..Exception::behind(k, unhandled)
    };
    layout::write_record(k, block.record, &exception)?;
    Ok(block.record)
}

async fn arrive(k: &Kernel, place: &Place, target: Target) -> Outcome<u64> {
    let mut place = *place;
    k.trace(Event::Unwound { target: target.ip });
    place.registers.rip = target.ip.get();
    place.registers.general[0] = target.value;
    let flags = k
        .with_activity(|activity| match activity.frames.get(place.frame) {
            Some(Frame::Guest(guest)) => guest.registers.flags(),
            _ => 0,
        })
        .unwrap_or(0);
    let state = MachineState {
        registers: place.registers,
        flags: (flags & 0xFFFF_FFFF) as u32,
    };
    k.restore(place.frame, &state).await
}

struct Unwinding {
    block: Block,
    record: Va,
    target: Target,
    flags: u32,
    scope_index: u32,
}

impl Unwinding {
    /// There is no such target.
    fn lost(&self, k: &Kernel) -> crate::bugcheck::Halted {
        let target = self.target.frame;
        raise_status(
            k,
            &format!("RtlUnwindEx (no frame at {target} is on the stack)"),
            NtStatus::BAD_STACK,
        )
    }

    fn cross(&mut self, k: &Kernel, place: &Place) -> Outcome<Place> {
        match place.beyond(k) {
            Beyond::Guest(next) | Beyond::Nested(next) => Ok(next),
            Beyond::Collided { place, dispatcher } => {
                self.scope_index = k.read(dispatcher + ntlayout::dispatcher_context::SCOPE_INDEX)?;
                self.flags |= COLLIDED_UNWIND;
                Ok(place)
            }
            Beyond::Routine(routine, Some(_)) => Err(not_through(k, routine)),
            Beyond::Routine(_, None) | Beyond::End => Err(self.lost(k)),
        }
    }

    /// Lets the handler of the frame at `place` clean up. Says whether that frame is the target.
    async fn leave(&mut self, k: &Kernel, place: &Place, located: &Located, frame: &UnwoundFrame) -> Outcome<bool> {
        let establisher = Va(frame.establisher);
        let target = self.target.frame;
        if !place::in_stack(k, establisher) || (!target.is_null() && target < establisher) {
            return Err(self.lost(k));
        }
        let arrived = establisher == target;
        if let Some(handler) = frame.handler.filter(|handler| handler.unwind) {
            let handled = HandledFrame {
                control_pc: place.pc(),
                image_base: located.base,
                function: located.function,
                establisher,
                handler,
                target_ip: self.target.ip,
                scope_index: std::mem::take(&mut self.scope_index),
            };
            self.clean_up(k, place, &handled, arrived).await?;
        }
        self.flags &= !COLLIDED_UNWIND;
        Ok(arrived)
    }

    async fn clean_up(&self, k: &Kernel, place: &Place, handled: &HandledFrame, arrived: bool) -> Outcome<()> {
        let flags = self.flags | if arrived { TARGET_UNWIND } else { 0 };
        let earlier = layout::flags_of(k, self.record)?;
        layout::set_flags(k, self.record, earlier & super::NONCONTINUABLE | flags)?;
        let mut state = MachineState {
            registers: place.registers,
            flags: 0,
        };
        state.registers.general[0] = self.target.value;
        layout::write_context(k, self.block.frame_context, &state)?;
        layout::write_dispatcher(k, self.block.dispatcher, handled, self.block.frame_context)?;
        set_machinery(
            k,
            Machinery::Unwind {
                place: Rc::new(RefCell::new(*place)),
                dispatcher: self.block.dispatcher,
            },
        );
        let routine = handled.image_base + u64::from(handled.handler.routine);
        let arguments = [
            self.record,
            handled.establisher,
            self.block.frame_context,
            self.block.dispatcher,
        ]
        .map(Va::get);
        let answer = k
            .call(routine, &arguments)
            .label("termination handler")
            .may_change_irql()
            .await?;
        set_machinery(k, Machinery::Search);
        match (answer & 0xFFFF_FFFF) as u32 {
            disposition::CONTINUE_SEARCH => Ok(()),
            other => Err(raise_status(
                k,
                &format!("RtlUnwindEx (the handler at {routine} answered {other:#x})"),
                NtStatus::INVALID_DISPOSITION,
            )),
        }
    }
}

/// Says what the calling flow does at the moment.
pub(super) fn set_machinery(k: &Kernel, machinery: Machinery) {
    k.with_activity(|activity| {
        if let Some(Frame::Host(host)) = activity.frames.last_mut() {
            host.machinery = Some(machinery);
        }
    });
}
