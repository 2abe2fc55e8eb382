//! The factorial engine: a request is one piece of work. IRQL: at most DISPATCH.

use core::ops::ControlFlow;

use edu::{
    engine::Activity,
    ioctl::{FactorialInput, FactorialOutput},
};
use wdm::{Irp, Result};

use super::{custom_dpc::ComputeDpc, watchdog::ComputeWatchdog};
use crate::{device::EduDevice, registers::Registers, serial_queue::DeviceEngine};

/// The part of the device that computes.
pub enum FactorialEngine {}

impl DeviceEngine for FactorialEngine {
    type Dpc = ComputeDpc;
    type WatchdogDpc = ComputeWatchdog;
    type Piece = FactorialInput;
    type Answer = u32;

    fn prepare(_device: &EduDevice, irp: &mut Irp<'_>, _resumed: u64) -> ControlFlow<Result<()>, FactorialInput> {
        match irp.read_input() {
            Ok(input) => ControlFlow::Continue(input),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }

    fn start(device: &EduDevice, registers: &Registers, FactorialInput { n }: FactorialInput) -> bool {
        registers.start_factorial(n);
        device.counters.factorials_started.count();
        true
    }

    fn activity(registers: &Registers) -> Activity {
        registers.factorial_activity()
    }

    /// Two reads: is it computing, and what is the result. With the write that starts it and the two accesses of the ISR a factorial costs 5 register
    /// accesses. From 34! on the result is 0, as of a device that is gone, and a sixth tells one from the other.
    fn answer(registers: &Registers) -> Option<u32> {
        match registers.factorial_activity() {
            Activity::Idle => registers.factorial().ok(),
            Activity::Busy | Activity::Gone => None,
        }
    }

    fn settle(
        _device: &EduDevice,
        irp: &mut Irp<'_>,
        _piece: FactorialInput,
        result: u32,
        _resumed: u64,
    ) -> ControlFlow<Result<()>> {
        ControlFlow::Break(irp.write_output(&FactorialOutput { result }))
    }
}
