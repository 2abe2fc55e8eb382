//! The border between guest and model: the guest calls exports, the model calls the guest's routines.

use super::{ActivityKind, Frame, GuestFrame, HostFrame, flow::CallRequest};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    cpu::{Access, Gpr},
    ddi::{Args, Handler, Registry, failure},
    ke::region,
    kernel::Kernel,
    machine::imports,
    mm::{Va, layout},
    trace::Event,
    verifier::{calls, objects},
};

/// Where a guest routine that the model called returns to.
const RETURN_ADDRESS: Va = layout::EXPORTS;

/// The stack space a caller leaves for its callee's first four arguments.
const HOME_SPACE: u64 = 0x20;

/// Guest code has reached an address among the kernel's exports.
pub(super) fn export_reached(k: &Kernel, address: Va) -> Outcome<()> {
    if address == RETURN_ADDRESS {
        return leave_guest(k);
    }
    if imports::is_unmodelled(address) {
        return Err(k.bugcheck(imports::unmodelled(k, address, Access::Execute)));
    }
    let routine = |ddi: &&crate::ddi::Ddi| !matches!(ddi.handler, Handler::Data { .. });
    let Some(ddi) = k.registry().at(address).filter(routine) else {
        return Err(k.bugcheck(BugCheck::new(
            Code::PAGE_FAULT_IN_NONPAGED_AREA,
            [address.get(), 0x10, address.get(), 0],
            "jump-into-the-kernel",
            format!("{address} was executed, which is no kernel export's entry"),
        )));
    };
    let (registers, stack_pointer) = with_guest(k, |guest| {
        let arguments = [Gpr::Rcx, Gpr::Rdx, Gpr::R8, Gpr::R9];
        (
            arguments.map(|register| guest.registers.get(register)),
            guest.registers.stack_pointer(),
        )
    });
    let args = Args::read(k, registers, stack_pointer, ddi.arity)?;
    let irql = k.irql();
    k.count_call(ddi.name);
    k.trace(Event::Called {
        routine: ddi.name,
        arguments: args.values().to_vec(),
        irql,
    });
    if !ddi.contract.allows(irql) {
        k.verify(ddi.contract.violation(ddi.name, irql))?;
    }
    calls::check(k, ddi.name, &args)?;
    if let Some(failure) = failure::strike(k, ddi.name, ddi.failure, &args) {
        return return_to_guest(k, failure.into_rax());
    }
    match &ddi.handler {
        Handler::Function(function) => {
            let value = function(k, &args)?;
            return_to_guest(k, value)
        }
        Handler::Flow(start) => {
            let frame = Frame::Host(HostFrame::new(ddi.name, start(k.clone(), args)));
            k.with_activity(|activity| activity.frames.push(frame));
            Ok(())
        }
        Handler::Data { .. } => unreachable!("variables have no address among the routines"),
    }
}

/// Ends the export call that the innermost guest frame has made.
pub(super) fn return_to_guest(k: &Kernel, value: u64) -> Outcome<()> {
    let (stack_pointer, export) = with_guest(k, |guest| {
        (guest.registers.stack_pointer(), guest.registers.program_counter())
    });
    let return_address: Va = k.read(stack_pointer)?;
    with_guest(k, |guest| {
        guest.registers.set(Gpr::Rax, value);
        guest.registers.set(Gpr::Rsp, (stack_pointer + 8_u64).get());
        guest.registers.set_program_counter(return_address);
    });
    if let Some(ddi) = k.registry().at(export) {
        k.trace(Event::Returned {
            routine: ddi.name,
            value,
        });
    }
    Ok(())
}

/// Starts a guest routine on the current activity.
pub(super) fn enter_guest(k: &Kernel, call: CallRequest) -> Outcome<()> {
    let (base, locks_held, interrupts_disabled) = k
        .with_activity(|activity| {
            (
                activity.stack_pointer(),
                activity.locks.len(),
                activity.interrupts_disabled(),
            )
        })
        .expect("flows run in activities");
    let beyond_registers = call.arguments.len().saturating_sub(4) as u64;
    let reserved = (HOME_SPACE + 8 * beyond_registers).next_multiple_of(16);
    let aligned = Va(base.get() & !0xF);
    let stack_pointer = aligned - reserved - 8_u64;
    spoil_stack(k, stack_pointer)?;
    k.write(stack_pointer, RETURN_ADDRESS)?;
    for (index, &argument) in call.arguments.iter().enumerate().skip(4) {
        k.write(stack_pointer + 8_u64 + index * 8, argument)?;
    }
    let mut registers = k.engine().borrow().fresh_registers();
    let in_registers = [Gpr::Rcx, Gpr::Rdx, Gpr::R8, Gpr::R9];
    for (register, &argument) in in_registers.into_iter().zip(&call.arguments) {
        registers.set(register, argument);
    }
    registers.set(Gpr::Rsp, stack_pointer.get());
    registers.set_program_counter(call.routine);
    if interrupts_disabled {
        registers.disable_interrupts();
    }
    let irql = k.irql();
    k.trace(Event::Entered {
        label: call.label,
        routine: call.routine,
        irql,
    });
    let frame = GuestFrame {
        registers,
        last: Va::NULL,
        reply: call.reply,
        label: call.label,
        routine: call.routine,
        return_stack_pointer: stack_pointer + 8_u64,
        return_irql: (!call.irql_may_change).then_some(irql),
        locks_held,
        regions: region::current(k),
    };
    k.with_activity(|activity| activity.frames.push(Frame::Guest(Box::new(frame))));
    Ok(())
}

