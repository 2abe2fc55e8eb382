//! The checks, in the order in which they are made: what others rest on comes first.

use edu::ioctl::{Factorial, FactorialInput, LivenessInput, QueryInfo, QueryStatistics, Statistics};

use super::fault::Fault;
use super::{interrupts, refusals, transfers};
use crate::commands::{factorial, info, liveness};
use crate::device_buffer;
use crate::request::{call, submit};
use crate::transport::Transport;

/// Something that must hold.
pub(super) struct Check {
    /// What is seen of it.
    pub(super) name: &'static str,
    /// Makes it.
    pub(super) run: fn(&mut dyn Transport) -> Result<(), Fault>,
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "device and driver are the right ones",
        run: identity,
    },
    Check {
        name: "the device inverts every bit",
        run: inversion,
    },
    Check {
        name: "factorials of 0 to 33, all at once",
        run: factorials,
    },
    Check {
        name: "buffers of wrong lengths are refused",
        run: refusals::lengths,
    },
    Check {
        name: "values that make no sense are refused",
        run: refusals::values,
    },
    Check {
        name: "an unknown request is refused",
        run: refusals::unknown_request,
    },
    Check {
        name: "a wait can be cancelled",
        run: interrupts::cancelled_wait,
    },
    Check {
        name: "what is raised arrives",
        run: interrupts::round_trips,
    },
    Check {
        name: "one interrupt ends every wait for it",
        run: interrupts::several_waits,
    },
    Check {
        name: "what is written into the buffer is read back",
        run: transfers::buffer,
    },
    Check {
        name: "the buffer ends where it must",
        run: transfers::end_of_buffer,
    },
    Check {
        name: "data comes back from an echo",
        run: transfers::echoes,
    },
    Check {
        name: "echoes of wrong lengths are refused",
        run: transfers::refused_echoes,
    },
    Check {
        name: "the driver counts",
        run: statistics,
    },
];

fn identity(transport: &mut dyn Transport) -> Result<(), Fault> {
    let info = call::<QueryInfo>(transport, &()).map_err(Fault::of("info"))?;
    let problems = info::problems(&info);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Fault::Unexpected(problems.join("; ")))
    }
}

/// With 0 the right answer is all ones, which is also what a device that is gone reads.
fn inversion(transport: &mut dyn Transport) -> Result<(), Fault> {
    for value in [0x5AA5_C33C, 0, u32::MAX, 1, 0x8000_0000] {
        liveness::check(LivenessInput { value }, transport).map_err(Fault::of(format!("{value:#010x}")))?;
    }
    Ok(())
}

/// Up to 33!, the last one that is not 0 modulo 2³².
fn factorials(transport: &mut dyn Transport) -> Result<(), Fault> {
    let submitted: Vec<_> = (0..=33)
        .map(|n| (n, submit::<Factorial>(transport, &FactorialInput { n })))
        .collect();
    // All are waited for, whatever becomes of the first.
    let results: Vec<_> = submitted
        .into_iter()
        .map(|(n, pending)| {
            pending
                .and_then(|pending| factorial::finish(n, pending, transport))
                .map_err(Fault::of(format!("{n}!")))
        })
        .collect();
    results.into_iter().try_for_each(|result| result.map(|_| ()))
}

/// A counter, and by how much it grows at least for one factorial, one round trip and one read.
type Growth = (&'static str, fn(&Statistics) -> u64, u64);

const GROWTH: &[Growth] = &[
    ("interrupts claimed", |counted| counted.interrupts_claimed, 3),
    ("factorials started", |counted| counted.factorials_started, 1),
    ("raise, completed", |counted| counted.raise.completed, 1),
    ("raise, DPCs run", |counted| counted.raise.dpcs_run, 1),
    ("compute, completed", |counted| counted.compute.completed, 1),
    ("compute, DPCs run", |counted| counted.compute.dpcs_run, 1),
    ("transfer, completed", |counted| counted.transfer.completed, 1),
    ("transfer, DPCs run", |counted| counted.transfer.dpcs_run, 1),
    ("doorbell, completed", |counted| counted.doorbell.completed, 1),
    ("doorbell, DPCs run", |counted| counted.doorbell.dpcs_run, 1),
];

/// The counters are left as they are: somebody may be watching them.
fn statistics(transport: &mut dyn Transport) -> Result<(), Fault> {
    let before = call::<QueryStatistics>(transport, &()).map_err(Fault::of("statistics"))?;
    submit::<Factorial>(transport, &FactorialInput { n: 5 })
        .and_then(|pending| factorial::finish(5, pending, transport))
        .map_err(Fault::of("5!"))?;
    interrupts::round_trip(0x10, &[0x10], transport)?;
    device_buffer::read(transport, 0, 1).map_err(Fault::of("read"))?;
    let after = call::<QueryStatistics>(transport, &()).map_err(Fault::of("statistics"))?;

    for (name, counter, least) in GROWTH {
        let (before, after) = (counter(&before), counter(&after));
        let growth = after.wrapping_sub(before);
        if growth < *least {
            return Err(Fault::Unexpected(format!(
                "{name}: {after} after {before}, expected at least {least} more"
            )));
        }
    }
    Ok(())
}
