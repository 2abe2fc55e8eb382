//! What a driver's code costs: every instruction that it executes, with whose it is and what was held meanwhile.
//!
//! A profile is a list of slices. Within a slice guest code runs without a break on one processor: a call of a kernel routine, an access to a
//! device and a decision of the scheduler end it. What the driver called and accessed is in the trace, right behind the slice.

use crate::{
    cpu::Exit,
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::{ActivityKind, Frame},
};

/// Instructions of one routine that ran without a break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// How many events the trace had when the slice began. Those that the slice caused, calls and device accesses, come next.
    pub events_before: usize,
    /// The processor.
    pub processor: usize,
    /// In which activity.
    pub activity: ActivityKind,
    /// What the routine is that the model called, in the driver author's terms ("DPC", "StartIo").
    pub label: &'static str,
    /// Its address.
    pub routine: Va,
    /// The IRQL.
    pub irql: Irql,
    /// The spin locks that the activity held, in the order acquired. A service routine holds that of its interrupt.
    pub locks: Vec<Va>,
    /// The addresses of the instructions, in the order in which they ran.
    pub executed: Vec<Va>,
    /// Bytes of the stack below where the activity's first guest routine found it, at the deepest point of the slice.
    pub stack: u64,
    /// How many instructions the processor has executed since it was below `DISPATCH_LEVEL` last, those of the slice among them.
    pub raised: u64,
}

/// The slices noted so far.
#[derive(Debug, Default)]
struct Profile(Vec<Slice>);

impl Kernel {
    /// Notes every slice of guest code from now on.
    pub fn start_profile(&self) {
        *self.state::<Profile>().borrow_mut() = Profile::default();
        self.watch().steps.want(true);
    }

    /// Ends what [`start_profile`](Self::start_profile) began; the slices in the order in which they ran.
    #[must_use]
    pub fn end_profile(&self) -> Vec<Slice> {
        self.watch().steps.want(false);
        std::mem::take(&mut self.state::<Profile>().borrow_mut().0)
    }
}

/// A slice of guest code has run on `processor`, and ended for `exit`.
pub(crate) fn note_slice(k: &Kernel, processor: usize, exit: &Exit) {
    if !k.watch().steps.wanted() {
        return;
    }
    let (mut executed, lowest) = k.watch().steps.take();
    let events_before = k.recorded().records().len();
    let slice = {
        let scheduler = k.scheduler().borrow();
        let this = &scheduler.processors[processor];
        let activity = this.current().expect("it has executed a slice");
        let guests = activity.frames.iter().filter_map(|frame| match frame {
            Frame::Guest(guest) => Some(guest),
            Frame::Host(_) => None,
        });
        let (mut first, mut innermost) = (None, None);
        for guest in guests {
            first = first.or(Some(guest.return_stack_pointer));
            innermost = Some(guest);
        }
        let innermost = innermost.expect("it has executed guest code");
        if matches!(exit, Exit::System(_)) {
            executed.push(innermost.registers.program_counter());
        }
        let deepest = first
            .zip(lowest)
            .map(|(first, lowest)| first.get().saturating_sub(lowest.get()));
        Slice {
            events_before,
            processor,
            activity: activity.kind,
            label: innermost.label,
            routine: innermost.routine,
            irql: this.irql,
            locks: activity.locks.clone(),
            executed,
            stack: deepest.unwrap_or_default(),
            raised: this.raised.instructions(),
        }
    };
    k.state::<Profile>().borrow_mut().0.push(slice);
}

#[cfg(test)]
mod tests;
