//! The interrupt service routine. IRQL: the device's (DIRQL), under the interrupt spin lock.

use edu::{registers::InterruptStatus, stamp::InterruptStamp};
use wdm::{Claim, InterruptService, Irql, interrupt_time, irql::Dirql, performance_time};

use crate::device::EduDevice;

/// The device's interrupt.
pub enum EduIsr {}

/// What only the ISR sees.
pub struct IsrState {
    /// The device is in D0 and its interrupts are wanted. The line is shared: when they are not, the registers are not even looked at.
    pub enabled: bool,
}

impl InterruptService for EduIsr {
    type Device = EduDevice;
    type State = IsrState;

    /// One read, or two; if the interrupt is the device's, one write, a note of what came, and the DPCs that have something to do with it. They look
    /// at the note, or at the device, so nothing is lost when one is queued already. What they are handed over is when the interrupt came: of
    /// several, the first counts.
    ///
    /// Where nobody answers any more there is no cause. To claim the interrupt then would be to claim it again for ever: the line stays as it is.
    fn service(device: &EduDevice, state: &mut IsrState, irql: &mut Irql<Dirql>) -> Claim {
        if !state.enabled {
            return Claim::NotOurs;
        }
        let causes = device.registers.with(|registers| {
            let causes = registers.interrupt_status();
            if !causes.is_empty() {
                registers.acknowledge(causes);
            }
            causes
        });
        match causes {
            Some(causes) if !causes.is_empty() => {
                device.counters.interrupts_claimed.count();
                device.arrivals.note(causes, interrupt_time());
                let stamp = InterruptStamp::at(performance_time());
                if causes.contains(InterruptStatus::FACTORIAL) {
                    device.compute.queue_dpc(stamp);
                }
                if causes.contains(InterruptStatus::DMA) {
                    device.transfer.queue_dpc(stamp);
                }
                if causes.intersects(InterruptStatus::RAISED_BY_SOFTWARE) {
                    device.raise.request_dpc(stamp, irql);
                }
                device.doorbell.queue_dpc(stamp);
                Claim::Claimed
            }
            _ => {
                device.counters.interrupts_not_ours.count();
                Claim::NotOurs
            }
        }
    }
}
