//! Liveness checks: answered at once, unless the device is stopped or asleep. IRQL: at most DISPATCH.

use edu::ioctl::{LivenessInput, LivenessOutput};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, DeviceInit, Disposed, Error, FileObject, Irp, Irql, LockedQueue, Result,
    irql::{NoLockHeld, Passive},
};

use crate::device::EduDevice;

/// The liveness checks that wait for the device to run again. The queue's lock is kept over the two accesses of a check, so that no caller reads the answer to
/// another.
#[pin_data]
pub struct LivenessQueue {
    #[pin]
    waiting: CancelSafeQueue<State>,
}

/// Whether the registers may be touched.
pub struct State {
    held: bool,
}

impl State {
    /// The answer to `value`; `None` while the queue is held.
    fn check(&self, device: &EduDevice, value: u32) -> Option<Result<u32>> {
        if self.held {
            return None;
        }
        let answer = device.registers.with(|registers| registers.check_liveness(value));
        // Between `resume` and `hold` there are registers.
        Some(answer.unwrap_or(Err(Error::DEVICE_REMOVED)))
    }
}

impl LivenessQueue {
    /// An empty queue, held.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            waiting <- CancelSafeQueue::with_state(State { held: true }, device),
        }? Error)
    }

    /// Answers a check, or lets it wait while the queue is held.
    #[inline(never)]
    pub fn submit<'i, L: NoLockHeld>(&self, mut irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> Disposed<'i> {
        let LivenessInput { value } = match irp.read_input() {
            Ok(input) => input,
            Err(error) => return irp.complete(Err(error), irql),
        };
        let checked = self.waiting.with(irql, |queue, _irql| queue.state.check(device, value));
        match checked {
            Some(checked) => {
                let answered = checked.and_then(|answer| irp.write_output(&LivenessOutput { answer }));
                irp.complete(answered, irql)
            }
            // The queue may have been resumed since the check.
            None => self
                .waiting
                .insert_with(irp, irql, |queue, _irql| answer_waiting(queue, device)),
        }
    }

    /// Touches no register from now on.
    pub fn hold(&self, irql: &mut Irql<Passive>) {
        self.waiting.with(irql, |queue, _irql| queue.state.held = true);
    }

    /// Answers what waits.
    pub fn resume(&self, device: &EduDevice, irql: &mut Irql<Passive>) {
        self.waiting.with(irql, |queue, _irql| {
            queue.state.held = false;
            answer_waiting(queue, device);
        });
    }

    /// Completes every check, those that still come included, with `error`: the device is gone.
    pub fn close(&self, error: Error, irql: &mut Irql<Passive>) {
        self.waiting.close(error, irql);
    }

    /// Cancels the checks that were made through `file`.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        self.waiting.cancel_all_of(file, irql);
    }
}

/// Answers every check that waits, unless the queue is held.
fn answer_waiting(queue: &mut LockedQueue<'_, State>, device: &EduDevice) {
    queue.end_if(|irp, state| {
        let checked = match irp.read_input() {
            Ok(LivenessInput { value }) => state.check(device, value)?,
            Err(error) => Err(error),
        };
        Some(checked.and_then(|answer| irp.write_output(&LivenessOutput { answer })))
    });
}
