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

    /// Two reads: what is the result, and is the device there and finished. With the write that starts it and the two accesses of the ISR a factorial
    /// costs 5 register accesses; 7, if what the result read as may be the n of a computation that has ended between the two.
    fn answer(registers: &Registers, FactorialInput { n }: FactorialInput) -> Option<u32> {
        let result = read_result(registers)?;
        // While the device computes the result reads as n, and it may have finished just afterwards. 1! and 2! are n.
        if result == n && !matches!(n, 1 | 2) {
            return read_result(registers);
        }
        Some(result)
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

/// What the result reads as, if the device is finished afterwards. If it is gone by then, the result may have been read where nobody answers.
fn read_result(registers: &Registers) -> Option<u32> {
    let result = registers.factorial();
    (registers.factorial_activity() == Activity::Idle).then_some(result)
}