/// How far below the stack pointer a routine finds stale bytes: more than one of a driver's uses, as a rule.
const SPOILED: usize = 0x1000;

/// What lies below the stack pointer is whatever was left there; were it left from the calls before, it would be the same in every run,
/// and a driver that gives it away would not be found out.
fn spoil_stack(k: &Kernel, stack_pointer: Va) -> Outcome<()> {
    let limit = k
        .with_activity(|activity| activity.stack.limit)
        .unwrap_or(stack_pointer);
    let length = usize::try_from(stack_pointer - limit).map_or(SPOILED, |length| length.min(SPOILED));
    let bytes = [k.config().stale_byte; SPOILED];
    k.write_bytes(stack_pointer - length, &bytes[..length])
}

/// A guest routine that the model called has returned.
fn leave_guest(k: &Kernel) -> Outcome<()> {
    let irql = k.irql();
    let (value, stack_pointer, expected, return_irql, label, routine, locks_held) = with_guest(k, |guest| {
        (
            guest.registers.get(Gpr::Rax),
            guest.registers.stack_pointer(),
            guest.return_stack_pointer,
            guest.return_irql,
            guest.label,
            guest.routine,
            guest.locks_held,
        )
    });
    k.trace(Event::Left { label, value });
    objects::check_frames(k)?;
    if stack_pointer != expected {
        return Err(k.bugcheck(BugCheck::new(
            Code::KERNEL_SECURITY_CHECK_FAILURE,
            [0, stack_pointer.get(), expected.get(), 0],
            "stack-corrupted",
            format!("{label} returned with rsp {stack_pointer} instead of {expected}"),
        )));
    }
    if let Some(before) = return_irql {
        if irql != before {
            return Err(k.bugcheck(irql_changed(label, routine, before.0, irql.0)));
        }
        let held = k.with_activity(|activity| activity.locks.clone()).unwrap_or_default();
        if held.len() > locks_held {
            let lock = held[held.len() - 1];
            return Err(k.bugcheck(BugCheck::new(
                Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
                [VerifierRule::SPIN_LOCK.subcode, lock.get(), 0, 0],
                "spin-lock-held-on-return",
                format!("{label} at {routine} returned with the spin lock at {lock} held"),
            )));
        }
    }
    let before = with_guest(k, |guest| guest.regions);
    if let Some(bugcheck) = region::changed(label, routine, before, region::current(k)) {
        return Err(k.bugcheck(bugcheck));
    }
    let finished = k.with_activity(|activity| activity.frames.pop()).flatten();
    forget_probes(k);
    if let Some(Frame::Guest(guest)) = finished {
        guest.reply.set(Some(value));
    }
    Ok(())
}

/// The driver has returned: what it has probed in the thread's context holds no longer.
fn forget_probes(k: &Kernel) {
    let within_driver = k.with_activity(|activity| activity.guest().is_some()).unwrap_or(false);
    if let Some(ActivityKind::Thread(thread)) = k.activity()
        && !within_driver
    {
        k.watch().user.borrow_mut().forget_probes(thread);
    }
}

/// Driver Verifier tells apart whose IRQL changed.
fn irql_changed(label: &'static str, routine: Va, before: u8, after: u8) -> BugCheck {
    const COMPLETION_ROUTINE: u64 = 0xFA;
    const INTERRUPT_SERVICE_ROUTINE: u64 = 0x111;
    let (before_parameter, after_parameter) = (u64::from(before), u64::from(after));
    let parameters = match label {
        "ISR" => [
            INTERRUPT_SERVICE_ROUTINE,
            routine.get(),
            before_parameter,
            after_parameter,
        ],
        "completion routine" => [COMPLETION_ROUTINE, routine.get(), before_parameter, after_parameter],
        _ => [VerifierRule::IRQL_RETURN.subcode, 0, 0, 0],
    };
    BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        parameters,
        "irql-changed",
        format!(
            "{label} at {routine} was called at {} and returned at {}",
            crate::ke::Irql(before),
            crate::ke::Irql(after)
        ),
    )
}

fn with_guest<T>(k: &Kernel, work: impl FnOnce(&mut GuestFrame) -> T) -> T {
    k.with_activity(|activity| match activity.frames.last_mut() {
        Some(Frame::Guest(guest)) => work(guest),
        _ => unreachable!("the innermost frame is the guest's"),
    })
    .expect("there is an activity")
}

impl Registry {
    /// Bytes between the addresses of routines.
    pub(crate) const EXPORT_SPACING: u64 = 16;

    /// The address of the export at `index` in the order of names; the first one is the return address.
    #[must_use]
    pub(crate) fn address(index: usize) -> Va {
        layout::EXPORTS + (index as u64 + 1) * Self::EXPORT_SPACING
    }

    /// Bytes of addresses that the exports take.
    #[must_use]
    pub(crate) fn exports_length(&self) -> u64 {
        (self.len() as u64 + 1) * Self::EXPORT_SPACING
    }

    /// The routine at an address.
    #[must_use]
    pub(crate) fn at(&self, address: Va) -> Option<&crate::ddi::Ddi> {
        let offset = address - layout::EXPORTS;
        if !offset.is_multiple_of(Self::EXPORT_SPACING) {
            return None;
        }
        let index = usize::try_from(offset / Self::EXPORT_SPACING).ok()?.checked_sub(1)?;
        self.by_index(index)
    }
}
