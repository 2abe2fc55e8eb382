//! Structured exceptions as compilers for x64 emit them: raised by the processor or by a routine, dispatched to the handlers that the
//! images' exception directories name, and unwound to the handler that takes them.
//!
//! The rules are those of "x64 exception handling" in Microsoft's C++ documentation. The dispatcher and the unwinder are the machine's;
//! filters, termination handlers and language-specific handlers are guest code, called on the stack below the exception.
//!
//! What is an exception: an access to an invalid address of a program's below `DISPATCH_LEVEL`, a division fault, a breakpoint, an
//! invalid instruction, and what `ExRaiseStatus` and its kin raise. An access to an invalid address of the system's is none: Windows
//! stops at once, whatever handlers there are.

mod dispatch;
mod gs_check;
mod layout;
mod lookup;
mod place;
mod raise;
mod specific_handler;
mod stack_probe;
mod unwind;

pub(crate) use dispatch::dispatch;
pub(crate) use layout::MachineState;
pub(crate) use place::Machinery;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted},
    ddi::Registry,
    kernel::Kernel,
    mm::Va,
    report::{self, StackEntry},
    sched::Frame,
    status::NtStatus,
};

/// `EXCEPTION_NONCONTINUABLE`: execution cannot go on where the exception was raised.
const NONCONTINUABLE: u32 = 0x01;
/// `EXCEPTION_UNWINDING`: the stack is being unwound.
const UNWINDING: u32 = 0x02;
/// `EXCEPTION_EXIT_UNWIND`: the whole stack is being unwound.
const EXIT_UNWIND: u32 = 0x04;
/// `EXCEPTION_STACK_INVALID`: the frames do not lie in the stack.
const STACK_INVALID: u32 = 0x08;
/// `EXCEPTION_NESTED_CALL`: the exception was raised while another one was being dispatched.
const NESTED_CALL: u32 = 0x10;
/// `EXCEPTION_TARGET_UNWIND`: the frame is the one that the stack is unwound to.
const TARGET_UNWIND: u32 = 0x20;
/// `EXCEPTION_COLLIDED_UNWIND`: an unwind has met another one that is under way.
const COLLIDED_UNWIND: u32 = 0x40;

/// The most parameters that an exception has: `EXCEPTION_MAXIMUM_PARAMETERS`.
const MAXIMUM_PARAMETERS: usize = 15;

/// An exception that was raised and not dispatched yet.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub code: NtStatus,
    pub flags: u32,
    pub address: Va,
    pub parameters: Vec<u64>,
    /// The record in guest memory that it was raised with, if there is one.
    pub record: Option<Va>,
    /// Execution goes on after the call of the routine that raised it, rather than where the registers are.
    pub after_call: bool,
    /// The bug check that it is when nothing handles it.
    pub unhandled: BugCheck,
    /// The stack at the time.
    pub stack: Vec<StackEntry>,
}

impl Exception {
    /// The exception behind `unhandled`, a `KMODE_EXCEPTION_NOT_HANDLED`: its parameters are the exception's code, address and first
    /// two parameters.
    fn behind(k: &Kernel, unhandled: BugCheck) -> Self {
        let [code, address, first, second] = unhandled.parameters;
        let code = NtStatus((code & 0xFFFF_FFFF) as u32);
        let parameters = match code {
            NtStatus::ACCESS_VIOLATION if unhandled.rule != RAISED => vec![first, second],
            NtStatus::BREAKPOINT => vec![0],
            _ => Vec::new(),
        };
        Self {
            code,
            flags: 0,
            address: Va(address),
            parameters,
            record: None,
            after_call: false,
            unhandled,
            stack: report::call_stack(k, true),
        }
    }
}

/// The rule of an exception that a routine has raised and nothing handles.
const RAISED: &str = "unhandled-exception";

/// A fault that the model's code or the processor met. One that Windows dispatches to the handlers of the driver is raised: the
/// caller returns, and the exception is dispatched on behalf of the guest code below. Any other stops the machine.
#[must_use = "whoever raised it must return"]
pub(crate) fn fault(k: &Kernel, bugcheck: BugCheck) -> Halted {
    if bugcheck.code != Code::KMODE_EXCEPTION_NOT_HANDLED || k.running().is_err() || !guest_below(k) {
        return k.bugcheck(bugcheck);
    }
    let exception = Exception::behind(k, bugcheck);
    raise(k, exception)
}

/// `routine`, which the guest has called, raises `status`, as by `ExRaiseStatus`: its caller may handle it.
#[must_use = "whoever raised it must return"]
pub(crate) fn raise_status(k: &Kernel, routine: &str, status: NtStatus) -> Halted {
    raise_with(k, status, format!("{routine} raised {status}, and nothing handles it"))
}

/// A routine that the guest has called raises `status`. `message` is that of the bug check that it is when nothing handles it.
#[must_use = "whoever raised it must return"]
pub(crate) fn raise_with(k: &Kernel, status: NtStatus, message: String) -> Halted {
    let caller = k.caller();
    let unhandled = BugCheck::new(
        Code::KMODE_EXCEPTION_NOT_HANDLED,
        [status.0.into(), caller.get(), 0, 0],
        RAISED,
        message,
    );
    if k.running().is_err() || !guest_below(k) {
        return k.bugcheck(unhandled);
    }
    let mut exception = Exception::behind(k, unhandled);
    exception.flags = NONCONTINUABLE;
    exception.after_call = true;
    raise(k, exception)
}

fn raise(k: &Kernel, exception: Exception) -> Halted {
    k.raised().borrow_mut().get_or_insert_with(|| Box::new(exception));
    Halted
}

/// Whether there is guest code that an exception raised now would be dispatched for: the innermost frame, or the caller of the routine
/// that it is.
fn guest_below(k: &Kernel) -> bool {
    k.with_activity(|activity| {
        let mut innermost = activity.frames.iter().rev();
        match innermost.next() {
            Some(Frame::Guest(_)) => true,
            Some(Frame::Host(_)) => matches!(innermost.next(), Some(Frame::Guest(_))),
            None => false,
        }
    })
    .unwrap_or(false)
}

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    gs_check::register(ddi);
    lookup::register(ddi);
    raise::register(ddi);
    specific_handler::register(ddi);
    stack_probe::register(ddi);
    unwind::register(ddi);
}

#[cfg(test)]
mod tests;
