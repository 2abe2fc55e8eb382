//! A walk over the frames of guest code on an activity's stack, across the routines of the kernel between them.

use std::{cell::RefCell, rc::Rc};

use crate::{
    bugcheck::Outcome,
    image::{FrameRegisters, Image, RuntimeFunction, UnwoundFrame},
    kernel::Kernel,
    mm::{Va, layout},
    sched::{Activity, Frame},
};

/// A place on the stack: the registers that the code there has, or will have once what it called returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Which frame of the activity.
    pub frame: usize,
    pub registers: FrameRegisters,
}

/// What a routine of the kernel on the stack does, when it is a part of exception handling.
#[derive(Clone, Debug)]
pub(crate) enum Machinery {
    /// It searches a handler; the exception was raised in the frame below.
    Search,
    /// It calls termination handlers for an unwind further out.
    CleanUp,
    /// It unwinds: a handler of the frame at `place` runs, with the `DISPATCHER_CONTEXT` at `dispatcher`.
    Unwind { place: Rc<RefCell<Place>>, dispatcher: Va },
}

/// What lies beyond the outermost function that the machine has called.
#[derive(Debug)]
pub(super) enum Beyond {
    /// Guest code, directly or across routines that an exception passes through.
    Guest(Place),
    /// The same, across a search: an exception raised now is nested.
    Nested(Place),
    /// A frame that another unwind is at.
    Collided { place: Place, dispatcher: Va },
    /// A kernel routine that an exception does not pass through here, and the guest code beyond it, if any.
    Routine(&'static str, Option<Place>),
    /// Nothing.
    End,
}

/// A function in an image.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub base: Va,
    pub image: Rc<Image>,
    pub function: RuntimeFunction,
    pub rva: u32,
}

/// The image that holds `pc`.
pub(super) fn image_at(k: &Kernel, pc: Va) -> Option<(Va, Rc<Image>)> {
    let code = k.watch().code.borrow();
    let code = code.at(pc).filter(|code| !code.unloaded)?;
    Some((code.base, code.image.clone()))
}

/// The function that holds `pc`, when it is one with unwind information.
pub(super) fn locate(k: &Kernel, pc: Va) -> Option<Located> {
    let (base, image) = image_at(k, pc)?;
    let rva = u32::try_from(pc - base).ok()?;
    let function = image.runtime_function(rva)?;
    Some(Located {
        base,
        image,
        function,
        rva,
    })
}

impl Place {
    /// Where guest frame `frame` of the current activity is. When it has called a kernel routine, that is its return address.
    pub(super) fn of_frame(k: &Kernel, frame: usize) -> Option<Self> {
        let mut place = Self::inside(k, frame)?;
        let (exports, length) = k.watch().exports.get();
        let pc = Va(place.registers.rip);
        if pc - exports < length && pc != layout::EXPORTS {
            place.registers.unwind_leaf(&mut |va| k.peek(Va(va)))?;
        }
        Some(place)
    }

    /// Where guest frame `frame` of the current activity is, be it at the entry of a kernel routine.
    pub(super) fn inside(k: &Kernel, frame: usize) -> Option<Self> {
        let registers = k
            .with_activity(|activity| match activity.frames.get(frame) {
                Some(Frame::Guest(guest)) => {
                    let vector = k.engine().borrow_mut().vector_registers(&guest.registers);
                    Some(FrameRegisters {
                        rip: guest.registers.program_counter().get(),
                        general: guest.registers.general(),
                        vector,
                    })
                }
                _ => None,
            })
            .flatten()?;
        Some(Self { frame, registers })
    }

    pub(super) fn pc(&self) -> Va {
        Va(self.registers.rip)
    }

    /// Whether control is beyond the outermost function of this guest frame.
    pub(super) fn at_end(&self) -> bool {
        self.pc() == layout::EXPORTS
    }

    /// Goes to the caller. What it tells of the frame that is left; none for a leaf function's.
    ///
    /// None at all when the stack cannot be unwound.
    #[expect(clippy::option_option, reason = "what cannot be unwound is not what has no frame")]
    pub(super) fn unwind(&mut self, k: &Kernel, located: Option<&Located>) -> Option<Option<UnwoundFrame>> {
        let mut read = |va: u64| k.peek(Va(va));
        if let Some(located) = located {
            let image = &located.image;
            return image
                .virtual_unwind(located.function, located.rva, &mut self.registers, &mut read)
                .map(Some);
        }
        let before = self.registers;
        self.registers.unwind_leaf(&mut read)?;
        // A return address that is the function itself leads nowhere.
        (self.registers.rip != before.rip || self.registers.rsp() != before.rsp()).then_some(None)
    }

    /// What lies beyond this guest frame.
    pub(super) fn beyond(&self, k: &Kernel) -> Beyond {
        let below = |activity: &mut Activity| {
            let mut machinery = None;
            let mut routine = None;
            for (index, frame) in activity.frames[..self.frame].iter().enumerate().rev() {
                match frame {
                    Frame::Guest(_) => return (Some(index), machinery, routine),
                    Frame::Host(host) => {
                        if let (Some(Machinery::Unwind { .. }), None) = (&host.machinery, routine) {
                            return (None, host.machinery.clone(), None);
                        }
                        if host.machinery.is_some() {
                            machinery = machinery.or_else(|| host.machinery.clone());
                        } else {
                            routine = routine.or(Some(host.name));
                        }
                    }
                }
            }
            (None, None, routine)
        };
        let Some((guest, machinery, routine)) = k.with_activity(below) else {
            return Beyond::End;
        };
        if let (Some(Machinery::Unwind { place, dispatcher }), None) = (&machinery, routine) {
            return Beyond::Collided {
                place: *place.borrow(),
                dispatcher: *dispatcher,
            };
        }
        let place = guest.and_then(|index| Self::of_frame(k, index));
        match (routine, place, machinery) {
            (Some(routine), place, _) => Beyond::Routine(routine, place),
            (None, Some(place), Some(Machinery::Search)) => Beyond::Nested(place),
            (None, Some(place), _) => Beyond::Guest(place),
            (None, None, _) => Beyond::End,
        }
    }
}

/// Whether `frame` can be an establisher frame of the current activity.
pub(super) fn in_stack(k: &Kernel, frame: Va) -> bool {
    frame.get().is_multiple_of(8)
        && k.with_activity(|activity| activity.stack.contains(frame))
            .unwrap_or(false)
}

/// The innermost guest frame of the current activity.
pub(super) fn innermost(k: &Kernel) -> Option<usize> {
    k.with_activity(|activity| {
        activity
            .frames
            .iter()
            .rposition(|frame| matches!(frame, Frame::Guest(_)))
    })
    .flatten()
}

/// Takes `bytes` of stack below everything in use, for as long as the calling flow lives: guest code that it calls goes below them.
pub(super) fn reserve_stack(k: &Kernel, bytes: u64) -> Outcome<Va> {
    let reserved = k.with_activity(|activity| {
        let start = Va((activity.stack_pointer().get().wrapping_sub(bytes)) & !0xF);
        let there = activity.stack.contains(start);
        if let (true, Some(Frame::Host(host))) = (there, activity.frames.last_mut()) {
            host.reserved = Some(start);
        }
        there.then_some(start)
    });
    match reserved.flatten() {
        Some(start) => Ok(start),
        None => Err(k.bugcheck(super::dispatch::double_fault(k, "a handler was to be called"))),
    }
}
