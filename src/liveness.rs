//! Liveness checks: answered at once, unless the device is stopped or asleep. IRQL: at most DISPATCH.

use edu::ioctl::{LivenessInput, LivenessOutput};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, DeviceInit, Disposed, Error, FileObject, Irp, Irql, Result, SpinLock,
    irql::{NoLockHeld, Passive},
};

use crate::device::EduDevice;

/// The liveness checks that wait for the device to run again.
#[pin_data]
pub struct LivenessQueue {
    #[pin]
    waiting: CancelSafeQueue,
    /// Kept over the two accesses of a check, so that no caller reads the answer to another.
    state: SpinLock<State>,
}

struct State {
    /// The registers must not be touched.
    held: bool,
}

impl LivenessQueue {
    /// An empty queue, held.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            waiting <- CancelSafeQueue::new(device),
            state: SpinLock::new(State { held: true }),
        }? Error)
    }

    /// Answers a check, or lets it wait while the queue is held.
    pub fn submit<'i, L: NoLockHeld>(&self, irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> Disposed<'i> {
        let disposed = self.answer(irp, device, irql);
        // It may wait since the moment before the queue was resumed.
        self.answer_waiting(device, irql);
        disposed
    }

    /// Touches no register from now on.
    pub fn hold(&self, irql: &mut Irql<Passive>) {
        self.state.with(irql, |_, state| state.held = true);
    }

    /// Answers what waits.
    pub fn resume(&self, device: &EduDevice, irql: &mut Irql<Passive>) {
        self.state.with(irql, |_, state| state.held = false);
        self.answer_waiting(device, irql);
    }

    /// Completes every check, those that still come included, with `error`: the device is gone.
    pub fn close(&self, error: Error, irql: &mut Irql<Passive>) {
        self.waiting.close(error, irql);
    }

    /// Cancels the checks that were made through `file`.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        self.waiting.cancel_all_of(file, irql);
    }

    /// One that finds the queue held again goes back into it.
    fn answer_waiting<L: NoLockHeld>(&self, device: &EduDevice, irql: &mut Irql<L>) {
        while !self.is_held(irql)
            && self
                .waiting
                .remove_next(irql, |irp, irql| self.answer(irp, device, irql))
        {}
    }

    fn is_held<L: NoLockHeld>(&self, irql: &mut Irql<L>) -> bool {
        self.state.with(irql, |_, state| state.held)
    }

    fn answer<'i, L: NoLockHeld>(&self, mut irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> Disposed<'i> {
        let LivenessInput { value } = match irp.read_input() {
            Ok(input) => input,
            Err(error) => return irp.complete(Err(error), irql),
        };
        let checked: Option<Result<u32>> = self.state.with(irql, |_, state| {
            if state.held {
                return None;
            }
            let answer = device.registers.with(|registers| registers.check_liveness(value));
            // Between `resume` and `hold` there are registers.
            Some(answer.unwrap_or(Err(Error::DEVICE_REMOVED)))
        });
        let Some(checked) = checked else {
            return self.waiting.insert(irp, irql);
        };
        let answered = checked.and_then(|answer| irp.write_output(&LivenessOutput { answer }));
        irp.complete(answered, irql)
    }
}
