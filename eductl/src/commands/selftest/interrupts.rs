//! Checks of `RaiseInterrupt` and `WaitInterrupt`.

use edu::ioctl::{RaiseInput, RaiseInterrupt, WaitInput, WaitInterrupt, WaitOutput};

use super::fault::Fault;
use crate::commands::{abandon, wait};
use crate::request::{RequestError, call, submit};
use crate::status::Condition;
use crate::transport::Transport;

/// A wait for what never comes ends by being cancelled, and not before.
pub(super) fn cancelled_wait(transport: &mut dyn Transport) -> Result<(), Fault> {
    let input = WaitInput {
        mask: RaiseInput::NEVER_RAISED.bits(),
    };
    let pending = submit::<WaitInterrupt>(transport, &input).map_err(Fault::of("wait"))?;
    pending.cancel(transport);
    match pending.wait(transport) {
        Err(RequestError::Device(error)) if error.condition() == Some(Condition::Cancelled) => Ok(()),
        Err(error) => Err(Fault::of("wait")(error)),
        Ok(WaitOutput { causes, .. }) => Err(Fault::Unexpected(format!(
            "{causes:#010x} arrived in a wait for {:#010x}",
            input.mask
        ))),
    }
}

/// One cause, several, all; and masks that are wider and narrower than what is raised. The device's own causes are in none of them: a
/// factorial that somebody has given up may still finish.
pub(super) fn round_trips(transport: &mut dyn Transport) -> Result<(), Fault> {
    let all = RaiseInput::RAISABLE.bits();
    let mut last = None;
    for (causes, mask) in [(0x10, 0x10), (0x6, 0xE), (0x4000_0030, 0x20), (all, all)] {
        let arrival = round_trip(causes, &[mask], transport)?.pop();
        let sequence = arrival.map(|arrival| arrival.sequence);
        if sequence <= last {
            return Err(Fault::Unexpected(format!(
                "the interrupts' numbers do not grow: {sequence:?} after {last:?}"
            )));
        }
        last = sequence;
    }
    Ok(())
}

pub(super) fn several_waits(transport: &mut dyn Transport) -> Result<(), Fault> {
    let arrivals = round_trip(0x30, &[0x10, 0x20, 0x30], transport)?;
    if arrivals.windows(2).any(|pair| pair[0].sequence != pair[1].sequence) {
        return Err(Fault::Unexpected(
            "the waits were told of different interrupts".to_owned(),
        ));
    }
    Ok(())
}

/// Raises `causes` while a wait for each of `masks` pends; returns what these are answered.
///
/// A driver that loses the wait's wake-up keeps this waiting until the user ends it.
pub(super) fn round_trip(causes: u32, masks: &[u32], transport: &mut dyn Transport) -> Result<Vec<WaitOutput>, Fault> {
    let mut pending = Vec::with_capacity(masks.len());
    for &mask in masks {
        let input = WaitInput { mask };
        match submit::<WaitInterrupt>(transport, &input) {
            Ok(wait) => pending.push((input, wait)),
            Err(error) => {
                abandon(pending.into_iter().map(|(_, wait)| wait), transport);
                return Err(Fault::of(format!("wait for {mask:#010x}"))(error));
            }
        }
    }
    if let Err(error) = call::<RaiseInterrupt>(transport, &RaiseInput { causes }) {
        abandon(pending.into_iter().map(|(_, wait)| wait), transport);
        return Err(Fault::of(format!("raise of {causes:#010x}"))(error));
    }
    // All are waited for, whatever becomes of the first.
    let answers: Vec<_> = pending
        .into_iter()
        .map(|(input, pending)| answer(causes, input, wait::finish(input, None, pending, transport)))
        .collect();
    answers.into_iter().collect()
}

fn answer(causes: u32, input: WaitInput, arrival: Result<WaitOutput, RequestError>) -> Result<WaitOutput, Fault> {
    let WaitInput { mask } = input;
    let arrival = arrival.map_err(Fault::of(format!("wait for {mask:#010x}")))?;
    if arrival.causes == causes & mask {
        Ok(arrival)
    } else {
        Err(Fault::Unexpected(format!(
            "{causes:#010x} was raised, and a wait for {mask:#010x} was told {:#010x}",
            arrival.causes
        )))
    }
}
