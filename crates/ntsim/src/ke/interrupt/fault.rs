//! What is wrong with interrupts that never end, or that nobody serves.

use super::{Interrupt, Source};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code},
    bus::PciFunction,
    kernel::Kernel,
};

/// A source that has interrupted `in_a_row` times without a pause.
pub(super) fn storm(k: &Kernel, first: &Interrupt, chained: bool, in_a_row: u32, claimed: bool) -> BugCheck {
    let source = first.source;
    let raiser = match source {
        Source::Line(line) => asserted_by(k, line),
        Source::Message(vector) => sender(k, vector),
    };
    let answer = if claimed { "claimed" } else { "not claimed" };
    line_fault(
        first,
        chained,
        "interrupt-storm",
        format!(
            "interrupt {source} has interrupted {in_a_row} times in a row without going quiet, and was {answer} the last time; \
             it comes from {raiser}"
        ),
    )
}

/// A line that a device asserts after the last service routine was disconnected from it, `latest` being that.
pub(super) fn unserved_line(k: &Kernel, line: u32, latest: &Interrupt) -> BugCheck {
    let message = format!(
        "interrupt line {line} is asserted by {} after the driver disconnected from it: the device was not quieted",
        asserted_by(k, line)
    );
    line_fault(latest, false, "interrupt-after-disconnect", message)
}

/// A message whose vector nobody is connected to.
pub(super) fn unserved_message(k: &Kernel, vector: u32) -> BugCheck {
    BugCheck::new(
        Code::TRAP_CAUSE_UNKNOWN,
        [vector.into(), 0, 0, 0],
        "message-without-service-routine",
        format!(
            "an interrupt message came with vector {vector:#x}, which nobody is connected to: {} sent it before the driver connected, or \
             was not quieted before it disconnected",
            sender(k, vector)
        ),
    )
}

fn line_fault(interrupt: &Interrupt, chained: bool, rule: &'static str, message: String) -> BugCheck {
    let chained = if chained { 2 } else { 1 };
    BugCheck::new(
        Code::HARDWARE_INTERRUPT_STORM,
        [
            interrupt.routine.address().get(),
            interrupt.context.get(),
            interrupt.object.get(),
            chained,
        ],
        rule,
        message,
    )
}

fn asserted_by(k: &Kernel, line: u32) -> String {
    let bus = k.bus().borrow();
    let devices: Vec<String> = bus.asserting(line).map(describe).collect();
    if devices.is_empty() {
        return "no device any more".to_owned();
    }
    devices.join(" and ")
}

fn sender(k: &Kernel, vector: u32) -> String {
    let bus = k.bus().borrow();
    bus.owner_of_message(vector)
        .map_or_else(|| "no device".to_owned(), describe)
}

fn describe(function: &PciFunction) -> String {
    format!("{} (device {})", function.name(), function.slot().0)
}
